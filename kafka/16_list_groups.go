package kafka

import (
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa/internal/acl"
)

// ListGroups: the groups, all or those of some states and types.
//
// Versions 0 to 5. Who may not describe the cluster sees the groups that it may describe.
func (c *call) listGroups(req *kmsg.ListGroupsRequest) kmsg.Response {
	resp := kmsg.NewPtrListGroupsResponse()
	all := c.mayCluster(acl.Describe)
	for _, l := range c.s.in.Groups.List() {
		state := l.State.String()
		if c.coordinates(coordinatorGroup, l.Name) != c.s.opts.NodeID {
			continue // the other node lists it
		}
		if !passes(req.StatesFilter, state) || !passes(req.TypesFilter, l.Kind.String()) || !all && !c.may(acl.Describe, acl.Group, l.Name) {
			continue
		}
		g := kmsg.NewListGroupsResponseGroup()
		g.Group, g.ProtocolType, g.GroupState, g.GroupType = l.Name, l.ProtocolType, state, l.Kind.String()
		resp.Groups = append(resp.Groups, g)
	}
	return resp
}

// passes reports whether a filter lets s pass, in whatever case; one without entries does.
func passes(filter []string, s string) bool {
	return len(filter) == 0 || slices.ContainsFunc(filter, func(f string) bool { return strings.EqualFold(f, s) })
}
