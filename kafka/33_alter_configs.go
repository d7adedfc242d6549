package kafka

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa/topic"
)

// AlterConfigs: replaces the configs of topics, and those of the broker that can be changed; what is
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
		}, func() error {
			edits := make([]configEdit, len(rr.Configs))
			for i, rc := range rr.Configs {
				edits[i].Name, edits[i].Value = rc.Name, rc.Value
			}
			return c.changeBroker(rr.ResourceName, req.ValidateOnly, true, edits)
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

// alter changes the configs of a resource, a topic by edit or the broker by changeBroker. The request
// may name it once; times says how often it does.
func (c *call) alter(times map[resource]int, r resource, validateOnly bool, edit func(*topic.Config) error, changeBroker func() error) error {
	if n := times[r]; n > 1 {
		return protocolError{codeInvalidRequest, fmt.Sprintf("the request names %q %d times", r.name, n)}
	}
	switch r.kind {
	case kmsg.ConfigResourceTypeTopic:
	case kmsg.ConfigResourceTypeBroker:
		return changeBroker()
	default:
		return protocolError{codeInvalidRequest, "only topics and the broker have configs"}
	}
	return c.change(r.name, validateOnly, edit)
}
