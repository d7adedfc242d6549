package kafka

import (
	"slices"
	"strconv"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa/internal/acl"
)

// DescribeConfigs: the configs of topics, of groups and of the broker.
//
// Versions 0 to 4. The broker has the configs that it obeys and the few more that clients look at,
// with documentation (KIP-569). Its loggers and client metrics have none. Left out: the
// documentation of topic configs, and all other resources, which are INVALID_REQUEST.
func (c *call) describeConfigs(req *kmsg.DescribeConfigsRequest) kmsg.Response {
	resp := kmsg.NewPtrDescribeConfigsResponse()
	for _, rr := range once(req.Resources, func(rr kmsg.DescribeConfigsRequestResource) resource {
		return resource{rr.ResourceType, rr.ResourceName}
	}) {
		r := kmsg.NewDescribeConfigsResponseResource()
		r.ResourceType, r.ResourceName = rr.ResourceType, rr.ResourceName
		entries, err := c.resourceConfigs(rr)
		r.ErrorCode, r.ErrorMessage = c.s.codeOf(err), message(err)
		for _, e := range entries {
			if len(rr.ConfigNames) == 0 || slices.Contains(rr.ConfigNames, e.name) {
				r.Configs = append(r.Configs, e.describe(req))
			}
		}
		resp.Resources = append(resp.Resources, r)
	}
	return resp
}

// resourceConfigs returns all configs of a topic, a group or the broker.
func (c *call) resourceConfigs(rr kmsg.DescribeConfigsRequestResource) ([]configEntry, error) {
	if err := c.checkConfigs(acl.DescribeConfigs, rr.ResourceType, rr.ResourceName); err != nil {
		return nil, err
	}
	switch rr.ResourceType {
	case kmsg.ConfigResourceTypeTopic:
		t, err := c.topic(rr.ResourceName, noTopic, false)
		if err != nil {
			return nil, err
		}
		return c.topicConfigs(t.Config()), nil
	case kmsg.ConfigResourceTypeBroker:
		if err := c.checkBroker(rr.ResourceName); err != nil {
			return nil, err
		}
		if rr.ResourceName == "" {
			return c.defaultBrokerConfigs(), nil
		}
		return c.brokerConfigs(), nil
	case kmsg.ConfigResourceTypeBrokerLogger:
		if rr.ResourceName == nodeID(c.s) {
			return nil, nil
		}
		return nil, protocolError{codeInvalidRequest, "there is no broker " + strconv.Quote(rr.ResourceName)}
	case kmsg.ConfigResourceTypeGroupConfig:
		return c.groupConfigs(rr.ResourceName)
	case kmsg.ConfigResourceTypeClientMetrics:
		if rr.ResourceName != "" {
			return nil, nil
		}
	}
	return nil, protocolError{codeInvalidRequest, "only topics, groups and the broker have configs"}
}

// checkConfigs wants an operation on the resource that has configs; that on topics is asked for where they are looked for.
func (c *call) checkConfigs(op acl.Operation, kind kmsg.ConfigResourceType, name string) error {
	switch {
	case kind == kmsg.ConfigResourceTypeTopic:
		return nil
	case kind == kmsg.ConfigResourceTypeGroupConfig:
		return c.checkGroup(op, name)
	case !c.mayCluster(op):
		return errClusterDenied
	}
	return nil
}

func (e configEntry) describe(req *kmsg.DescribeConfigsRequest) kmsg.DescribeConfigsResponseResourceConfig {
	out := kmsg.NewDescribeConfigsResponseResourceConfig()
	out.Name, out.Value, out.Source, out.ConfigType = e.name, &e.value, e.source, e.kind
	out.IsDefault = e.source == kmsg.ConfigSourceDefaultConfig
	out.ReadOnly = e.readOnly
	if req.IncludeDocumentation && e.doc != "" {
		out.Documentation = &e.doc
	}
	for _, v := range e.synonyms {
		if !req.IncludeSynonyms {
			break
		}
		s := kmsg.NewDescribeConfigsResponseResourceConfigConfigSynonym()
		s.Name, s.Value, s.Source = v.name, &v.value, v.source
		out.ConfigSynonyms = append(out.ConfigSynonyms, s)
	}
	return out
}
