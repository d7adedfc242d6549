package kafka

import (
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
	states, types := passing(req.StatesFilter), passing(req.TypesFilter)
	for _, l := range c.s.in.Groups.List() {
		state := l.State.String()
		if c.coordinates(coordinatorGroup, l.Name) != c.s.opts.NodeID {
			continue // the other node lists it
		}
		if !states(state) || !types(l.Kind.String()) || !all && !c.may(acl.Describe, acl.Group, l.Name) {
			continue
		}
		g := kmsg.NewListGroupsResponseGroup()
		g.Group, g.ProtocolType, g.GroupState, g.GroupType = l.Name, l.ProtocolType, state, l.Kind.String()
		resp.Groups = append(resp.Groups, g)
	}
	return resp
}

// passing returns what reports whether a filter lets a text pass, in whatever case; one without entries does.
func passing(filter []string) func(string) bool {
	lower := make(map[string]bool)
	for _, f := range filter {
		lower[strings.ToLower(f)] = true
	}
	return func(s string) bool { return len(lower) == 0 || lower[strings.ToLower(s)] }
}
