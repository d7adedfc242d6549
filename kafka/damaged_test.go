package kafka

import (
	"context"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/store"
)

// damagedKit has the topics bad and good, and the group g; bad and g are damaged.
func damagedKit(t *testing.T) *kit {
	t.Helper()
	ctx := context.Background()
	first := store.OpenMemory()
	b, err := samsa.InsideOpen(first, samsa.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"bad", "good"} {
		if err := b.Topics().Create(ctx, name, samsa.TopicConfig{}); err != nil {
			t.Fatal(err)
		}
	}
	st, err := first.(store.Forker).Fork()
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	var damage store.Batch
	damage.Set(store.CatalogueKey("tbad"), []byte("{"))
	damage.Set(store.GroupKey("g"), []byte("x"))
	err = st.Commit(&damage)
	if err != nil {
		t.Fatal(err)
	}
	if b, err = samsa.InsideOpen(st, samsa.Options{AutoCreateTopics: true}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	k := &kit{Broker: b, t: t, ctx: ctx}
	if k.srv, err = Listen(b, "127.0.0.1:0", Options{}); err != nil {
		t.Fatal(err)
	}
	return k
}

// A topic and a group that are damaged are an error that clients do not try again, by name and in the list of
// all; nobody gets a new topic of that name, and others go on.
func TestDamagedTopicAndGroup(t *testing.T) {
	k := damagedKit(t)
	c := k.dial()

	all := kmsg.NewPtrMetadataRequest()
	got := make(map[string]int16)
	for _, mt := range ask[*kmsg.MetadataResponse](c, 9, all).Topics {
		got[*mt.Topic] = mt.ErrorCode
	}
	if len(got) != 2 || got["bad"] != codeUnknownServerError || got["good"] != 0 {
		t.Errorf("all topics: %v", got)
	}
	one := kmsg.NewPtrMetadataRequest()
	one.AllowAutoTopicCreation = true
	one.Topics = []kmsg.MetadataRequestTopic{{Topic: kmsgString("bad")}}
	if mt := ask[*kmsg.MetadataResponse](c, 9, one).Topics[0]; mt.ErrorCode != codeUnknownServerError {
		t.Errorf("by name: %d", mt.ErrorCode)
	}
	create := kmsg.NewPtrCreateTopicsRequest()
	create.Topics = []kmsg.CreateTopicsRequestTopic{{Topic: "bad", NumPartitions: 1, ReplicationFactor: 1}}
	if ct := ask[*kmsg.CreateTopicsResponse](c, 5, create).Topics[0]; ct.ErrorCode != codeUnknownServerError || ct.ErrorMessage == nil {
		t.Errorf("created anew: %d", ct.ErrorCode)
	}
	fetch := kmsg.NewPtrOffsetFetchRequest()
	fetch.Group = "g"
	if code := ask[*kmsg.OffsetFetchResponse](c, 5, fetch).ErrorCode; code != codeUnknownServerError {
		t.Errorf("offsets of the group: %d", code)
	}
	gone := kmsg.NewPtrDeleteTopicsRequest()
	gone.TopicNames, gone.Topics = []string{"bad"}, []kmsg.DeleteTopicsRequestTopic{{Topic: kmsgString("bad")}}
	if code := ask[*kmsg.DeleteTopicsResponse](c, 5, gone).Topics[0].ErrorCode; code != 0 {
		t.Errorf("deleted: %d", code)
	}
	if code := ask[*kmsg.CreateTopicsResponse](c, 5, create).Topics[0].ErrorCode; code != 0 {
		t.Errorf("created then: %d", code)
	}
}
