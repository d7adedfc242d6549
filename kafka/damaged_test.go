package kafka

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/inside"
	"github.com/samsa-go/samsa/internal/store"
)

// damagedKit has the topics bad and good, and the groups g and reader; bad and g are damaged, and reader is where it is
// in bad.
func damagedKit(t *testing.T, opts Options) *kit {
	t.Helper()
	ctx := context.Background()
	first := store.OpenMemory()
	b, err := inside.Open[*samsa.Broker](first, samsa.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"bad", "good"} {
		if err := b.Topics().Create(ctx, name, samsa.TopicConfig{}); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Groups().AlterOffsets(ctx, "reader", samsa.To(samsa.Earliest()), samsa.TopicPartition{Topic: "bad"}); err != nil {
		t.Fatal(err)
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
	if b, err = inside.Open[*samsa.Broker](st, samsa.Options{AutoCreateTopics: true}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	k := &kit{Broker: b, t: t, ctx: ctx}
	if k.srv, err = Listen(b, "127.0.0.1:0", opts); err != nil {
		t.Fatal(err)
	}
	return k
}

// A topic and a group that are damaged are an error that clients do not try again, by name and in the list of
// all; nobody gets a new topic of that name, and others go on.
func TestDamagedTopicAndGroup(t *testing.T) {
	k := damagedKit(t, Options{})
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
	for _, topics := range [][]kmsg.OffsetFetchRequestTopic{nil, {{Topic: "bad", Partitions: []int32{0}}}} {
		fetch.Group, fetch.Topics = "reader", topics
		if code := ask[*kmsg.OffsetFetchResponse](c, 5, fetch).ErrorCode; code != codeUnknownServerError {
			t.Errorf("offsets in the topic: %d", code)
		}
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

// unscanned is a store whose index is damaged, from some time on, where only keys are asked for.
type unscanned struct {
	store.Store
	damaged atomic.Bool
}

func (u *unscanned) Scan(r store.Range, fn func(store.Entry) (bool, error)) error {
	if r.KeysOnly && u.damaged.Load() {
		return store.ErrIndex
	}
	return u.Store.Scan(r, fn)
}

// Who asks for the size of a partition that cannot be told gets an error.
func TestDescribeLogDirsDamaged(t *testing.T) {
	st := &unscanned{Store: store.OpenMemory()}
	b, err := inside.Open[*samsa.Broker](st, samsa.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.Close() }()
	k := &kit{Broker: b, t: t, ctx: t.Context()}
	if k.srv, err = Listen(b, "127.0.0.1:0", Options{}); err != nil {
		t.Fatal(err)
	}
	k.create("web_log", samsa.TopicConfig{})
	c := k.dial()
	ask[*kmsg.ProduceResponse](c, 9, produceRequest(1, "web_log", batch(t, 0, record{1, "", "x"})))
	st.damaged.Store(true)
	got := ask[*kmsg.DescribeLogDirsResponse](c, 4, kmsg.NewPtrDescribeLogDirsRequest()).Dirs
	if len(got) != 1 || got[0].ErrorCode != codeUnknownServerError {
		t.Errorf("got %+v", got)
	}
}

// Who may describe a damaged topic, and not delete it, does not delete it.
func TestDamagedTopicIsDeletedByWhoMay(t *testing.T) {
	k := damagedKit(t, Options{ACLs: &ACLs{}})
	c := k.dial()
	acls, err := ACLsOf(k.Broker)
	if err != nil {
		t.Fatal(err)
	}
	del := kmsg.NewPtrDeleteTopicsRequest()
	del.Topics = []kmsg.DeleteTopicsRequestTopic{{Topic: kmsgString("bad")}}
	for _, right := range []struct {
		operation string
		code      int16
	}{{"DESCRIBE", codeTopicAuthorizationFailed}, {"DELETE", codeNone}} {
		if err := acls.Create(k.ctx, ACL{Principal: Anonymous.String(), Operation: right.operation, Resource: "TOPIC", Name: "bad"}); err != nil {
			t.Fatal(err)
		}
		if got := ask[*kmsg.DeleteTopicsResponse](c, 6, del).Topics[0]; got.ErrorCode != right.code {
			t.Errorf("who may %s: %d, want %d", right.operation, got.ErrorCode, right.code)
		}
	}
}
