package cluster_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/cluster"
	"github.com/samsa-go/samsa/cluster/internal/kit"
	"github.com/samsa-go/samsa/internal/engine"
)

// A directory that had the copy of other keys in between has those of the topic that it is opened with.
func TestKeysDirOfOthers(t *testing.T) {
	kit.Places(t, func(t *testing.T, k *kit.Kit) {
		one, two, dir := k.Name("keys"), k.Name("keys"), t.TempDir()
		for _, step := range []struct{ topic, key, want string }{{one, "a", "a="}, {two, "b", "b="}, {one, "c", "a= c="}, {two, "d", "b= d="}} {
			b := keyed(t, k, step.topic, dir)
			k.Want(set(k, b, step.key, ""), nil)
			has(t, k, b, step.want)
			k.Want(b.Close(), nil)
		}
	})
}

// The directory of a broker is not taken for a copy of keys, which would be emptied.
func TestKeysDirOfBroker(t *testing.T) {
	k := kit.Door(t)
	for _, fill := range []func(b *samsa.Broker) error{
		func(b *samsa.Broker) error { return set(k, b, "mine", "1") },
		func(b *samsa.Broker) error { return b.Topics().Create(k.Ctx, "mine", samsa.TopicConfig{}) },
	} {
		dir := t.TempDir()
		b, err := samsa.Open(dir, samsa.Options{})
		if err == nil {
			err = errors.Join(fill(b), b.Close())
		}
		if err != nil {
			t.Fatal(err)
		}
		_, err = cluster.Open(k.Ctx, cluster.Options{Seeds: k.Seeds, Keys: k.Name("keys"), KeysDir: dir})
		if k.WantError(err, samsa.ErrInvalidOption); !strings.Contains(err.Error(), dir) {
			t.Errorf("which directory is not said: %v", err)
		}
	}
}

// stranger sets keys in the topic of somebody's keys.
func stranger(k *kit.Kit, topic string, all ...engine.KeyValue) {
	k.T.Helper()
	cl := k.Producer()
	for _, kv := range all {
		if err := cl.ProduceSync(k.Ctx, &kgo.Record{Topic: topic, Key: kv.Key, Value: kv.Value}).FirstErr(); err != nil {
			k.T.Fatal(err)
		}
	}
}

// What a stranger has written to the topic is there once the owner has noticed, with the next Update, and for the next owner; what cannot
// be a key is passed over.
func TestKeysOfStranger(t *testing.T) {
	kit.Places(t, func(t *testing.T, k *kit.Kit) {
		topic := k.Name("keys")
		b := keyed(t, k, topic, "")
		k.Want(set(k, b, "a", "1"), nil)
		k.Want(set(k, b, "b", "1"), nil)
		has(t, k, b, "a=1 b=1")
		stranger(k, topic, engine.KeyValue{Key: []byte("a"), Value: []byte("2")}, engine.KeyValue{Key: bytes.Repeat([]byte("k"), 2000), Value: []byte("3")})
		k.Want(set(k, b, "c", "1"), nil)
		has(t, k, b, "a=2 b=1 c=1")
		// Within a transaction of its own.
		err := b.Update(k.Ctx, func(tx *samsa.Tx) error {
			return errors.Join(tx.Produce(samsa.Record{Topic: topic, Key: []byte("b"), Value: []byte("2")}), tx.Set([]byte("d"), []byte("1")))
		})
		k.Want(err, nil)
		has(t, k, b, "a=2 b=2 c=1 d=1")
		k.Want(set(k, b, "d", "2"), nil)
		k.Want(b.Close(), nil)
		has(t, k, keyed(t, k, topic, ""), "a=2 b=2 c=1 d=2")
	})
}

// Keys whose topic was deleted are no keys any more, whatever has its name now, and no topic is made for them.
func TestKeysTopicDeleted(t *testing.T) {
	kit.Places(t, func(t *testing.T, k *kit.Kit) {
		topic := k.Name("keys")
		b, err := cluster.Open(k.Ctx, cluster.Options{Seeds: k.Seeds, Keys: topic, AutoCreateTopics: true})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = b.Close() })
		k.Want(set(k, b, "a", "1"), nil)
		k.Want(b.Topics().Delete(k.Ctx, topic), nil)
		k.WantError(set(k, b, "b", "1"), samsa.ErrUnknownTopic)
		if _, err := b.Topics().Describe(k.Ctx, topic); !errors.Is(err, samsa.ErrUnknownTopic) {
			t.Errorf("the topic is there again: %v", err)
		}
		next := keyed(t, k, topic, "")
		k.Want(set(k, next, "c", "1"), nil)
		k.WantError(set(k, b, "d", "1"), samsa.ErrUnknownTopic)
		k.WantError(b.View(k.Ctx, func(*samsa.ReadTx) error { return nil }), samsa.ErrUnknownTopic)
		has(t, k, next, "c=1")
	})
}

// A topic that is not compacted any more would lose keys in time: nothing is stored in it, once that is known, until it is again.
func TestKeysTopicAltered(t *testing.T) {
	k := kit.Door(t)
	topic := k.Name("keys")
	b := keyed(t, k, topic, "")
	for _, policy := range []string{"delete", "compact"} {
		k.Configure(topic, "cleanup.policy", policy)
		var err error
		for k.Ctx.Err() == nil { // it is asked for the configs now and then
			if err = set(k, b, "a", policy); errors.Is(err, samsa.ErrInvalidConfig) == (policy == "delete") {
				break
			}
			<-time.After(20 * time.Millisecond)
		}
		if policy == "compact" {
			k.Want(err, nil)
		}
	}
	has(t, k, b, "a=compact")
}

// While one counts in a key, and stores each count, the next one takes the keys over, and again: each count is there once, whoever it is of.
func TestKeysTakeOverAtWork(t *testing.T) {
	kit.Places(t, func(t *testing.T, k *kit.Kit) {
		topic, out := k.Name("keys"), k.Create("counts", 1)
		var wg sync.WaitGroup
		for range 5 {
			b := keyed(t, k, topic, "")
			begun := make(chan struct{}, 1)
			for range 2 {
				wg.Go(func() {
					for n := 0; ; n++ {
						err := countOnce(k.Ctx, b, out)
						switch {
						case errors.Is(err, samsa.ErrProducerFenced), errors.Is(err, samsa.ErrClosed):
							return
						case errors.Is(err, samsa.ErrOutcomeUnknown), errors.Is(err, samsa.ErrConflict):
						case errors.Is(err, samsa.ErrUnavailable): // the next one has aborted it, and may be the one who is fenced
						case err != nil:
							t.Error(err)
							return
						}
						if n == 5 {
							select {
							case begun <- struct{}{}:
							default:
							}
						}
					}
				})
			}
			<-begun
		}
		last := keyed(t, k, topic, "")
		wg.Wait()
		c, err := last.NewConsumer(k.Ctx, samsa.ConsumerOptions{Topics: []string{out}})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		n := 0
		for r, err := range c.RecordsUntil(k.Ctx) {
			if err != nil {
				t.Fatal(err)
			}
			if n++; string(r.Value) != fmt.Sprint(n) {
				t.Fatalf("count %s comes where %d should", r.Value, n)
			}
		}
		has(t, k, last, fmt.Sprintf("n=%d", n))
	})
}

// A value that the topic does not take fails its Update alone, and nothing of that is there.
func TestKeysTooLarge(t *testing.T) {
	kit.Places(t, func(t *testing.T, k *kit.Kit) {
		topic := k.Name("keys")
		b := keyed(t, k, topic, "")
		large := make([]byte, 2<<20)
		_, _ = rand.Read(large) // compression makes it no smaller
		big := func(tx *samsa.Tx) error {
			return errors.Join(tx.Set([]byte("small"), nil), tx.Set([]byte("large"), large))
		}
		k.WantError(b.Update(k.Ctx, big), samsa.ErrRecordTooLarge)
		has(t, k, b, "")
		k.Want(set(k, b, "a", "1"), nil)
		has(t, k, b, "a=1")
	})
}

// Close ends an Update that waits for another, and that one.
func TestKeysClose(t *testing.T) {
	k := kit.Door(t)
	b := keyed(t, k, k.Name("keys"), "")
	entered, ended := make(chan struct{}), make(chan error, 20)
	for range cap(ended) {
		go func() {
			for first := true; ; first = false {
				err := b.Update(context.WithoutCancel(k.Ctx), func(tx *samsa.Tx) error {
					_, err := tx.Get([]byte("n"))
					if err != nil && !errors.Is(err, samsa.ErrKeyNotFound) {
						return err
					}
					return tx.Set([]byte("n"), nil)
				})
				if first {
					entered <- struct{}{}
				}
				if err != nil && !errors.Is(err, samsa.ErrConflict) {
					ended <- err
					return
				}
			}
		}()
	}
	for range cap(ended) {
		<-entered
	}
	k.Want(b.Close(), nil)
	for range cap(ended) {
		select {
		case err := <-ended:
			if !errors.Is(err, samsa.ErrClosed) && !errors.Is(err, samsa.ErrOutcomeUnknown) {
				t.Error(err)
			}
		case <-k.Ctx.Done():
			t.Fatal("an Update goes on after Close")
		}
	}
}
