package kafka

import (
	"fmt"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa"
)

// groupConfig asks for a config of a group and returns its value, and where each value comes from.
func (c *client) groupConfig(group, name string) string {
	c.t.Helper()
	req := kmsg.NewPtrDescribeConfigsRequest()
	req.IncludeSynonyms, req.IncludeDocumentation = true, true
	rr := kmsg.NewDescribeConfigsRequestResource()
	rr.ResourceType, rr.ResourceName, rr.ConfigNames = kmsg.ConfigResourceTypeGroupConfig, group, []string{name}
	req.Resources = append(req.Resources, rr)
	resp := ask[*kmsg.DescribeConfigsResponse](c, 4, req).Resources[0]
	if resp.ErrorCode != 0 || len(resp.Configs) > 1 {
		c.t.Fatalf("got %+v", resp)
	}
	if len(resp.Configs) == 0 {
		return "nothing"
	}
	e := resp.Configs[0]
	if e.ReadOnly || e.Documentation == nil || e.ConfigType == 0 {
		c.t.Errorf("%s: %+v", name, e)
	}
	text := fmt.Sprintf("%s %d", *e.Value, e.Source)
	for _, s := range e.ConfigSynonyms {
		text += fmt.Sprintf(", %s %s %d", s.Name, *s.Value, s.Source)
	}
	return text
}

// alterGroup changes configs of a group, name=value, name+=value, name-=value or -name, and returns the code.
func (c *client) alterGroup(group string, validateOnly bool, edits ...string) int16 {
	c.t.Helper()
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	req.ValidateOnly = validateOnly
	rr := kmsg.NewIncrementalAlterConfigsRequestResource()
	rr.ResourceType, rr.ResourceName = kmsg.ConfigResourceTypeGroupConfig, group
	for _, edit := range edits {
		name, value, set := strings.Cut(edit, "=")
		e := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
		switch {
		case !set:
			name, e.Op = strings.TrimPrefix(name, "-"), kmsg.IncrementalAlterConfigOpDelete
		case strings.HasSuffix(name, "+"):
			e.Op, e.Value = kmsg.IncrementalAlterConfigOpAppend, &value
		case strings.HasSuffix(name, "-"):
			e.Op, e.Value = kmsg.IncrementalAlterConfigOpSubtract, &value
		default:
			e.Op, e.Value = kmsg.IncrementalAlterConfigOpSet, &value
		}
		e.Name = strings.TrimRight(name, "+-")
		rr.Configs = append(rr.Configs, e)
	}
	req.Resources = append(req.Resources, rr)
	return ask[*kmsg.IncrementalAlterConfigsResponse](c, 1, req).Resources[0].ErrorCode
}

// The configs of a group can be set before there is one, are bounded by the broker's, and are listed.
func TestGroupConfigs(t *testing.T) {
	k := start(t, samsa.Options{}, Options{})
	c := k.dial()
	is := func(name, want string) {
		t.Helper()
		if got := c.groupConfig("mailer", name); got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
	alter := func(want int16, edits ...string) {
		t.Helper()
		if got := c.alterGroup("mailer", false, edits...); got != want {
			t.Errorf("%v: got %d, want %d", edits, got, want)
		}
	}
	const lock, tags = "share.record.lock.duration.ms", "streams.rack.aware.assignment.tags"
	is(lock, "30000 5, group.share.record.lock.duration.ms 30000 5")
	is("share.auto.offset.reset", "latest 5, share.auto.offset.reset latest 5")
	is("streams.assignor.name", "sticky 5, group.streams.assignors sticky 5")
	is("share.assignor.offload.enable", "nothing") // Kafka hides it

	if got := c.alterGroup("mailer", true, lock+"=20000"); got != 0 {
		t.Errorf("validate only: %d", got)
	}
	is(lock, "30000 5, group.share.record.lock.duration.ms 30000 5")
	alter(codeInvalidConfig, lock+"=1000")
	alter(codeInvalidConfig, "share.moon=full")
	alter(codeInvalidConfig, lock+"+=1")
	alter(codeInvalidRequest, lock+"=20000", lock+"=30000")
	if got := c.alterGroup("", false, lock+"=20000"); got != codeInvalidRequest {
		t.Errorf("without a name: %d", got)
	}
	alter(0, lock+"=20000", tags+"=zone", "share.assignor.offload.enable=false")
	is(lock, "20000 8, share.record.lock.duration.ms 20000 8, group.share.record.lock.duration.ms 30000 5")
	is("share.assignor.offload.enable", "false 8, share.assignor.offload.enable false 8, group.share.assignor.offload.enable true 5")
	alter(0, tags+"+=rack")
	is(tags, "zone,rack 8, "+tags+" zone,rack 8, group."+tags+"  5")
	alter(0, tags+"-=zone")
	is(tags, "rack 8, "+tags+" rack 8, group."+tags+"  5")
	got, err := k.Groups().Configs(k.ctx, "mailer")
	if err != nil || got[lock] != "20000" || got["share.delivery.count.limit"] != "5" {
		t.Errorf("in Go: %v, %v", got, err)
	}

	list := kmsg.NewPtrListConfigResourcesRequest()
	list.ResourceTypes = []int8{32}
	if r := ask[*kmsg.ListConfigResourcesResponse](c, 1, list).ConfigResources; len(r) != 1 || r[0].Name != "mailer" || r[0].Type != 32 {
		t.Errorf("listed: %+v", r)
	}

	// The broker's bounds can be changed, and hold at once.
	if code := c.alterBroker(false, "group.share.min.record.lock.duration.ms=1000", "group.share.delivery.count.limit=3"); code != 0 {
		t.Fatalf("bounds: %d", code)
	}
	alter(0, lock+"=1000")
	is("share.delivery.count.limit", "3 2, group.share.delivery.count.limit 3 2, group.share.delivery.count.limit 5 5")
	if code := c.alterBroker(false, "group.share.min.record.lock.duration.ms=30001"); code != codeInvalidConfig {
		t.Errorf("a bound that is none: %d", code)
	}

	replace := kmsg.NewPtrAlterConfigsRequest()
	rr := kmsg.NewAlterConfigsRequestResource()
	rr.ResourceType, rr.ResourceName = kmsg.ConfigResourceTypeGroupConfig, "mailer"
	rr.Configs = []kmsg.AlterConfigsRequestResourceConfig{{Name: "share.isolation.level", Value: kmsgString("read_committed")}}
	replace.Resources = append(replace.Resources, rr)
	if resp := ask[*kmsg.AlterConfigsResponse](c, 2, replace).Resources[0]; resp.ErrorCode != 0 {
		t.Fatalf("replace: %+v", resp)
	}
	is(lock, "30000 5, group.share.record.lock.duration.ms 30000 5")
	is("share.isolation.level", "read_committed 8, share.isolation.level read_committed 8, share.isolation.level read_uncommitted 5")
	if err := k.Groups().SetConfigs(k.ctx, "mailer", map[string]string{"share.isolation.level": ""}); err != nil {
		t.Fatal(err)
	}
	if r := ask[*kmsg.ListConfigResourcesResponse](c, 1, list).ConfigResources; len(r) != 0 {
		t.Errorf("listed: %+v", r)
	}
}
