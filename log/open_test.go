package log

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/samsa-go/samsa/internal/store"
)

// unwritten is a store that nobody may write to.
type unwritten struct {
	store.Store
	t fataler
}

func (s unwritten) Commit(*store.Batch) error {
	s.t.Fatalf("written to")
	return nil
}

func (s unwritten) Sync() error {
	s.t.Fatalf("synced")
	return nil
}

func open(t fataler, st store.Store) *Log {
	t.Helper()
	l, err := OpenLog(unwritten{st, t}, ordersID, orders)
	if err != nil {
		t.Fatalf("OpenLog: %v", err)
	}
	l.st = st
	return l
}

func TestOpenLog(t *testing.T) {
	for _, tt := range []struct {
		name, left string
		start      int64
		end        int64
		log        string
	}{
		{name: "nothing was written"},
		{name: "all good", left: "0-9 10-19", end: 20, log: "0-9 10-19"},
		{name: "damage is left for Read", left: "0-9 10-19! 20-29!", end: 30, log: "0-9 ..19! ..29!"},
		{name: "log start between batches", left: "10-19 20-29", start: 10, end: 30, log: "10-19 20-29"},
		{name: "log start inside a batch", left: "10-19 20-29", start: 15, end: 30, log: "10-19 20-29"},
		{name: "log start behind everything", left: "0-9", start: 30, end: 30},
	} {
		t.Run(tt.name, func(t *testing.T) {
			st := memory(t)
			for _, word := range strings.Fields(tt.left) {
				var base, last int64
				if _, err := fmt.Sscanf(word, "%d-%d", &base, &last); err != nil {
					t.Fatal(err)
				}
				env := span(t, base, last-base+1)
				key := keyOf(env)
				if strings.HasSuffix(word, "!") {
					env = env[:len(env)-1]
				}
				set(t, st, key, env)
			}
			if tt.start > 0 {
				set(t, st, store.LogStartKey(ordersID), store.OffsetValue(tt.start))
			}
			l := open(t, st)
			if l.Start() != tt.start || l.End() != tt.end {
				t.Errorf("the log is [%d,%d), want [%d,%d)", l.Start(), l.End(), tt.start, tt.end)
			}
			if got := seen(t, l, tt.start); got != tt.log {
				t.Errorf("the log is %q, want %q", got, tt.log)
			}
		})
	}
}

func TestOpenLogBadLogStart(t *testing.T) {
	st := memory(t)
	set(t, st, store.LogStartKey(ordersID), []byte("soon"))
	_, err := OpenLog(st, ordersID, orders)
	if !errors.Is(err, store.ErrCorrupt) || !strings.Contains(err.Error(), "orders/1: log start offset") {
		t.Errorf("got error %v", err)
	}
}

// A producer that wrote while the clock was ahead counts as used when the log is opened: else nobody forgets it until the clock
// is there again.
func TestOpenLogProducerOfTheFuture(t *testing.T) {
	st := memory(t)
	l := NewLog(st, ordersID, orders)
	var b store.Batch
	staged, keys := l.Stage(&b, nil, sequencedSpan(t, 0, 3, 7, 0, 0), time.Now().Add(1000*time.Hour).UnixMilli())
	l.StageProducers(&b, keys)
	commit(t, st, &b)
	l.Applied(staged)
	l = open(t, st)
	if got := l.Producers()[0].UsedAt; got > time.Now().UnixMilli() {
		t.Errorf("used at %s", time.UnixMilli(got))
	}
}

// A damaged state stays as it is, open after open, used just now and by somebody with a name, for all
// that is known: nobody is told that the producer has stored nothing. It may begin anew.
func TestOpenLogDamagedProducer(t *testing.T) {
	st := memory(t)
	l := NewLog(st, ordersID, orders)
	stageSequenced(t, l, sequencedSpan(t, 0, 3, 7, 0, 0))
	key := store.AppendProducerKey(nil, store.ProducerKey{PartitionID: ordersID, ID: 7})
	set(t, st, key, []byte("damaged"))
	before := time.Now().UnixMilli()
	for range 2 {
		l = open(t, st)
		if err := l.ProducerErr(7); !errors.Is(err, ErrCorruptValue) || len(l.Damaged()) != 1 {
			t.Errorf("the producer: %v, damaged: %v", err, l.Damaged())
		}
		if got := l.Producers(); len(got) != 1 || got[0].UsedAt < before || !got[0].Named {
			t.Errorf("the log knows %+v", got)
		}
		if v, err := st.Get(key); err != nil || string(v) != "damaged" {
			t.Errorf("it is stored as %q, %v", v, err)
		}
	}
	if got := verdict(l.CheckProducer(sequencedSpan(t, 3, 1, 7, 0, 3))); got != "gap" {
		t.Errorf("its next batch is %q", got)
	}
	anew := sequencedSpan(t, 3, 1, 7, 1, 0)
	if got := verdict(l.CheckProducer(anew)); got != "next" {
		t.Errorf("a new beginning is %q", got)
	}
	stageSequenced(t, l, anew)
	if err := l.ProducerErr(7); err != nil {
		t.Errorf("then: %v", err)
	}
}
