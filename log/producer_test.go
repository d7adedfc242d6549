package log

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/samsa-go/samsa/internal/store"
)

// sequencedSpan is span of a producer: its first record has the sequence.
func sequencedSpan(t fataler, base, n, id int64, epoch int16, sequence int32) Batch {
	t.Helper()
	env := span(t, base, n)
	env.SetProducer(id, epoch, sequence)
	env.SetBaseOffset(base)
	return env
}

// verdict is the word for what CheckProducer says.
func verdict(duplicateOf int64, err error) string {
	switch {
	case errors.Is(err, ErrOutOfOrderSequence):
		return "gap"
	case errors.Is(err, ErrProducerFenced):
		return "fenced"
	case errors.Is(err, ErrInvalidTxnState):
		return "invalid"
	case err != nil:
		return err.Error()
	case duplicateOf >= 0:
		return fmt.Sprintf("again@%d", duplicateOf)
	}
	return "next"
}

// TestCheckProducer plays what producer 7 sends: epoch:first sequence+records, and what the
// log says of it. What is next is staged.
func TestCheckProducer(t *testing.T) {
	const end = math.MaxInt32
	for _, tt := range []struct{ name, sent, want string }{
		{"in order", "0:0+3 0:3+1 0:4+2", "next next next"},
		{"each of the last five again", "0:0+1 0:1+2 0:3+1 0:4+1 0:5+3 0:5+3 0:0+1 0:3+1 0:8+1", "next next next next next again@5 again@0 again@3 next"},
		{"older than the last five", "0:0+1 0:1+1 0:2+1 0:3+1 0:4+1 0:5+1 0:0+1 0:1+1", "next next next next next next gap again@1"},
		{"a gap, then what was missing", "0:0+1 0:2+1 0:1+1 0:2+1", "next gap next next"},
		{"a part of an old batch", "0:0+3 0:0+2 0:1+2 0:2+2", "next gap gap gap"},
		{"unknown, it may begin anywhere", "3:41+1 3:42+1 3:41+1", "next next again@0"},
		{"a new epoch begins with 0", "0:0+5 1:5+1 1:0+1 1:0+1 1:1+1", "next gap next again@5 next"},
		{"an old epoch is over", "2:0+1 1:0+1 1:1+1 2:1+1", "next fenced fenced next"},
		{"what an old epoch sent is no duplicate", "0:0+1 0:1+1 1:0+1 1:1+1", "next next next next"},
		{"sequences begin again after the largest", fmt.Sprintf("0:%d+3 0:1+1 0:2+1 0:%d+3 0:1+1", end-1, end-1), "next next next again@0 again@3"},
		{"a batch that ends with the largest", fmt.Sprintf("0:%d+2 0:0+1", end-1), "next next"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newLog(t)
			var got []string
			for _, word := range strings.Fields(tt.sent) {
				var epoch int16
				var sequence int32
				var n int64
				if _, err := fmt.Sscanf(word, "%d:%d+%d", &epoch, &sequence, &n); err != nil {
					t.Fatal(err)
				}
				env := sequencedSpan(t, 0, n, 7, epoch, sequence)
				v := verdict(l.CheckProducer(env))
				if v == "next" {
					stageSequenced(t, l, env)
				}
				got = append(got, v)
			}
			if got := strings.Join(got, " "); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
			// What was stored says the same.
			again := open(t, l.st)
			if got, want := fmt.Sprint(again.Producers()), fmt.Sprint(l.Producers()); got != want {
				t.Errorf("reopened, the log knows %s, before %s", got, want)
			}
		})
	}
}

// stageSequenced does what the committer does with a batch of a producer.
func stageSequenced(t fataler, l *Log, env Batch) {
	t.Helper()
	var b store.Batch
	s, keys := l.Stage(&b, nil, env, 1001+l.next)
	l.StageProducers(&b, keys)
	commit(t, l.st, &b)
	l.Applied(s)
}

func TestNumber(t *testing.T) {
	l := newLog(t)
	for i, want := range []int32{0, 3, 6} {
		env := span(t, 0, 3)
		l.Number(env, 9)
		if _, err := ParseBatch(env); err != nil {
			t.Fatal(err)
		}
		if b := env; b.ProducerID() != 9 || b.ProducerEpoch() != 0 || b.BaseSequence() != want {
			t.Errorf("batch %d has producer %d, epoch %d, sequence %d", i, b.ProducerID(), b.ProducerEpoch(), b.BaseSequence())
		}
		stageSequenced(t, l, env)
		if got := l.StoredOf(9); got != int64(want)+3 {
			t.Errorf("%d records were stored, want %d", got, want+3)
		}
	}
	if got := l.StoredOf(8); got != 0 {
		t.Errorf("%d records of somebody else", got)
	}
}

func TestForgetProducer(t *testing.T) {
	l := newLog(t)
	stageSequenced(t, l, sequencedSpan(t, 0, 1, 7, 0, 0))
	used := l.Producers()[0].UsedAt
	if l.UnusedSince(7, used-1) || l.ForgetProducer(7, used-1) {
		t.Error("forgotten although it was used since")
	}
	if !l.UnusedSince(7, used) || !l.ForgetProducer(7, used) || l.ForgetProducer(7, used) {
		t.Error("not forgotten")
	}
	if got := verdict(l.CheckProducer(sequencedSpan(t, 0, 1, 7, 0, 99))); got != "next" {
		t.Errorf("then a batch with any sequence is %q", got)
	}
}

func FuzzDecodeProducer(f *testing.F) {
	s := producerState{epoch: 3, next: 1 << 40, usedAt: 1e12, named: true, open: -1, recent: []sequenced{{0, 4, 4}, {5, 5, 9}}}
	f.Add(s.append(nil))
	s.open = 5
	f.Add(s.append(nil))
	f.Add((&producerState{open: -1}).append(nil))
	f.Add((&producerState{}).append(nil))
	f.Add([]byte{1})
	f.Fuzz(func(t *testing.T, v []byte) {
		s, err := decodeProducer(v)
		if err != nil {
			if !errors.Is(err, ErrCorruptValue) {
				t.Errorf("%v is not ErrCorruptValue", err)
			}
			return
		}
		if again := s.append(nil); !bytes.Equal(again, v) {
			t.Errorf("%x was read as %+v, which is %x", v, s, again)
		}
	})
}
