package writer

import (
	"bytes"
	"errors"
	"sync"
	"testing"

	"go.uber.org/zap"

	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/partition"
)

// While transactions come and end, and the log start moves over them, whoever reads what is committed never gets
// what was aborted or is open, by either way of reading.
func TestReadersOfCommitted(t *testing.T) {
	st := store.OpenMemory()
	c := NewCommitter(st, zap.NewNop())
	defer func() {
		c.Close()
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	}()
	p := partition.Open(log.NewLog(st, middle, log.TopicPartition{Topic: "t"}), partition.Rules{MaxMessageBytes: 1 << 20})
	over := make(chan struct{})
	var writers, readers sync.WaitGroup
	for id := range int64(3) {
		writers.Go(func() { write(t, c, p, id) })
	}
	readers.Go(func() { repeat(over, func() { trimHalf(t, c, p) }) })
	for range 2 {
		readers.Go(func() { repeat(over, func() { readCommitted(t, p.Log()) }) })
		readers.Go(func() { repeat(over, func() { readAndAsk(t, p.Log()) }) })
	}
	writers.Wait()
	close(over)
	readers.Wait()
}

func repeat(over chan struct{}, fn func()) {
	for {
		select {
		case <-over:
			return
		default:
			fn()
		}
	}
}

// write commits transactions of good records and aborts those of bad ones.
func write(t *testing.T, c *Committer, p *partition.Partition, id int64) {
	for i := range int32(200) {
		commit := i%3 == 0
		value := "bad"
		if commit {
			value = "good"
		}
		for n := range int32(2) {
			if err := c.Do(appends(p, inTransaction(t, id, 2*i+n, value))); err != nil {
				t.Error(err)
			}
		}
		if err := c.Do(&Tx{Appends: []Append{marker(p, id, 0, commit)}}); err != nil {
			t.Error(err)
		}
	}
}

// trimHalf removes the first half of a log.
func trimHalf(t *testing.T, c *Committer, p *partition.Partition) {
	start := p.LogStart()
	if _, err := Trim(t.Context(), c, []Move{{p, start + (p.HighWatermark()-start)/2}}); err != nil {
		t.Error(err)
	}
}

// isBad looks into a batch.
func isBad(b log.Batch) bool { return bytes.Contains(b[log.BatchHeaderSize:], []byte("bad")) }

func readCommitted(t *testing.T, l *log.Log) {
	_, err := l.ReadCommitted(l.Start(), nil, func(sb log.StoredBatch) bool {
		if !sb.Batch.Control() && sb.Aborted != isBad(sb.Batch) {
			t.Errorf("the batch at offset %d: aborted %t", sb.LastOffset, sb.Aborted)
		}
		return true
	})
	if err != nil && !errors.Is(err, log.ErrOffsetOutOfRange) {
		t.Error(err)
	}
}

// readAndAsk reads as far as is stable, and asks then what of that was aborted.
func readAndAsk(t *testing.T, l *log.Log) {
	from, to := l.Start(), l.LastStable()
	var all []log.Batch
	err := l.ReadInto(from, func(int) ([]byte, bool) { return nil, true }, func(sb log.StoredBatch) bool {
		if sb.LastOffset < to {
			all = append(all, sb.Batch)
		}
		return sb.LastOffset < to
	})
	if err != nil && !errors.Is(err, log.ErrOffsetOutOfRange) {
		t.Error(err)
	}
	aborted, err := l.Aborted(from, to)
	if errors.Is(err, log.ErrOffsetOutOfRange) {
		return
	}
	if err != nil {
		t.Error(err)
	}
	for _, b := range all {
		was := false
		for _, tx := range aborted {
			was = was || tx.ProducerID == b.ProducerID() && tx.First <= b.BaseOffset() && b.LastOffset() <= tx.Last
		}
		if !b.Control() && was != isBad(b) {
			t.Errorf("the batch at offset %d: aborted %t", b.LastOffset(), was)
		}
	}
}
