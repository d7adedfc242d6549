package kafka

import (
	"testing"
	"testing/synctest"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/group"
	"github.com/samsa-go/samsa/log"
)

// What brokers of different releases answer otherwise, in the same version of the same request.
func TestAsVersionErrors(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		what, before, since string // the last release that says old, the first that says what is said today
		old, now            int16
		ask                 func(k *kit, c *client) int16
	}{
		{"a record without a key", "2.3", "2.4", codeCorruptMessage, codeInvalidRecord, func(k *kit, c *client) int16 {
			k.create("compacted", samsa.TopicConfig{CleanupPolicy: samsa.CleanupCompact})
			return c.produceCode("compacted", batch(k.t, log.CodecNone, record{1, "", "keyless"}))
		}},
		{"a value that no config has", "3.2", "3.3", codeInvalidRequest, codeInvalidConfig, func(k *kit, c *client) int16 {
			return c.alterCode("orders", "retention.ms", "long")
		}},
		{"a config that there is not", "3.2", "3.3", codeInvalidConfig, codeInvalidConfig, func(k *kit, c *client) int16 {
			return c.alterCode("orders", "none", "long")
		}},
		{"CREATE on the topic", "1.1", "2.0", codeClusterAuthorizationFailed, codeNone, func(k *kit, c *client) int16 {
			k.allow(ACL{Operation: "CREATE", Resource: "TOPIC", Name: "new"})
			return c.createCode("new")
		}},
		{"CREATE on the topic, by Metadata", "1.1", "2.0", codeTopicAuthorizationFailed, codeNone, func(k *kit, c *client) int16 {
			k.allow(ACL{Operation: "CREATE", Resource: "TOPIC", Name: "new"}, ACL{Operation: "DESCRIBE", Resource: "TOPIC", Name: "new"})
			req := kmsg.NewPtrMetadataRequest()
			req.Topics, req.AllowAutoTopicCreation = []kmsg.MetadataRequestTopic{{Topic: kmsgString("new")}}, true
			return ask[*kmsg.MetadataResponse](c, 4, req).Topics[0].ErrorCode
		}},
		{"no CREATE", "1.1", "2.0", codeClusterAuthorizationFailed, codeTopicAuthorizationFailed, func(k *kit, c *client) int16 {
			k.allow(ACL{Operation: "WRITE", Resource: "TOPIC", Name: "new"})
			return c.createCode("new")
		}},
		{"an idempotent producer that may WRITE", "2.7", "2.8", codeClusterAuthorizationFailed, codeNone, func(k *kit, c *client) int16 {
			k.allow(ACL{Operation: "WRITE", Resource: "TOPIC", Name: "orders"})
			return ask[*kmsg.InitProducerIDResponse](c, 0, kmsg.NewPtrInitProducerIDRequest()).ErrorCode
		}},
		{"its records", "2.7", "2.8", codeClusterAuthorizationFailed, codeNone, func(k *kit, c *client) int16 {
			k.allow(ACL{Operation: "WRITE", Resource: "TOPIC", Name: "orders"})
			b := batch(k.t, log.CodecNone, record{1, "k", "v"})
			b.SetProducer(7, 0, 0)
			return c.produceCode("orders", b)
		}},
		{"records of no producer", "2.7", "2.8", codeNone, codeNone, func(k *kit, c *client) int16 {
			k.allow(ACL{Operation: "WRITE", Resource: "TOPIC", Name: "orders"})
			return c.produceCode("orders", batch(k.t, log.CodecNone, record{1, "k", "v"}))
		}},
		{"it may IDEMPOTENT_WRITE", "2.7", "2.8", codeNone, codeNone, func(k *kit, c *client) int16 {
			k.allow(ACL{Operation: "IDEMPOTENT_WRITE", Resource: "CLUSTER"})
			return ask[*kmsg.InitProducerIDResponse](c, 0, kmsg.NewPtrInitProducerIDRequest()).ErrorCode
		}},
	} {
		for as, want := range map[string]int16{tt.before: tt.old, tt.since: tt.now, "": tt.now} {
			k := start(t, samsa.Options{AutoCreateTopics: true}, Options{AsVersion: as, ACLs: &ACLs{AllowIfNone: true}})
			k.create("orders", samsa.TopicConfig{})
			if got := tt.ask(k, k.dial()); got != want {
				t.Errorf("%s, as %q: %d, want %d", tt.what, as, got, want)
			}
		}
	}
}

// allow has ACLs allow everybody something. Nobody may then do anything else to what they are about, nor to the cluster.
func (k *kit) allow(some ...ACL) {
	k.t.Helper()
	acls, err := ACLsOf(k.Broker)
	some = append(some, ACL{Principal: "User:nobody", Operation: "ALL", Resource: "CLUSTER"})
	for i := range some[:len(some)-1] {
		some[i].Principal = "User:*"
	}
	if err == nil {
		err = acls.Create(k.ctx, some...)
	}
	if err != nil {
		k.t.Fatal(err)
	}
}

func (c *client) produceCode(topic string, records log.Batch) int16 {
	c.t.Helper()
	return ask[*kmsg.ProduceResponse](c, 3, produceRequest(1, topic, records)).Topics[0].Partitions[0].ErrorCode
}

func (c *client) alterCode(topic, name, value string) int16 {
	c.t.Helper()
	req := kmsg.NewPtrAlterConfigsRequest()
	req.Resources = []kmsg.AlterConfigsRequestResource{{
		ResourceType: kmsg.ConfigResourceTypeTopic, ResourceName: topic, Configs: []kmsg.AlterConfigsRequestResourceConfig{{Name: name, Value: &value}},
	}}
	return ask[*kmsg.AlterConfigsResponse](c, 0, req).Resources[0].ErrorCode
}

func (c *client) createCode(topic string) int16 {
	c.t.Helper()
	req := kmsg.NewPtrCreateTopicsRequest()
	rt := kmsg.NewCreateTopicsRequestTopic()
	rt.Topic, rt.NumPartitions, rt.ReplicationFactor = topic, 1, 1
	req.Topics = append(req.Topics, rt)
	return ask[*kmsg.CreateTopicsResponse](c, 2, req).Topics[0].ErrorCode
}

// The heartbeats of a member whose leader has not said yet who gets what asked it to join again, before 2.6.
func TestAsVersionHeartbeats(t *testing.T) {
	for as, want := range map[string]int16{"2.5": codeRebalanceInProgress, "2.6": codeNone, "": codeNone} {
		synctest.Test(t, func(t *testing.T) {
			k := startPipe(t, samsa.Options{}, Options{AsVersion: as})
			k.create("web_log", samsa.TopicConfig{})
			m := k.member()
			m.send(5, m.joinRequest())
			m.joined = m.receive().(*kmsg.JoinGroupResponse)
			if m.id = m.joined.MemberID; m.joined.ErrorCode != codeMemberIDRequired {
				t.Fatalf("met: %+v", m.joined)
			}
			m.send(5, m.joinRequest())
			m.end()
			if got := m.heartbeat(); got != want {
				t.Errorf("as %q a heartbeat before the assignment is %d, want %d", as, got, want)
			}
			if got := m.sync(map[string]group.Assignment{m.id: {"web_log": {0}}}); len(got) != 1 {
				t.Errorf("assigned %v", got)
			}
			if got := m.heartbeat(); got != codeNone {
				t.Errorf("as %q a heartbeat is %d", as, got)
			}
		})
	}
}
