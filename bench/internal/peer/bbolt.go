package peer

import (
	"context"
	"encoding/binary"
	"fmt"
	"path/filepath"
	"time"

	"go.etcd.io/bbolt"
)

func bboltRows() *Peer {
	return &Peer{
		Name:   "bbolt",
		Title:  "bbolt",
		About:  "A bucket for each partition, a key for each record, filled to the brim, NoSync; a transaction a batch, DB.Batch when goroutines append at the same time. Synced: without NoSync.",
		Module: "go.etcd.io/bbolt",
		Open:   openBbolt,
	}
}

type bboltLog struct {
	db      *bbolt.DB
	buckets [][]byte
	update  func(func(*bbolt.Tx) error) error
	bell    bell
}

var groupsBucket = []byte("groups")

func openBbolt(_ context.Context, dir string, o Options) (Log, error) {
	db, err := bbolt.Open(filepath.Join(dir, "bbolt"), 0o600, &bbolt.Options{NoSync: !o.Synced, Timeout: time.Second})
	if err != nil {
		return nil, err
	}
	l := &bboltLog{db: db, update: db.Update}
	if o.Writers > 1 { // Batch waits for others: as many as there are, or not for long
		db.MaxBatchSize = o.Writers
		db.MaxBatchDelay = time.Millisecond
		l.update = db.Batch
	}
	for i := range o.Partitions {
		l.buckets = append(l.buckets, fmt.Appendf(nil, "partition-%d", i))
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		for _, name := range append(l.buckets[:len(l.buckets):len(l.buckets)], groupsBucket) {
			if _, err := tx.CreateBucketIfNotExists(name); err != nil {
				return err
			}
		}
		return nil
	})
	return l, err
}

func numberKey(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

func (l *bboltLog) Append(_ context.Context, partition int, batch [][]byte) error {
	err := l.update(func(tx *bbolt.Tx) error {
		b := tx.Bucket(l.buckets[partition])
		b.FillPercent = 1 // keys only ever come at the end
		for _, value := range batch {
			n, err := b.NextSequence()
			if err != nil {
				return err
			}
			if err := b.Put(numberKey(n-1), value); err != nil {
				return err
			}
		}
		return nil
	})
	l.bell.ring()
	return err
}

func (l *bboltLog) Sync(context.Context) error { return l.db.Sync() }

func (l *bboltLog) Read(_ context.Context, partition int, from int64) (Reader, error) {
	return &bboltReader{l: l, bucket: l.buckets[partition], next: uint64(from)}, nil
}

func (l *bboltLog) Group(_ context.Context, name string) (GroupReader, error) {
	r := &bboltReader{l: l, bucket: l.buckets[0], group: []byte(name)}
	err := l.db.View(func(tx *bbolt.Tx) error {
		if v := tx.Bucket(groupsBucket).Get(r.group); v != nil {
			r.next = binary.BigEndian.Uint64(v)
		}
		return nil
	})
	return r, err
}

func (l *bboltLog) Trim(_ context.Context, partition int, before int64) error {
	return l.db.Update(func(tx *bbolt.Tx) error {
		c := tx.Bucket(l.buckets[partition]).Cursor()
		for k, _ := c.First(); k != nil && binary.BigEndian.Uint64(k) < uint64(before); k, _ = c.First() {
			if err := c.Delete(); err != nil {
				return err
			}
		}
		return nil
	})
}

func (l *bboltLog) Close() error { return l.db.Close() }

type bboltReader struct {
	l      *bboltLog
	bucket []byte
	next   uint64
	group  []byte // the key of its offset
}

func (r *bboltReader) Next(ctx context.Context, visit func([]byte)) (int, error) {
	return r.l.bell.await(ctx, func() (int, error) { return r.take(visit) })
}

func (r *bboltReader) take(visit func([]byte)) (n int, err error) {
	err = r.l.db.View(func(tx *bbolt.Tx) error {
		c := tx.Bucket(r.bucket).Cursor()
		for k, v := c.Seek(numberKey(r.next)); k != nil && n < readRecords; k, v = c.Next() {
			visit(v)
			n++
		}
		return nil
	})
	r.next += uint64(n)
	return n, err
}

func (r *bboltReader) Commit(context.Context) error {
	return r.l.db.Update(func(tx *bbolt.Tx) error {
		return tx.Bucket(groupsBucket).Put(r.group, numberKey(r.next))
	})
}

func (r *bboltReader) Close() error { return nil }
