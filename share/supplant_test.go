package share

import (
	"cmp"
	"context"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/internal/writer"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/partition"
	"github.com/samsa-go/samsa/topic"
)

// What is on its way to the store when the states are deleted meets none there.
func TestDeletedWhileSomethingIsToBeStored(t *testing.T) {
	play(t, Settings{}, func(t *testing.T, h *house) {
		h.produce("t", "a", "b")
		w := partition.NewWaiter()
		if err := h.Watch(key("t"), w); err != nil {
			t.Fatal(err)
		}
		defer h.Unwatch(key("t"), w)
		h.want("first", h.get("m", 2), "0:a 1:b")
		synctest.Wait()
		h.wantErr("renew", h.ack("m", Renew, 0, 1), nil)
		en, _ := h.find(key("t"), false)
		en.mu.Lock()
		told := make(chan struct{})
		en.pending = append(en.pending, &op{member: "m", acks: []Ack{{First: 0, Last: 0, Types: []AckType{Accept}}}, extent: 1, then: func(error) { close(told) }})
		o := en.pending[0]
		o.left.Store(1)
		f := en.flushLocked(true)
		en.mu.Unlock()
		h.wantErr("delete", h.Delete(t.Context(), key("t")), nil)
		h.wantErr("flush", h.committer.Do(&f.tx), log.ErrNotAcquired)
		<-told
		h.wantErr("ack", o.err, log.ErrNotAcquired)
		h.want("anew", h.get("m", 9), "0:a 1:b")
	})
}

// What was to become a dead letter comes again when the group begins anew. Who rejects while it is waited for the next try
// hears at once why there is none.
func TestAlterWhileADeadLetterWaits(t *testing.T) {
	play(t, Settings{DeadLetter: "nowhere"}, func(t *testing.T, h *house) {
		h.produce("t", "a", "b", "c")
		h.want("first", h.get("m", 3), "0:a 1:b 2:c")
		h.wantErr("the topic is missing", h.ack("m", Reject, 0, 0), log.ErrUnknownTopic)
		h.wantErr("still missing", h.ack("m", Reject, 1, 1), ErrDeadLetter)
		h.wantErr("alter", h.Alter(t.Context(), key("t"), 0), nil)
		h.create("nowhere", topic.Config{})
		h.want("anew", h.get("m", 9), "0:a 1:b 2:c")
		h.wantErr("reject", h.ack("m", Reject, 1, 1), nil)
	})
}

// A group may begin behind the end of the log.
func TestBeginBehindTheEnd(t *testing.T) {
	play(t, Settings{}, func(t *testing.T, h *house) {
		h.produce("t", "a", "b")
		h.wantErr("too far", h.Alter(t.Context(), key("t"), math.MaxInt64), log.ErrOffsetOutOfRange)
		h.wantErr("before", h.Alter(t.Context(), key("t"), -1), log.ErrOffsetOutOfRange)
		for _, start := range []int64{maxStart - 1, 3} {
			h.wantErr("alter", h.Alter(t.Context(), key("t"), start), nil)
			h.shut()
			h.open()
			info, ok, err := h.DescribePartition(t.Context(), key("t"))
			if !ok || err != nil || info.Start != start || info.Lag != 0 {
				t.Errorf("got %+v, %v, %v", info, ok, err)
			}
			h.want("nothing yet", h.get("m", 9), "")
		}
		h.produce("t", "c", "d")
		h.want("from there on", h.get("m", 9), "3:d")
		h.wantErr("ack", h.ack("m", Accept, 3, 3), nil)
		h.shut()
		h.open()
		h.want("done", h.get("m", 9), "")
	})
}

// A range of which retention has removed a part is acknowledged as far as it is there.
func TestRetentionOvertakesARange(t *testing.T) {
	play(t, Settings{}, func(t *testing.T, h *house) {
		h.produce("t", "a", "b")
		h.produce("t", "c", "d")
		h.want("first", h.get("m", 9), "0:a 1:b 2:c 3:d")
		p, err := h.partition(key("t"))
		if err == nil {
			_, err = writer.Trim(t.Context(), h.committer, []writer.Move{{Partition: p, Start: 2}})
		}
		if err != nil {
			t.Fatal(err)
		}
		delivery := Ack{First: 0, Last: 3, Types: []AckType{Accept}, Deliveries: 1}
		h.wantErr("ack", h.Acknowledge(t.Context(), key("t"), "m", false, delivery), nil)
		h.wantErr("twice", h.Acknowledge(t.Context(), key("t"), "m", false, delivery), log.ErrInvalidRecordState)
		h.wantErr("gone", h.Acknowledge(t.Context(), key("t"), "m", false, Ack{First: 0, Last: 1, Types: []AckType{Accept}, Deliveries: 1}), nil)
		info, _, err := h.DescribePartition(t.Context(), key("t"))
		if err != nil || info.Lag != 0 || info.InFlight != 0 || info.Acknowledged != 2 {
			t.Errorf("got %+v, %v", info, err)
		}
	})
}

// Offsets before the start are nobody's business, however many there are.
func TestMillionsBeforeTheStart(t *testing.T) {
	play(t, Settings{}, func(t *testing.T, h *house) {
		h.produce("t", "a", "b", "c")
		h.wantErr("alter", h.Alter(t.Context(), key("t"), 10_000_000), nil)
		h.wantErr("before", h.ack("m", Accept, 0, 9_999_999), nil)
		h.wantErr("and what nobody has", h.ack("m", Accept, 0, math.MaxInt64), log.ErrNotAcquired)
		h.wantErr("alter", h.Alter(t.Context(), key("t"), 1), nil)
		h.want("first", h.get("m", 9), "1:b 2:c")
		all := []AckType{Reject, Accept, Release}
		h.wantErr("some", h.Acknowledge(t.Context(), key("t"), "m", false, Ack{First: 0, Last: 2, Types: all}), nil)
		h.want("again", h.get("m", 9), "2:cx2")
	})
}

// A dead letter loses what its topic has no room for.
func TestDeadLetterThatIsTooLarge(t *testing.T) {
	for name, test := range map[string]struct {
		value, reason string
		config        topic.Config
		want          string // the key, the length of the value, and the beginning of the message
	}{
		"value":              {"k=" + strings.Repeat("v", 2000), "bad", topic.Config{}, "k 0 bad The record is too large for this topic."},
		"key":                {strings.Repeat("k", 2000) + "=v", "bad", topic.Config{}, " 0 bad The record is too large for this topic."},
		"key that is needed": {strings.Repeat("k", 2000) + "=v", "bad", topic.Config{CleanupPolicy: topic.Compact}, "t/0@0 0 bad The record is too large for this topic."},
		"reason":             {"k=v", strings.Repeat("é", 1<<20), topic.Config{}, " 0 " + strings.Repeat("é", 256) + "... The record is too large for this topic."},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, Settings{DeadLetter: "small", CopyRecord: true}, func(t *testing.T, h *house) {
				test.config.MaxMessageBytes = 1000
				h.create("small", test.config)
				h.produce("t", test.value)
				_ = h.get("m", 9)
				h.wantErr("reject", h.Acknowledge(t.Context(), key("t"), "m", false, Ack{Types: []AckType{Reject}, Reason: test.reason}), nil)
				ds, err := h.AcquireRecords(t.Context(), AcquireRequest{Key: key("small"), Member: "m", MaxRecords: 10})
				if err != nil || len(ds) != 1 {
					t.Fatalf("got %v, %v", ds, err)
				}
				r := ds[0].Record
				h.want("letter", string(r.Key)+" 0 "+string(r.Headers[len(r.Headers)-1].Value), test.want)
			})
		})
	}
}

// A state of more chunks than a commit takes is deleted, too, and what is left of that when the broker ends half way is
// deleted later.
func TestSupplantMany(t *testing.T) {
	play(t, Settings{}, func(t *testing.T, h *house) {
		h.produce("t", "a", "b")
		h.want("first", h.get("m", 9), "0:a 1:b")
		h.wantErr("ack", h.ack("m", Accept, 1, 1), nil)
		p, err := h.partition(key("t"))
		if err != nil {
			t.Fatal(err)
		}
		many := func() {
			const chunks = 5*supplantEntries + 7
			h.wantErr("alter", h.Alter(t.Context(), key("t"), 0), nil)
			for number := int64(1); number <= chunks; {
				tx := &writer.Tx{}
				for ; number <= chunks && tx.Writes.Len() < 1000; number++ {
					k := store.ShareKey{PartitionID: p.ID(), Group: "g", Chunk: number}
					tx.Writes.Set(store.AppendShareKey(nil, k), allDone.encode())
				}
				if err := h.committer.Do(tx); err != nil {
					t.Fatal(err)
				}
			}
		}
		stored := func() (n int) {
			if err := h.st.Scan(store.ShareRange(), func(store.Entry) (bool, error) { n++; return true, nil }); err != nil {
				t.Fatal(err)
			}
			return n
		}
		many()
		h.wantErr("alter", h.Alter(t.Context(), key("t"), 1), nil)
		if n := stored(); n != 1 {
			t.Errorf("%d keys are stored", n)
		}
		h.want("from there on", h.get("m", 9), "1:b")
		for _, states := range []*Partition{NewPartition(1), nil} { // the first commit of the same, and then the end
			many()
			en, _ := h.find(key("t"), false)
			ctx, cancel := context.WithCancel(t.Context())
			tx := &writer.Tx{Essential: true, Reserve: en.reserve(1)}
			if _, last, err := en.deleteStored(tx); last || err != nil {
				t.Fatal(last, err)
			}
			tx.Check = func() error {
				en.mu.Lock()
				defer en.mu.Unlock()
				en.voidLocked(tx, states)
				return nil
			}
			if err := h.committer.DoUntil(ctx, tx); err != nil {
				t.Fatal(err)
			}
			cancel()
			h.shut()
			h.open()
			if _, ok, err := h.DescribePartition(t.Context(), key("t")); ok || err != nil {
				t.Errorf("the group is somewhere: %v", err)
			}
			want := "1:b"
			if states == nil {
				want = "0:a 1:b"
			}
			h.want("from there on", h.get("m", 9), want)
			time.Sleep(time.Second)
			if n := stored(); n != 2 {
				t.Errorf("%d keys are stored", n)
			}
		}
		many()
		h.wantErr("delete", h.DeleteGroup(t.Context(), "g"), nil)
		if n := stored(); n != 0 {
			t.Errorf("%d keys are stored", n)
		}
	})
}

// A delay is over when the clock says so, also if that was set meanwhile.
func TestTheClockIsSet(t *testing.T) {
	play(t, Settings{}, func(t *testing.T, h *house) {
		h.produce("t", "a@10h")
		w := partition.NewWaiter()
		if err := h.Watch(key("t"), w); err != nil {
			t.Fatal(err)
		}
		defer h.Unwatch(key("t"), w)
		h.want("not yet", h.get("m", 2), "")
		synctest.Wait()
		select {
		case <-w.C(): // of before
		default:
		}
		en, _ := h.find(key("t"), false)
		en.mu.Lock() // ten hours pass at once
		now := nowMs()
		en.states.due[0].atMs = now
		c, i := en.states.window.at(0)
		c.slot(i).untilMs = now
		en.mu.Unlock()
		began := time.Now()
		<-w.C()
		if took := time.Since(began); took > time.Minute {
			t.Errorf("it took %s", took)
		}
		h.want("now", h.get("m", 2), "0:a")
	})
}

// Who finds no room in a flush hears of it that the flush has failed.
func TestAFlushThatFailsLeavesNobody(t *testing.T) {
	play(t, Settings{}, func(t *testing.T, h *house) {
		h.produce("t", "a", "b", "c")
		h.want("first", h.get("m", 9), "0:a 1:b 2:c")
		synctest.Wait()
		en, _ := h.find(key("t"), false)
		en.mu.Lock()
		told := make(chan struct{}, 3)
		for offset := range int64(3) {
			o := &op{member: "m", acks: []Ack{{First: offset, Last: offset, Types: []AckType{Accept}}}, extent: 1500, then: func(error) { told <- struct{}{} }}
			o.left.Store(1)
			en.pending = append(en.pending, o)
		}
		f := en.flushLocked(false)
		en.mu.Unlock()
		check := f.tx.Check
		f.tx.Check = func() error { return cmp.Or(check(), log.ErrFailed) } // as the store would
		began := time.Now()
		h.wantErr("flush", h.committer.Do(&f.tx), log.ErrFailed)
		for range cap(told) {
			<-told
		}
		if took := time.Since(began); took > 0 {
			t.Errorf("it took %s", took)
		}
	})
}
