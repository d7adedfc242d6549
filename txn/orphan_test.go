package txn

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/internal/writer"
	"github.com/samsa-go/samsa/log"
)

// What is stored of an id is damaged, and nobody begins with it anew. What it has left open is aborted when no transaction
// can be open any more: readers go on, and so do groups.
func TestWhatNobodyWillEnd(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		a, b := tp("a", 0), tp("b", 1)
		p, q := h.init("t"), h.init("u")
		h.must(h.produce("t", p, a, "x", true))
		h.must(h.produce("t", p, b, "x", true))
		h.must(h.CommitOffsets(ctx, "t", p, true, "g", commits(a, 1)))
		time.Sleep(time.Minute / 2)
		h.must(h.produce("t", p, b, "y", true))
		tx := &writer.Tx{}
		tx.Writes.Set(store.TransactionKey("t"), []byte("{"))
		h.must(h.committer.Do(tx))
		h.reopen()
		h.must(h.produce("u", q, a, "u", true))
		_, err := h.End(ctx, "u", q, EndOptions{Commit: true})
		h.must(err)
		open := func(want int) {
			t.Helper()
			synctest.Wait()
			if n := len(h.OpenIn(h.part(a))) + len(h.OpenIn(h.part(b))); n != want {
				t.Fatalf("%d are open, want %d", n, want)
			}
		}
		time.Sleep(defaultMaxTimeout - time.Minute/2 - time.Second)
		open(2)
		time.Sleep(5 * time.Second)
		open(1)
		h.wantCommitted(a, "u ")
		time.Sleep(time.Minute)
		open(0)
		h.wantCommitted(b, "")
		if n := len(h.groups.Pending("g")); n != 0 {
			t.Errorf("%d are pending", n)
		}
		_, err = h.Describe("t")
		h.wantErr("describe", err, log.ErrCorruptValue)
		p = h.init("t")
		h.must(h.produce("t", p, a, "z", true))
		_, err = h.End(ctx, "t", p, EndOptions{Commit: true})
		h.must(err)
		h.wantCommitted(a, "u z ")
	})
}

// Read-only, nothing is aborted.
func TestWhatNobodyWillEndIsOnlyRead(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		lost := Producer{ID: 4000, Epoch: 3}
		h.must(h.committer.Do(&writer.Tx{Appends: []writer.Append{{Partition: h.part(tp("a", 0)), Batch: h.batch(lost, 0, "x")}}}))
		h.opts.ReadOnly = true
		h.reopen()
		time.Sleep(time.Hour)
		if n := len(h.OpenIn(h.part(tp("a", 0)))); n != 1 {
			t.Errorf("%d are open", n)
		}
	})
}

// An epoch that nobody has been given yet is taken for a mistake: a marker of it would keep the producer out of the partition
// until its epoch has come there.
func TestAbortFromTheFuture(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		a, b := tp("a", 0), tp("b", 0)
		p := h.init("t")
		h.must(h.produce("t", p, a, "x", true))
		future := Producer{p.ID, p.Epoch + 7}
		h.wantErr("where it is open", h.abort(a, future), log.ErrProducerFenced)
		h.wantErr("elsewhere", h.abort(b, future), log.ErrProducerFenced)
		h.must(h.produce("t", p, b, "x", true))
		_, err := h.End(ctx, "t", p, EndOptions{Commit: true})
		h.must(err)
		h.wantErr("when it has ended", h.abort(b, future), log.ErrProducerFenced)
		h.must(h.produce("t", p, b, "y", true))
		h.must(h.abort(b, p))
		h.wantCommitted(b, "x ")
		h.must(h.abort(b, Producer{ID: p.ID + 100, Epoch: 9})) // no id has that one
	})
}

// What a partition knows of a producer is damaged, and no id has it: its transaction can be aborted, by hand and in time.
func TestWhatNobodyWillEndOfADamagedProducer(t *testing.T) {
	for _, byHand := range []bool{true, false} {
		inHouse(t, func(t *testing.T, h *house) {
			a := tp("a", 0)
			lost := Producer{ID: 4000, Epoch: 3}
			h.must(h.committer.Do(&writer.Tx{Appends: []writer.Append{{Partition: h.part(a), Batch: h.batch(lost, 0, "x")}}}))
			tx := &writer.Tx{}
			tx.Writes.Set(store.AppendProducerKey(nil, store.ProducerKey{PartitionID: h.part(a).Log().ID(), ID: lost.ID}), []byte("?"))
			h.must(h.committer.Do(tx))
			h.reopen()
			p := h.init("t")
			h.must(h.produce("t", p, a, "y", true))
			_, err := h.End(ctx, "t", p, EndOptions{Commit: true})
			h.must(err)
			h.wantCommitted(a, "")
			if open := h.OpenIn(h.part(a)); byHand {
				_, err = h.Abort(ctx, a, open[0].Producer, open[0].Since)
				h.must(err)
			}
			time.Sleep(defaultMaxTimeout + 2*time.Second)
			synctest.Wait()
			h.wantCommitted(a, "y ")
		})
	}
}

// Offsets that are pending and of no id go when the broker is opened, and not when it only reads.
func TestPendingOfNobody(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		h.must(h.groups.Pend(ctx, &writer.Tx{}, "nobody", "g", commits(tp("a", 0), 1)))
		for _, readOnly := range []bool{true, false} {
			h.opts.ReadOnly = readOnly
			h.reopen()
			if got := len(h.groups.Pending("g")); (got == 1) != readOnly {
				t.Errorf("%d are pending, read-only: %t", got, readOnly)
			}
		}
	})
}
