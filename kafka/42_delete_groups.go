package kafka

import (
	"cmp"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa/internal/acl"
)

// DeleteGroups: removes groups without members, and their offsets.
//
// Versions 0 to 3.
func (c *call) deleteGroups(req *kmsg.DeleteGroupsRequest) kmsg.Response {
	resp := kmsg.NewPtrDeleteGroupsResponse()
	for _, name := range once(req.Groups, func(name string) string { return name }) {
		g := kmsg.NewDeleteGroupsResponseGroup()
		err := cmp.Or(c.checkGroup(acl.Delete, name), c.coordinatesGroup(name))
		if err == nil {
			err = c.s.in.Groups.Delete(c.ctx, name)
		}
		g.Group, g.ErrorCode, g.ErrorMessage = name, c.s.groupCodeOf(err), message(err)
		resp.Groups = append(resp.Groups, g)
	}
	return resp
}
