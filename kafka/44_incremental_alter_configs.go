package kafka

import (
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa/topic"
)

// IncrementalAlterConfigs: sets and unsets configs, one by one, of topics, of groups, and of the broker,
// whose limits on groups can be changed.
//
// Versions 0 and 1.
func (c *call) incrementalAlterConfigs(req *kmsg.IncrementalAlterConfigsRequest) kmsg.Response {
	resp := kmsg.NewPtrIncrementalAlterConfigsResponse()
	times := make(map[resource]int)
	for _, rr := range req.Resources {
		times[resource{rr.ResourceType, rr.ResourceName}]++
	}
	for _, rr := range req.Resources {
		r := kmsg.NewIncrementalAlterConfigsResponseResource()
		r.ResourceType, r.ResourceName = rr.ResourceType, rr.ResourceName
		err := c.alter(times, resource{rr.ResourceType, rr.ResourceName}, req.ValidateOnly, func(config *topic.Config) error {
			return c.editConfigs(config, rr.Configs)
		}, func() ([]configEdit, bool) { return rr.Configs, false })
		r.ErrorCode, r.ErrorMessage = c.s.codeOf(err), message(err)
		resp.Resources = append(resp.Resources, r)
	}
	return resp
}

func (c *call) editConfigs(config *topic.Config, edits []kmsg.IncrementalAlterConfigsRequestResourceConfig) error {
	done := make(map[string]bool)
	for _, e := range edits {
		if done[e.Name] {
			return protocolError{codeInvalidRequest, fmt.Sprintf("%s is named twice", e.Name)}
		}
		done[e.Name] = true
		value, err := c.editedValue(config, e)
		if err != nil {
			return err
		}
		if err := config.SetConfig(e.Name, value); err != nil {
			return err
		}
	}
	return nil
}

// editedValue returns the value that a config is to have.
func (c *call) editedValue(config *topic.Config, e kmsg.IncrementalAlterConfigsRequestResourceConfig) (string, error) {
	if e.Op == kmsg.IncrementalAlterConfigOpDelete {
		return c.s.in.TopicDefaults.Configs()[e.Name], nil
	}
	if e.Value == nil {
		return "", protocolError{codeInvalidRequest, fmt.Sprintf("%s has no value", e.Name)}
	}
	if e.Op == kmsg.IncrementalAlterConfigOpSet {
		return *e.Value, nil
	}
	if configKind(e.Name) != kmsg.ConfigTypeList {
		return "", protocolError{codeInvalidConfig, fmt.Sprintf("%s is no list", e.Name)}
	}
	return editedList(config.Configs()[e.Name], e), nil
}

// editedList returns a list with the items of e appended, or without them.
func editedList(list string, e configEdit) string {
	edited := listItems(*e.Value)
	in := setOf(edited)
	items := slices.DeleteFunc(listItems(list), func(item string) bool { return in[item] })
	if e.Op == kmsg.IncrementalAlterConfigOpAppend {
		slices.Reverse(edited) // of those that are there twice the last one stays
		edited = once(edited, func(item string) string { return item })
		slices.Reverse(edited)
		items = append(items, edited...)
	}
	return strings.Join(items, ",")
}

// listItems returns the items of a list, which are none in an empty one.
func listItems(list string) []string {
	if list == "" {
		return nil
	}
	return strings.Split(list, ",")
}
