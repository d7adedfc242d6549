package kafka

import (
	"errors"
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa/internal/acl"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/topic"
)

// AlterConfigs: replaces the configs of topics and groups, and those of the broker that can be changed; what is
// not named goes back to its default.
//
// Versions 0 to 2.
func (c *call) alterConfigs(req *kmsg.AlterConfigsRequest) kmsg.Response {
	resp := kmsg.NewPtrAlterConfigsResponse()
	times := make(map[resource]int)
	for _, rr := range req.Resources {
		times[resource{rr.ResourceType, rr.ResourceName}]++
	}
	for _, rr := range req.Resources {
		r := kmsg.NewAlterConfigsResponseResource()
		r.ResourceType, r.ResourceName = rr.ResourceType, rr.ResourceName
		err := c.alter(times, resource{rr.ResourceType, rr.ResourceName}, req.ValidateOnly, func(config *topic.Config) error {
			return c.replaceConfigs(config, rr.Configs)
		}, func() ([]configEdit, bool) {
			edits := make([]configEdit, len(rr.Configs))
			for i, rc := range rr.Configs {
				edits[i].Name, edits[i].Value = rc.Name, rc.Value
			}
			return edits, true
		})
		r.ErrorCode, r.ErrorMessage = c.s.codeOf(err), message(err)
		resp.Resources = append(resp.Resources, r)
	}
	return resp
}

func (c *call) replaceConfigs(config *topic.Config, to []kmsg.AlterConfigsRequestResourceConfig) error {
	*config = topic.Merge(topic.Config{Partitions: config.Partitions}, c.s.in.TopicDefaults)
	for _, rc := range to {
		if rc.Value == nil {
			return protocolError{codeInvalidRequest, fmt.Sprintf("%s has no value", rc.Name)}
		}
		if err := config.SetConfig(rc.Name, *rc.Value); err != nil {
			return err
		}
	}
	return nil
}

// resource is what has configs.
type resource struct {
	kind kmsg.ConfigResourceType
	name string
}

// alter changes the configs of a resource: a topic by edit, the broker or a group by the edits, which replace all of them
// or not. The request may name it once; times says how often it does.
func (c *call) alter(times map[resource]int, r resource, validateOnly bool, edit func(*topic.Config) error, edits func() ([]configEdit, bool)) error {
	if n := times[r]; n > 1 {
		return protocolError{codeInvalidRequest, fmt.Sprintf("the request names %q %d times", r.name, n)}
	}
	if err := c.checkConfigs(acl.AlterConfigs, r.kind, r.name); err != nil {
		return err
	}
	switch r.kind {
	case kmsg.ConfigResourceTypeTopic:
		err := c.change(r.name, validateOnly, edit)
		if errors.Is(err, log.ErrInvalidConfig) && c.s.before(firstKRaft) && namesConfigs(edits) {
			err = protocolError{codeInvalidRequest, err.Error()}
		}
		return err
	case kmsg.ConfigResourceTypeBroker:
		list, replace := edits()
		return c.changeBroker(r.name, validateOnly, replace, list)
	case kmsg.ConfigResourceTypeGroupConfig:
		list, replace := edits()
		return c.changeGroup(r.name, validateOnly, replace, list)
	}
	return protocolError{codeInvalidRequest, "only topics, groups and the broker have configs"}
}

// namesConfigs reports whether topics have all configs that are named.
func namesConfigs(edits func() ([]configEdit, bool)) bool {
	known := topic.Config{}.Configs()
	list, _ := edits()
	return !slices.ContainsFunc(list, func(e configEdit) bool { _, ok := known[e.Name]; return !ok })
}
