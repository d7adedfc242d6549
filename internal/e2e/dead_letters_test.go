package e2e

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/share"
)

// rejected returns what a member of a share group is told who rejects the first record of t, with these configs.
func (k *kit) rejected(configs map[string]string) error {
	k.t.Helper()
	k.create("t", 1)
	k.put("t", 0, "a")
	if err := k.Groups().SetConfigs(k.ctx, "g", configs); err != nil {
		k.t.Fatal(err)
	}
	shares, key := k.inside().Shares, share.Key{Group: "g", TopicPartition: samsa.TopicPartition{Topic: "t"}}
	if err := shares.Initialize(k.ctx, key); err != nil {
		k.t.Fatal(err)
	}
	got, err := shares.AcquireRecords(k.ctx, share.AcquireRequest{Key: key, Member: "m", MaxRecords: 1})
	if err != nil || len(got) != 1 {
		k.t.Fatalf("acquired %v, %v", got, err)
	}
	return shares.Acknowledge(k.ctx, key, "m", false, share.Ack{Types: []share.AckType{share.Reject}})
}

// letters returns how many records a topic has.
func (k *kit) letters(topic string) int64 {
	k.t.Helper()
	time.Sleep(31 * time.Second) // it is tried again, every 30 s at least
	info, err := k.Topics().Describe(k.ctx, topic)
	if err != nil {
		k.t.Fatal(err)
	}
	return info.Partitions[0].HighWatermark
}

// The dead letters of a group whose configs clients set go to a topic that lets them in, and are kept until there is one.
func TestDeadLettersAreLetIn(t *testing.T) {
	const name, reset = "errors.deadletterqueue.topic.name", "share.auto.offset.reset"
	synctest.Test(t, func(t *testing.T) {
		k := inMemory(t, samsa.Options{})
		err := k.rejected(map[string]string{name: "dlq.t", reset: "earliest"})
		k.wantError("no topic", err, samsa.ErrUnknownTopic, "dlq.t")
		k.create("dlq.t", 1)
		if n := k.letters("dlq.t"); n != 0 {
			t.Errorf("a topic that does not let dead letters in has %d", n)
		}
		if err := k.Topics().Alter(k.ctx, "dlq.t", func(c *samsa.TopicConfig) error {
			c.DeadLetters = true
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if n := k.letters("dlq.t"); n != 1 {
			t.Errorf("%d dead letters, want 1", n)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		k := inMemory(t, samsa.Options{AutoCreateTopics: true})
		err := k.rejected(map[string]string{name: "orders", reset: "earliest"})
		k.wantError("another prefix", err, samsa.ErrInvalidConfig, "orders", "dlq.")
		if _, err := k.Topics().Describe(k.ctx, "orders"); !errors.Is(err, samsa.ErrUnknownTopic) {
			t.Errorf("the topic is there: %v", err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		k := inMemory(t, samsa.Options{Groups: samsa.GroupOptions{Configs: map[string]string{"errors.deadletterqueue.auto.create.topics.enable": "true"}}})
		if err := k.rejected(map[string]string{name: "dlq.t", reset: "earliest"}); err != nil {
			t.Error(err)
		}
		if n := k.letters("dlq.t"); n != 1 {
			t.Errorf("%d dead letters in the topic that was created, want 1", n)
		}
	})
}
