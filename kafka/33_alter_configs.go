package kafka

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa/topic"
)

// AlterConfigs: replaces the configs of topics; what is not named goes back to its default.
//
// Versions 0 to 2. The broker's configs cannot be changed.
func (c *call) alterConfigs(req *kmsg.AlterConfigsRequest) kmsg.Response {
	resp := kmsg.NewPtrAlterConfigsResponse()
	for _, rr := range req.Resources {
		r := kmsg.NewAlterConfigsResponseResource()
		r.ResourceType, r.ResourceName = rr.ResourceType, rr.ResourceName
		err := c.alter(rr.ResourceType, rr.ResourceName, req.ValidateOnly, func(config *topic.Config) error {
			return c.replaceConfigs(config, rr.Configs)
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

// alter changes the configs of a resource, which must be a topic.
func (c *call) alter(kind kmsg.ConfigResourceType, name string, validateOnly bool, edit func(*topic.Config) error) error {
	if kind != kmsg.ConfigResourceTypeTopic {
		return protocolError{codeInvalidRequest, "only the configs of topics can be changed"}
	}
	return c.s.change(c.ctx, name, validateOnly, edit)
}
