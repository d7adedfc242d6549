package e2e

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/samsa-go/samsa"
)

// What is there has to have what is asked for, and is left as it is.
func TestEnsureTopic(t *testing.T) {
	set := func(c samsa.TopicConfig, name, value string) samsa.TopicConfig {
		if err := c.SetConfig(name, value); err != nil {
			t.Fatal(err)
		}
		return c
	}
	is := set(samsa.TopicConfig{Partitions: 3, Retention: time.Hour, LogAppendTime: true}, "segment.ms", "5000")
	for name, c := range map[string]struct {
		config samsa.TopicConfig
		words  []string // of the error; none is no error
	}{
		"nothing asked for":   {config: samsa.TopicConfig{}},
		"the same":            {config: is},
		"fewer partitions":    {config: samsa.TopicConfig{Partitions: 2}},
		"replicas":            {config: samsa.TopicConfig{Replicas: 3}},
		"a default":           {config: samsa.TopicConfig{MaxMessageBytes: 1 << 20, CleanupPolicy: samsa.CleanupDelete}},
		"part of a ms":        {config: samsa.TopicConfig{Retention: time.Hour + time.Microsecond}},
		"more partitions":     {samsa.TopicConfig{Partitions: 4}, []string{"partitions=3 instead of 4"}},
		"another retention":   {samsa.TopicConfig{Retention: time.Minute}, []string{"retention.ms=3600000 instead of 60000"}},
		"unlimited":           {samsa.TopicConfig{Retention: samsa.Unlimited}, []string{"retention.ms=3600000 instead of -1"}},
		"one without effect":  {config: set(samsa.TopicConfig{}, "segment.ms", "5000")},
		"another of these":    {set(samsa.TopicConfig{}, "segment.bytes", "4096"), []string{"segment.bytes=1073741824 instead of 4096"}},
		"several differences": {samsa.TopicConfig{Partitions: 5, RetentionBytes: 9, CleanupPolicy: samsa.CleanupCompact}, []string{"partitions=3 instead of 5, ", "cleanup.policy=delete instead of compact, ", "retention.bytes=-1 instead of 9"}},
	} {
		t.Run(name, func(t *testing.T) {
			bothStores(t, samsa.Options{TopicDefaults: samsa.TopicConfig{RetentionBytes: 7}}, func(t *testing.T, k *kit) {
				topics := k.Topics()
				first := is
				first.RetentionBytes = samsa.Unlimited
				if created, err := topics.Ensure(k.ctx, "orders", first); !created || err != nil {
					t.Fatalf("at first: created %t, %v", created, err)
				}
				before, err := topics.Describe(k.ctx, "orders")
				if err != nil {
					t.Fatal(err)
				}
				created, err := topics.Ensure(k.ctx, "orders", c.config)
				if created || (err == nil) != (c.words == nil) || err != nil && !errors.Is(err, samsa.ErrTopicExists) {
					t.Fatalf("created %t, %v", created, err)
				}
				for _, word := range c.words {
					if !strings.Contains(err.Error(), word) {
						t.Errorf("%q does not say %q", err, word)
					}
				}
				if err != nil && strings.Count(err.Error(), "instead of") != strings.Count(strings.Join(c.words, ""), "instead of") {
					t.Errorf("%q says more than %q", err, c.words)
				}
				if after, err := topics.Describe(k.ctx, "orders"); err != nil || after.Config != before.Config || after.ID != before.ID {
					t.Errorf("it was %+v and is %+v, %v", before, after, err)
				}
			})
		})
	}
}

// A topic that is created has the defaults of the broker, as Create's has; what cannot be created is refused even when
// the topic is there.
func TestEnsureCreates(t *testing.T) {
	k := inMemory(t, samsa.Options{TopicDefaults: samsa.TopicConfig{Partitions: 4}})
	for range 2 {
		if _, err := k.Topics().Ensure(k.ctx, "a.b", samsa.TopicConfig{Retention: time.Hour}); err != nil {
			t.Fatal(err)
		}
	}
	info, err := k.Topics().Describe(k.ctx, "a.b")
	if err != nil || len(info.Partitions) != 4 || info.Config.Retention != time.Hour {
		t.Errorf("%+v, %v", info, err)
	}
	for _, c := range []struct {
		name   string
		config samsa.TopicConfig
		want   error
	}{
		{"a/b", samsa.TopicConfig{}, samsa.ErrInvalidTopic},
		{"a_b", samsa.TopicConfig{}, samsa.ErrInvalidTopic}, // collides
		{"a.b", samsa.TopicConfig{Partitions: -1}, samsa.ErrInvalidPartitions},
		{"a.b", samsa.TopicConfig{MaxMessageBytes: 5}, samsa.ErrInvalidConfig},
	} {
		if created, err := k.Topics().Ensure(k.ctx, c.name, c.config); created || !errors.Is(err, c.want) {
			t.Errorf("%s: created %t, %v, want %v", c.name, created, err, c.want)
		}
	}
	ctx, cancel := context.WithCancel(k.ctx)
	cancel()
	if _, err := k.Topics().Ensure(ctx, "a.b", samsa.TopicConfig{}); !errors.Is(err, context.Canceled) {
		t.Errorf("the context has ended: %v", err)
	}
}

// Whoever ensures at the same time succeeds, and one has created the topic.
func TestEnsureAtOnce(t *testing.T) {
	bothStores(t, samsa.Options{}, func(t *testing.T, k *kit) {
		for range 20 {
			var creations atomic.Int32
			var all sync.WaitGroup
			for range 8 {
				all.Go(func() {
					created, err := k.Topics().Ensure(k.ctx, "orders", samsa.TopicConfig{Partitions: 2})
					if err != nil {
						t.Error(err)
					}
					if created {
						creations.Add(1)
					}
				})
			}
			all.Wait()
			if n := creations.Load(); n != 1 {
				t.Errorf("%d have created it", n)
			}
			if err := k.Topics().Delete(k.ctx, "orders"); err != nil {
				t.Fatal(err)
			}
		}
	})
}
