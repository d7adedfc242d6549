package local

import (
	"bytes"
	"context"
	"fmt"
	"sync"

	"github.com/cespare/xxhash/v2"

	"github.com/samsa-go/samsa/internal/engine"
	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/internal/table"
	"github.com/samsa-go/samsa/internal/writer"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/partition"
)

// Tables are the tables of a broker that are kept in its store. The zero value has none open.
type Tables struct {
	mu   sync.Mutex // guards open
	open map[string]bool
}

// Open returns where the rows of a table of t are, and what their keys begin with. One of the name may be open at a time.
func (ts *Tables) Open(b *Broker, t engine.Topic, name string) (table.Rows, []byte, error) {
	p, err := t.Partition(0)
	if err != nil {
		return nil, nil, err
	}
	prefix := store.TablePrefix(p.(partitionOf).ID().Topic, uint32(xxhash.Sum64String(name)))
	ts.mu.Lock()
	defer ts.mu.Unlock()
	if ts.open[string(prefix)] {
		return nil, nil, fmt.Errorf("%w: a table %q of %s is open already", log.ErrInvalidOption, name, t.Name())
	}
	if ts.open == nil {
		ts.open = make(map[string]bool)
	}
	ts.open[string(prefix)] = true
	return &tableRows{b, p, func() {
		ts.mu.Lock()
		defer ts.mu.Unlock()
		delete(ts.open, string(prefix))
	}}, prefix, nil
}

// KeptTables returns where the tables are that are kept of t, and what the keys of each begin with.
func (b *Broker) KeptTables(t engine.Topic) (table.Rows, [][]byte, error) {
	p, err := t.Partition(0)
	if err != nil {
		return nil, nil, err
	}
	first := store.TablePrefix(p.(partitionOf).ID().Topic, 0)
	left := store.Range{From: first, To: store.Behind(first[:len(first)-4]), KeysOnly: true}
	for all := [][]byte(nil); ; {
		var prefix []byte
		err := b.Store.Scan(left, func(e store.Entry) (bool, error) {
			prefix = bytes.Clone(e.Key[:store.TablePrefixSize])
			return false, nil
		})
		if err != nil || prefix == nil {
			return &tableRows{b, p, func() {}}, all, err
		}
		all = append(all, prefix)
		left.From = store.Behind(prefix) // past all its rows
	}
}

// Ordered calls fn on the committer's time, when all that was submitted before has its offsets in these partitions.
func (b *Broker) Ordered(ctx context.Context, in []*partition.Partition, fn func()) error {
	return b.Committer.DoUntil(ctx, &writer.Tx{Settled: in, Essential: true, Check: func() error { fn(); return nil }})
}

// Moment calls fn, on the committer's time, when the store has all that readers see in partitions and nothing more, and gives it that as of
// then. The snapshot is fn's to close.
func (b *Broker) Moment(ctx context.Context, fn func(store.Snapshot, error)) error {
	moment := func() { fn(b.Store.Snapshot()) }
	if b.ReadOnly { // nothing moves
		moment()
		return nil
	}
	return b.Committer.DoUntil(ctx, &writer.Tx{Essential: true, Moment: moment})
}

// tableRows is the table.Rows of a table that is kept in the store.
type tableRows struct {
	b    *Broker
	of   engine.Partition // one of its topic
	free func()
}

func (r *tableRows) Get(key []byte) ([]byte, error)    { return r.b.Store.Get(key) }
func (r *tableRows) Snapshot() (store.Snapshot, error) { return r.b.Store.Snapshot() }

// Commit implements table.Rows. What is written behind the end of the topic would stay for ever.
func (r *tableRows) Commit(ctx context.Context, b *store.Batch, less bool) error {
	tx := &writer.Tx{Essential: less, Check: r.of.Err}
	tx.Writes.Append(b)
	return r.b.Committer.DoUntil(ctx, tx)
}

func (r *tableRows) Close() error {
	r.free()
	return nil
}
