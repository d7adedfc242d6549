package kafka

import (
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa"
)

// A config that is unset, by either request, is what the broker's options say, and a description
// tells where each value comes from, and what would be in force without it.
func TestConfigsHaveTheBrokersDefaults(t *testing.T) {
	k := start(t, samsa.Options{TopicDefaults: samsa.TopicConfig{Retention: time.Hour}}, Options{})
	k.create("web_log", samsa.TopicConfig{Retention: 2 * time.Hour, MaxMessageBytes: 5000})
	c := k.dial()
	describe := func(name string) string {
		req := kmsg.NewPtrDescribeConfigsRequest()
		req.IncludeSynonyms = true
		req.Resources = []kmsg.DescribeConfigsRequestResource{
			{ResourceType: kmsg.ConfigResourceTypeTopic, ResourceName: "web_log", ConfigNames: []string{name}}}
		got := ask[*kmsg.DescribeConfigsResponse](c, 4, req).Resources[0].Configs[0]
		s := fmt.Sprintf("%s %s:", *got.Value, got.Source)
		for _, syn := range got.ConfigSynonyms {
			s += fmt.Sprintf(" %s=%s %s", syn.Name, *syn.Value, syn.Source)
		}
		return s
	}
	want := func(when, name, want string) {
		t.Helper()
		if got := describe(name); got != want {
			t.Errorf("%s:\n%s\nwant\n%s", when, got, want)
		}
	}
	const unset = "3600000 STATIC_BROKER_CONFIG: log.retention.ms=3600000 STATIC_BROKER_CONFIG log.retention.ms=604800000 DEFAULT_CONFIG"
	set := func() {
		if err := k.Topics().Alter(k.ctx, "web_log", func(c *samsa.TopicConfig) error { c.Retention = 2 * time.Hour; return nil }); err != nil {
			t.Fatal(err)
		}
		want("set", "retention.ms", "7200000 DYNAMIC_TOPIC_CONFIG: retention.ms=7200000 DYNAMIC_TOPIC_CONFIG"+
			" log.retention.ms=3600000 STATIC_BROKER_CONFIG log.retention.ms=604800000 DEFAULT_CONFIG")
	}
	set()
	want("an own one", "max.message.bytes", "5000 DYNAMIC_TOPIC_CONFIG: max.message.bytes=5000 DYNAMIC_TOPIC_CONFIG message.max.bytes=1048576 DEFAULT_CONFIG")
	want("nobody's", "cleanup.policy", "delete DEFAULT_CONFIG: log.cleanup.policy=delete DEFAULT_CONFIG")
	want("nobody's, of codecs", "compression.gzip.level", "-1 DEFAULT_CONFIG: compression.gzip.level=-1 DEFAULT_CONFIG")

	edit := kmsg.NewPtrIncrementalAlterConfigsRequest()
	edit.Resources = []kmsg.IncrementalAlterConfigsRequestResource{{ResourceType: kmsg.ConfigResourceTypeTopic, ResourceName: "web_log",
		Configs: []kmsg.IncrementalAlterConfigsRequestResourceConfig{{Name: "retention.ms", Op: kmsg.IncrementalAlterConfigOpDelete}}}}
	if code := ask[*kmsg.IncrementalAlterConfigsResponse](c, 1, edit).Resources[0].ErrorCode; code != 0 {
		t.Errorf("deleted: %d", code)
	}
	want("deleted", "retention.ms", unset)
	set()
	replace := kmsg.NewPtrAlterConfigsRequest()
	replace.Resources = []kmsg.AlterConfigsRequestResource{{ResourceType: kmsg.ConfigResourceTypeTopic, ResourceName: "web_log"}}
	if code := ask[*kmsg.AlterConfigsResponse](c, 2, replace).Resources[0].ErrorCode; code != 0 {
		t.Errorf("replaced: %d", code)
	}
	want("replaced by none", "retention.ms", unset)
	set()
	if err := k.Topics().Alter(k.ctx, "web_log", func(c *samsa.TopicConfig) error { c.Retention = 0; return nil }); err != nil {
		t.Fatal(err)
	}
	want("set to zero", "retention.ms", unset)
}
