package samsa

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
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
	k := open(t, t.TempDir(), Options{AutoCreateTopics: true, MaxUpdateRetries: -1, TopicDefaults: TopicConfig{Partitions: 3}})
	cause := errors.New("changed my mind")
	r := Record{Topic: "a", Key: []byte("k")}
	for what, fn := range map[string]func(tx *Tx) error{
		"an error":  func(tx *Tx) error { return errors.Join(tx.Produce(r), cause) },
		"a panic":   func(tx *Tx) error { _ = tx.Produce(r); panic(cause) },
		"a refusal": func(tx *Tx) error { return errors.Join(tx.Produce(r), tx.Set(nil, nil)) },
		"a conflict": func(tx *Tx) error {
			_, _ = tx.Get([]byte("read"))
			if err := k.Update(k.ctx, func(tx *Tx) error { return tx.Set([]byte("read"), nil) }); err != nil {
				return err
			}
			return errors.Join(tx.Set([]byte("written"), nil), tx.Produce(r))
		},
		"colliding names": func(tx *Tx) error { return tx.Produce(Record{Topic: "b.c"}, Record{Topic: "b_c"}) },
	} {
		var err error
		if got := recovered(func() { err = k.Update(k.ctx, fn) }); got == nil && err == nil {
			t.Errorf("%s: no error", what)
		}
		if names := k.topics(); len(names) > 0 {
			t.Errorf("%s: there are topics %v", what, names)
		}
	}
	if n := len(k.sender.choosers); n > 0 {
		t.Errorf("%d topics are remembered that never were", n)
	}
	if err := k.Update(k.ctx, func(tx *Tx) error { return tx.Produce(r, r, Record{Topic: "b", Key: r.Key}) }); err != nil {
		t.Fatal(err)
	}
	if names := k.topics(); !slices.Equal(names, []string{"a", "b"}) {
		t.Errorf("there are topics %v", names)
	}
	k.create("c", 1) // has a number of its own
	k.write("c", "1")
	k.close()
	k.Broker = open(t, k.dir, Options{}).Broker
	if names := k.topics(); !slices.Equal(names, []string{"a", "b", "c"}) {
		t.Errorf("reopened there are topics %v", names)
	}
	k.read(k.consumer(ConsumerOptions{Topics: []string{"a", "b", "c"}}), 4)
}

// TestUpdatesCreateTheSameTopic: one does, and the others find it when they try again.
func TestUpdatesCreateTheSameTopic(t *testing.T) {
	k := inMemory(t, Options{AutoCreateTopics: true})
	const updates = 8
	var wg, drafted sync.WaitGroup
	drafted.Add(updates)
	for i := range updates {
		wg.Go(func() {
			var once sync.Once
			err := k.Update(k.ctx, func(tx *Tx) error {
				err := tx.Produce(Record{Topic: "a", Value: fmt.Append(nil, i)})
				once.Do(func() { drafted.Done(); drafted.Wait() })
				return err
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	k.read(k.consumer(ConsumerOptions{Topics: []string{"a"}}), updates)
}
