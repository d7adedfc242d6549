package e2e

import (
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/samsa-go/samsa"
)

// broken is what functions of the program panic with in these tests.
const broken = "a fault in the program"

// panics calls fn, of which broken must come.
func panics(t *testing.T, what string, fn func()) {
	t.Helper()
	defer func() {
		t.Helper()
		if got := recover(); got != broken {
			t.Errorf("%s: recovered %v, want the program's own panic", what, got)
		}
	}()
	fn()
}

// writerFunc is an io.Writer.
type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// setKeys stores so many keys, and 1 MiB of values.
func setKeys(t *testing.T, b *samsa.Broker, keys int) {
	t.Helper()
	err := b.Update(patient(t), func(tx *samsa.Tx) error {
		for i := range keys {
			if err := tx.Set(fmt.Appendf(nil, "key %d", i), make([]byte, 1<<20/keys)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestPanicInAFunction: what the program's functions panic with comes out of the call that
// they were given to, and nothing stays locked.
func TestPanicInAFunction(t *testing.T) {
	bothWithRecord(t, func(t *testing.T, b *samsa.Broker) {
		ctx := patient(t)
		setKeys(t, b, 100)
		fail := func() error { panic(broken) }
		for what, call := range map[string]func() error{
			"Update": func() error {
				return b.Update(ctx, func(tx *samsa.Tx) error {
					return errors.Join(tx.Set([]byte("never"), nil), tx.Produce(samsa.Record{Topic: "a"}), fail())
				})
			},
			"View": func() error { return b.View(ctx, func(*samsa.ReadTx) error { return fail() }) },
			"Scan": func() error {
				return b.View(ctx, func(tx *samsa.ReadTx) error {
					for _, err := range tx.Scan(nil) {
						return errors.Join(err, fail())
					}
					return nil
				})
			},
			"Snapshot": func() error {
				return b.Snapshot(ctx, writerFunc(func([]byte) (int, error) { return 0, fail() }))
			},
			"Alter": func() error { return b.Topics().Alter(ctx, "a", func(*samsa.TopicConfig) error { return fail() }) },
		} {
			panics(t, what, func() { t.Errorf("%s returned %v", what, call()) })
		}
		if err := b.Topics().AddPartitions(ctx, "a", 2); err != nil {
			t.Error(err)
		}
		err := b.Update(ctx, func(tx *samsa.Tx) error {
			if _, err := tx.Get([]byte("never")); !errors.Is(err, samsa.ErrKeyNotFound) {
				t.Errorf("a key of the Update that panicked: %v", err)
			}
			return tx.Produce(samsa.Record{Topic: "a"})
		})
		if err != nil {
			t.Error(err)
		}
		records := int64(0)
		for _, end := range ends(t, b) {
			records += end
		}
		if records != 2 {
			t.Errorf("there are %d records, want the first and the last", records)
		}
		mustClose(t, b)
	})
}

// TestCloseInAFunction: Close waits for no function of the program that reads, and may be
// called by one. What is read next is ErrClosed.
func TestCloseInAFunction(t *testing.T) {
	for what, call := range map[string]func(b *samsa.Broker) error{
		"View": func(b *samsa.Broker) error {
			return b.View(patient(t), func(tx *samsa.ReadTx) error {
				mustClose(t, b)
				_, err := tx.Get([]byte("key 0"))
				return err
			})
		},
		"Scan": func(b *samsa.Broker) error {
			return b.View(patient(t), func(tx *samsa.ReadTx) error {
				n := 0
				for _, err := range tx.Scan(nil) {
					if n++; err != nil {
						if n >= 100 {
							t.Errorf("ended after all keys: %v", err)
						}
						return err
					}
					mustClose(t, b)
				}
				return nil
			})
		},
		"Update": func(b *samsa.Broker) error {
			return b.Update(patient(t), func(tx *samsa.Tx) error {
				mustClose(t, b)
				return tx.Set([]byte("never"), nil)
			})
		},
		"Snapshot": func(b *samsa.Broker) error {
			return b.Snapshot(patient(t), writerFunc(func(p []byte) (int, error) {
				mustClose(t, b)
				return len(p), nil
			}))
		},
		"Alter": func(b *samsa.Broker) error {
			return b.Topics().Alter(patient(t), "a", func(*samsa.TopicConfig) error {
				mustClose(t, b)
				return nil
			})
		},
	} {
		t.Run(what, func(t *testing.T) {
			bothWithRecord(t, func(t *testing.T, b *samsa.Broker) {
				setKeys(t, b, 100)
				if err := call(b); !errors.Is(err, samsa.ErrClosed) {
					t.Errorf("got error %v", err)
				}
			})
		})
	}
}

// TestCloseWhileAWriterIsStuck: a Snapshot whose writer does not return keeps nobody waiting.
func TestCloseWhileAWriterIsStuck(t *testing.T) {
	bothWithRecord(t, func(t *testing.T, b *samsa.Broker) {
		setKeys(t, b, 100)
		r, w := io.Pipe()
		done := make(chan error, 1)
		go func() { done <- b.Snapshot(patient(t), w) }()
		if _, err := r.Read(make([]byte, 1)); err != nil { // it has begun, and waits for the next Read
			t.Fatal(err)
		}
		mustClose(t, b)
		go func() { _, _ = io.Copy(io.Discard, r) }()
		if err := <-done; !errors.Is(err, samsa.ErrClosed) {
			t.Errorf("snapshot: %v", err)
		}
		_ = w.Close()
	})
}

// TestNilFunctions are wrong options.
func TestNilFunctions(t *testing.T) {
	b := mustOpen(t, "", samsa.Options{InMemory: true})
	mustCreate(t, b, "a", 1)
	ctx := patient(t)
	newProducer := func(p samsa.Partitioner) error {
		_, err := b.NewProducer(ctx, samsa.ProducerOptions{Partitioner: p})
		return err
	}
	newMember := func(assignors ...samsa.Assignor) error {
		_, err := b.NewConsumer(ctx, samsa.ConsumerOptions{Topics: []string{"a"}, Group: "g", Member: samsa.MemberOptions{Assignors: assignors}})
		return err
	}
	_, opened := samsa.Open("", samsa.Options{InMemory: true, Produce: samsa.ProduceOptions{Partitioner: samsa.PartitionerFunc(nil)}})
	_, restored := samsa.Restore(ctx, "", nil, samsa.Options{InMemory: true})
	for what, err := range map[string]error{
		"Update":          b.Update(ctx, nil),
		"View":            b.View(ctx, nil),
		"Alter":           b.Topics().Alter(ctx, "a", nil),
		"Snapshot":        b.Snapshot(ctx, nil),
		"Restore":         restored,
		"PartitionerFunc": newProducer(samsa.PartitionerFunc(nil)),
		"by topic":        newProducer(samsa.PartitionerByTopic(map[string]samsa.Partitioner{"a": nil}, nil)),
		"Open":            opened,
		"Assignors":       newMember(samsa.RangeAssignor(), nil),
		"AssignorFunc":    newMember(samsa.AssignorFunc("mine", false, nil)),
		"a consumer":      b.Update(ctx, func(tx *samsa.Tx) error { return tx.CommitRecords(nil) }),
	} {
		if !errors.Is(err, samsa.ErrInvalidOption) {
			t.Errorf("%s: got error %v", what, err)
		}
	}
}
