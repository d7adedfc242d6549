package e2e

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/samsa-go/samsa"
)

func (k *kit) topics() []string {
	k.t.Helper()
	names, err := k.Topics().List(k.ctx)
	if err != nil {
		k.t.Fatal(err)
	}
	return names
}

// TestFailedUpdateCreatesNoTopic: the topic that it would have created is part of what is
// stored or not. The next Update creates it.
func TestFailedUpdateCreatesNoTopic(t *testing.T) {
	dir := t.TempDir()
	k := open(t, dir, samsa.Options{AutoCreateTopics: true, MaxUpdateRetries: -1, TopicDefaults: samsa.TopicConfig{Partitions: 3}})
	cause := errors.New("changed my mind")
	r := samsa.Record{Topic: "a", Key: []byte("k")}
	for what, fn := range map[string]func(tx *samsa.Tx) error{
		"an error":  func(tx *samsa.Tx) error { return errors.Join(tx.Produce(r), cause) },
		"a panic":   func(tx *samsa.Tx) error { _ = tx.Produce(r); panic(cause) },
		"a refusal": func(tx *samsa.Tx) error { return errors.Join(tx.Produce(r), tx.Set(nil, nil)) },
		"a conflict": func(tx *samsa.Tx) error {
			_, _ = tx.Get([]byte("read"))
			if err := k.Update(k.ctx, func(tx *samsa.Tx) error { return tx.Set([]byte("read"), nil) }); err != nil {
				return err
			}
			return errors.Join(tx.Set([]byte("written"), nil), tx.Produce(r))
		},
		"colliding names": func(tx *samsa.Tx) error { return tx.Produce(samsa.Record{Topic: "b.c"}, samsa.Record{Topic: "b_c"}) },
	} {
		var err error
		if got := recovered(func() { err = k.Update(k.ctx, fn) }); got == nil && err == nil {
			t.Errorf("%s: no error", what)
		}
		if names := k.topics(); len(names) > 0 {
			t.Errorf("%s: there are topics %v", what, names)
		}
	}
	if err := k.Update(k.ctx, func(tx *samsa.Tx) error { return tx.Produce(r, r, samsa.Record{Topic: "b", Key: r.Key}) }); err != nil {
		t.Fatal(err)
	}
	if names := k.topics(); !slices.Equal(names, []string{"a", "b"}) {
		t.Errorf("there are topics %v", names)
	}
	k.create("c", 1) // has a number of its own
	k.write("c", "1")
	k.close()
	k.Broker = open(t, dir, samsa.Options{}).Broker
	if names := k.topics(); !slices.Equal(names, []string{"a", "b", "c"}) {
		t.Errorf("reopened there are topics %v", names)
	}
	k.read(k.consumer(samsa.ConsumerOptions{Topics: []string{"a", "b", "c"}}), 4)
}

// TestUpdatesCreateTheSameTopic: one does, and the others find it when they try again.
func TestUpdatesCreateTheSameTopic(t *testing.T) {
	k := inMemory(t, samsa.Options{AutoCreateTopics: true})
	const updates = 8
	var wg, drafted sync.WaitGroup
	drafted.Add(updates)
	for i := range updates {
		wg.Go(func() {
			var once sync.Once
			err := k.Update(k.ctx, func(tx *samsa.Tx) error {
				err := tx.Produce(samsa.Record{Topic: "a", Value: fmt.Append(nil, i)})
				once.Do(func() { drafted.Done(); drafted.Wait() })
				return err
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	k.read(k.consumer(samsa.ConsumerOptions{Topics: []string{"a"}}), updates)
}
