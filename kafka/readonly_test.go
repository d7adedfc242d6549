package kafka

import (
	"context"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/log"
)

// A broker that is read only serves who reads. Who writes is refused for good: clients are not to try again.
func TestReadOnlyBroker(t *testing.T) {
	dir, ctx := t.TempDir(), context.Background()
	open := func(opts samsa.Options) *kit {
		b, err := samsa.Open(dir, opts)
		if err != nil {
			t.Fatal(err)
		}
		return &kit{Broker: b, t: t, ctx: ctx}
	}
	owner := open(samsa.Options{})
	owner.create("web_log", samsa.TopicConfig{})
	if _, err := owner.Produce(ctx, samsa.Record{Topic: "web_log", Value: []byte("v")}); err != nil {
		t.Fatal(err)
	}
	if err := owner.Close(); err != nil {
		t.Fatal(err)
	}

	k := open(samsa.Options{ReadOnly: true})
	t.Cleanup(func() {
		if err := k.Close(); err != nil {
			t.Error(err)
		}
	})
	srv, err := Listen(k.Broker, "127.0.0.1:0", Options{})
	if err != nil {
		t.Fatal(err)
	}
	k.srv = srv
	c := k.dial()
	got := fetched(t, ask[*kmsg.FetchResponse](c, 12, fetchRequest("web_log", 0)))
	if len(got) != 1 || string(got[0].Value) != "v" {
		t.Errorf("fetched %v", got)
	}

	codes := map[string]int16{
		"Produce": ask[*kmsg.ProduceResponse](c, 9, produceRequest(-1, "web_log", batch(t, log.CodecNone, record{1, "k", "v"}))).Topics[0].Partitions[0].ErrorCode,
		"OffsetCommit": func() int16 {
			req := commitRequest("web_log", kmsg.OffsetCommitRequestTopicPartition{Offset: 1, LeaderEpoch: -1})
			req.Generation = -1
			return ask[*kmsg.OffsetCommitResponse](c, 8, req).Topics[0].Partitions[0].ErrorCode
		}(),
		"InitProducerID": ask[*kmsg.InitProducerIDResponse](c, 4, kmsg.NewPtrInitProducerIDRequest()).ErrorCode,
		"JoinGroup":      ask[*kmsg.JoinGroupResponse](c, 9, k.member().meet().joinRequest()).ErrorCode,
	}
	create := kmsg.NewPtrCreateTopicsRequest()
	create.Topics = []kmsg.CreateTopicsRequestTopic{{Topic: "new", NumPartitions: 1, ReplicationFactor: 1}}
	codes["CreateTopics"] = ask[*kmsg.CreateTopicsResponse](c, 7, create).Topics[0].ErrorCode
	for name, code := range codes {
		if code != codePolicyViolation {
			t.Errorf("%s: code %d", name, code)
		}
	}
}
