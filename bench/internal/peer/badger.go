package peer

import (
	"context"
	"encoding/binary"
	"errors"
	"sync"

	"github.com/dgraph-io/badger/v4"
)

func badgerRows() *Peer {
	return &Peer{
		Name:   "badger",
		Title:  "Badger",
		About:  "A key for each record, partition and number, default options; a transaction a batch, several under way. Synced: SyncWrites.",
		Module: "github.com/dgraph-io/badger/v4",
		Open:   openBadger,
	}
}

// badgerLog keeps record n of partition p under 'r' | p u32 | n u64, and the offset of a
// group under 'g' | group.
type badgerLog struct {
	db         *badger.DB
	partitions []*badgerPartition
	flights    chan struct{} // a token for each transaction under way
	bell       bell
}

type badgerPartition struct {
	mu      sync.Mutex // held while a transaction is handed over: the order of commits is that of numbers
	next    int64
	trimmed int64 // records before it are gone; of the one who trims
}

// badgerFlights is how many transactions may be under way.
const badgerFlights = 16

func openBadger(_ context.Context, dir string, o Options) (Log, error) {
	db, err := badger.Open(badger.DefaultOptions(dir).WithSyncWrites(o.Synced).WithLogger(nil))
	if err != nil {
		return nil, err
	}
	l := &badgerLog{db: db, flights: make(chan struct{}, max(badgerFlights, o.Writers))}
	for i := range o.Partitions {
		first, next, err := badgerBounds(db, i)
		if err != nil {
			return nil, errors.Join(err, db.Close())
		}
		l.partitions = append(l.partitions, &badgerPartition{next: next, trimmed: first})
	}
	return l, nil
}

func recordKey(partition int, n int64) []byte {
	key := binary.BigEndian.AppendUint32([]byte{'r'}, uint32(partition))
	return binary.BigEndian.AppendUint64(key, uint64(n))
}

// badgerBounds finds the number of the first record and that of the next.
func badgerBounds(db *badger.DB, partition int) (first, next int64, err error) {
	err = db.View(func(tx *badger.Txn) error {
		options := badger.IteratorOptions{Prefix: recordKey(partition, 0)[:5]}
		it := tx.NewIterator(options)
		if it.Rewind(); it.Valid() {
			first = int64(binary.BigEndian.Uint64(it.Item().Key()[5:]))
		}
		it.Close()
		options.Reverse = true
		it = tx.NewIterator(options)
		defer it.Close()
		if it.Seek(recordKey(partition, -1)); it.Valid() {
			next = int64(binary.BigEndian.Uint64(it.Item().Key()[5:])) + 1
		}
		return nil
	})
	return first, next, err
}

func (l *badgerLog) Append(ctx context.Context, partition int, batch [][]byte) error {
	done := make(chan error, 1)
	l.Submit(ctx, partition, batch, func(err error) { done <- err })
	return <-done
}

func (l *badgerLog) Submit(ctx context.Context, partition int, batch [][]byte, done func(error)) {
	select {
	case l.flights <- struct{}{}:
	case <-ctx.Done():
		done(ctx.Err())
		return
	}
	p := l.partitions[partition]
	p.mu.Lock()
	defer p.mu.Unlock()
	tx := l.db.NewTransaction(true)
	defer tx.Discard()
	for i, value := range batch {
		if err := tx.Set(recordKey(partition, p.next+int64(i)), value); err != nil {
			<-l.flights
			done(err)
			return
		}
	}
	p.next += int64(len(batch))
	tx.CommitWith(func(err error) {
		l.bell.ring()
		<-l.flights
		done(err)
	})
}

func (l *badgerLog) Flush(ctx context.Context) error {
	for range cap(l.flights) {
		select {
		case l.flights <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	for range cap(l.flights) {
		<-l.flights
	}
	return nil
}

func (l *badgerLog) Sync(context.Context) error { return l.db.Sync() }

func (l *badgerLog) Read(_ context.Context, partition int, from int64) (Reader, error) {
	return &badgerReader{l: l, partition: partition, next: from}, nil
}

func (l *badgerLog) Group(_ context.Context, name string) (GroupReader, error) {
	r := &badgerReader{l: l, group: append([]byte{'g'}, name...)}
	err := l.db.View(func(tx *badger.Txn) error {
		item, err := tx.Get(r.group)
		if err != nil {
			return err
		}
		return item.Value(func(v []byte) error {
			r.next = int64(binary.BigEndian.Uint64(v))
			return nil
		})
	})
	if err != nil && !errors.Is(err, badger.ErrKeyNotFound) {
		return nil, err
	}
	return r, nil
}

// Trim deletes the keys and lets Badger look for value files that can be rewritten.
func (l *badgerLog) Trim(_ context.Context, partition int, before int64) error {
	p := l.partitions[partition]
	w := l.db.NewWriteBatch()
	defer w.Cancel()
	for ; p.trimmed < before; p.trimmed++ {
		if err := w.Delete(recordKey(partition, p.trimmed)); err != nil {
			return err
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for {
		if err := l.db.RunValueLogGC(0.5); errors.Is(err, badger.ErrNoRewrite) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

func (l *badgerLog) Close() error { return l.db.Close() }

type badgerReader struct {
	l         *badgerLog
	partition int
	next      int64
	group     []byte // the key of its offset
}

func (r *badgerReader) Next(ctx context.Context, visit func([]byte)) (int, error) {
	return r.l.bell.await(ctx, func() (int, error) { return r.take(visit) })
}

func (r *badgerReader) take(visit func([]byte)) (n int, err error) {
	err = r.l.db.View(func(tx *badger.Txn) error {
		options := badger.DefaultIteratorOptions
		options.Prefix = recordKey(r.partition, 0)[:5]
		it := tx.NewIterator(options)
		defer it.Close()
		for it.Seek(recordKey(r.partition, r.next)); it.Valid() && n < readRecords; it.Next() {
			if err := it.Item().Value(func(v []byte) error { visit(v); return nil }); err != nil {
				return err
			}
			n++
		}
		return nil
	})
	r.next += int64(n)
	return n, err
}

func (r *badgerReader) Commit(context.Context) error {
	return r.l.db.Update(func(tx *badger.Txn) error {
		return tx.Set(r.group, binary.BigEndian.AppendUint64(nil, uint64(r.next)))
	})
}

func (r *badgerReader) Close() error { return nil }
