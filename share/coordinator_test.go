package share

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/topic"
)

// play runs a test in a bubble, with a topic t and a topic dead.
func play(t *testing.T, s Settings, fn func(t *testing.T, h *house)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s.Reset.Kind = ResetEarliest
		h := newHouse(t, s)
		defer h.end()
		h.create("t", topic.Config{})
		h.create("dead", topic.Config{})
		fn(t, h)
	})
}

func (h *house) wantErr(what string, err, want error) {
	h.t.Helper()
	if !errors.Is(err, want) {
		h.t.Errorf("%s: got error %v, want %v", what, err, want)
	}
}

func TestAcksBehindAGapSurvive(t *testing.T) {
	play(t, Settings{}, func(t *testing.T, h *house) {
		h.produce("t", "a", "b", "c", "d")
		h.want("first", h.get("m", 10), "0:a 1:b 2:c 3:d")
		h.want("nothing is left", h.get("n", 10), "")
		h.wantErr("ack", h.ack("m", Accept, 1, 1), nil)
		h.wantErr("ack", h.ack("m", Accept, 3, 3), nil)
		h.wantErr("twice", h.ack("m", Accept, 3, 3), log.ErrInvalidRecordState)
		h.wantErr("by another", h.ack("n", Accept, 2, 2), log.ErrInvalidRecordState)
		h.wantErr("never there", h.ack("n", Accept, 7, 7), log.ErrNotAcquired)
		h.wantErr("one of two", h.ack("m", Accept, 2, 3), log.ErrInvalidRecordState)
		h.shut()
		h.open()
		h.want("what was with somebody comes again", h.get("m", 10), "0:ax2 2:cx2")
		h.wantErr("ack", h.ack("m", Accept, 0, 0), nil)
		h.wantErr("ack", h.ack("m", Accept, 2, 2), nil)
		info, _, err := h.DescribePartition(t.Context(), key("t"))
		if err != nil || info.Start != 4 || info.Lag != 0 || info.InFlight != 0 || info.Deliveries != 2 {
			t.Errorf("got %+v, %v", info, err)
		}
	})
}

func TestLocksRunOut(t *testing.T) {
	play(t, Settings{MaxDeliveries: 2, DeadLetter: "dead", CopyRecord: true}, func(t *testing.T, h *house) {
		h.produce("t", "a", "b")
		h.want("first", h.get("m", 10), "0:a 1:b")
		time.Sleep(20 * time.Second)
		h.wantErr("renew", h.ack("m", Renew, 0, 0), nil)
		time.Sleep(10*time.Second - time.Millisecond)
		h.want("not yet", h.get("n", 10), "")
		time.Sleep(time.Millisecond)
		h.want("second", h.get("n", 10), "1:bx2")
		h.wantErr("late", h.ack("m", Accept, 1, 1), log.ErrInvalidRecordState)
		time.Sleep(20 * time.Second)
		h.want("the lock that began anew", h.get("n", 10), "0:ax2")
		time.Sleep(time.Minute)
		synctest.Wait()
		h.want("no more", h.get("n", 10), "")
		info, _, _ := h.DescribePartition(t.Context(), key("t"))
		if info.Lag != 0 || info.DeadLetters != 2 || info.Expired != 4 {
			t.Errorf("got %+v", info)
		}
		ds, err := h.AcquireRecords(t.Context(), AcquireRequest{Key: key("dead"), Member: "m", MaxRecords: 10})
		if err != nil || len(ds) != 2 || string(ds[0].Record.Value) != "b" || string(ds[0].Record.Headers[4].Value) != "2" {
			t.Errorf("dead letters: %v, %v", ds, err)
		}
	})
}

func TestDelaysAndBackoff(t *testing.T) {
	play(t, Settings{Backoff: Backoff{Min: time.Second, Factor: 2, Max: 3 * time.Second}}, func(t *testing.T, h *house) {
		h.produce("t", "a@10s", "b", "c@5s")
		h.want("first", h.get("m", 10), "1:b")
		h.wantErr("release", h.ack("m", Release, 1, 1), nil)
		h.want("waits", h.get("m", 10), "")
		time.Sleep(time.Second)
		h.want("second", h.get("m", 10), "1:bx2")
		h.wantErr("release", h.ack("m", Release, 1, 1), nil)
		h.shut()
		h.open()
		time.Sleep(2*time.Second - time.Millisecond)
		h.want("waits after all", h.get("m", 10), "")
		time.Sleep(time.Millisecond)
		h.want("third", h.get("m", 10), "1:bx3")
		time.Sleep(2 * time.Second)
		h.want("its time", h.get("m", 10), "2:c")
		time.Sleep(5 * time.Second)
		h.want("its time", h.get("m", 10), "0:a")
	})
}

func TestOrderByKey(t *testing.T) {
	play(t, Settings{OrderByKey: true}, func(t *testing.T, h *house) {
		h.produce("t", "k=1", "l=2", "k=3", "4", "5", "k=6")
		h.want("first", h.get("m", 10), "0:1 1:2 3:4 4:5")
		h.wantErr("ack", h.ack("m", Accept, 3, 4), nil)
		h.want("nothing", h.get("m", 10), "")
		h.wantErr("release", h.ack("m", Release, 0, 0), nil)
		h.want("it again", h.get("m", 10), "0:1x2")
		h.wantErr("ack", h.ack("m", Accept, 0, 0), nil)
		h.want("the next", h.get("m", 10), "2:3")
		h.wantErr("reject", h.ack("m", Reject, 2, 2), nil)
		h.want("the last", h.get("m", 10), "5:6")
	})
}

func TestReject(t *testing.T) {
	play(t, Settings{DeadLetter: "dead", CopyRecord: true}, func(t *testing.T, h *house) {
		h.produce("t", "a", "b")
		h.want("first", h.get("m", 10), "0:a 1:b")
		h.wantErr("reject", h.Acknowledge(t.Context(), key("t"), "m", false, Ack{First: 0, Last: 0, Types: []AckType{Reject}, Reason: "no address"}), nil)
		ds, err := h.AcquireRecords(t.Context(), AcquireRequest{Key: key("dead"), Member: "m", MaxRecords: 10})
		if err != nil || len(ds) != 1 || string(ds[0].Record.Headers[5].Value) != "no address" {
			t.Errorf("dead letters: %v, %v", ds, err)
		}
		if err := h.topics.Delete(t.Context(), "dead"); err != nil {
			t.Fatal(err)
		}
		h.wantErr("nowhere to go", h.ack("m", Reject, 1, 1), log.ErrUnknownTopic)
		h.want("it is with nobody", h.get("m", 10), "")
		h.create("dead", topic.Config{})
		time.Sleep(time.Second)
		synctest.Wait()
		info, _, _ := h.DescribePartition(t.Context(), key("t"))
		if info.Lag != 0 || info.Start != 2 {
			t.Errorf("got %+v", info)
		}
	})
}

// Who is woken by the end of a partition is told why, though the topic is in the catalogue for a moment more: nobody wakes
// them again.
func TestEndedPartition(t *testing.T) {
	play(t, Settings{}, func(t *testing.T, h *house) {
		h.want("nothing there", h.get("m", 10), "")
		found, err := h.topics.Get("t")
		if err != nil {
			t.Fatal(err)
		}
		p, err := found.Partition(0)
		if err != nil {
			t.Fatal(err)
		}
		p.End(log.ErrUnknownTopic)
		_, err = h.AcquireRecords(t.Context(), AcquireRequest{Key: key("t"), Member: "m", MaxRecords: 10})
		h.wantErr("acquire", err, log.ErrUnknownTopic)
	})
}

func TestTopicIsMadeAnew(t *testing.T) {
	play(t, Settings{}, func(t *testing.T, h *house) {
		h.produce("t", "a", "b")
		h.want("first", h.get("m", 10), "0:a 1:b")
		h.wantErr("ack", h.ack("m", Accept, 1, 1), nil)
		if err := h.topics.Delete(t.Context(), "t"); err != nil {
			t.Fatal(err)
		}
		h.wantErr("gone", h.ack("m", Accept, 0, 0), log.ErrUnknownTopic)
		h.create("t", topic.Config{})
		h.produce("t", "c")
		h.wantErr("another topic's", h.ack("m", Accept, 0, 0), log.ErrNotAcquired)
		h.want("all is new", h.get("m", 10), "0:c")
	})
}

func TestAlterAndDelete(t *testing.T) {
	play(t, Settings{}, func(t *testing.T, h *house) {
		h.produce("t", "a", "b", "c")
		h.want("first", h.get("m", 2), "0:a 1:b")
		h.wantErr("ack", h.ack("m", Accept, 0, 1), nil)
		h.wantErr("alter", h.Alter(t.Context(), key("t"), 1), nil)
		h.want("again", h.get("m", 2), "1:b 2:c")
		h.wantErr("below the start", h.ack("m", Accept, 0, 0), nil)
		h.shut()
		h.open()
		h.want("again", h.get("m", 2), "1:bx2 2:cx2")
		h.wantErr("delete", h.DeleteGroup(t.Context(), "g"), nil)
		h.wantErr("delete", h.DeleteGroup(t.Context(), "g"), log.ErrUnknownGroup)
		h.wantErr("ack", h.ack("m", Accept, 1, 1), log.ErrNotAcquired)
		h.want("anew", h.get("m", 9), "0:a 1:b 2:c")
	})
}

// What is stored of a group in a partition and damaged costs the group that partition, until somebody says where it begins.
func TestDamagedState(t *testing.T) {
	play(t, Settings{}, func(t *testing.T, h *house) {
		h.produce("t", "a", "b")
		h.want("first", h.get("m", 1), "0:a")
		synctest.Wait()
		for what, damage := range map[string]struct {
			chunk int64
			value []byte
		}{"start": {-1, []byte{9}}, "chunk": {0, []byte{1, 2}}, "chunk of nowhere": {1 << 40, []byte{1}}, "no start": {-1, nil}} {
			p, err := h.partition(key("t"))
			if err != nil {
				t.Fatal(err)
			}
			h.shut()
			var b store.Batch
			k := store.AppendShareKey(nil, store.ShareKey{PartitionID: p.ID(), Group: "g", Chunk: damage.chunk})
			if damage.value == nil {
				b.Delete(k)
			} else {
				b.Set(k, damage.value)
			}
			if err := h.st.Commit(&b); err != nil {
				t.Fatal(err)
			}
			h.open()
			_, err = h.AcquireRecords(t.Context(), AcquireRequest{Key: key("t"), Member: "m", MaxRecords: 1})
			h.wantErr(what, err, log.ErrCorruptValue)
			h.wantErr(what, h.ack("m", Accept, 0, 0), log.ErrCorruptValue)
			_, err = h.Describe(t.Context(), "g")
			h.wantErr(what, err, log.ErrCorruptValue)
			h.wantErr(what, h.Alter(t.Context(), key("t"), 1), nil)
			h.want(what, h.get("m", 9), "1:b")
			synctest.Wait() // what was delivered is stored
		}
	})
}
