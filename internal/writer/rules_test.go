package writer

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/partition"
)

func TestLogAppendTime(t *testing.T) {
	play(t, func(t *testing.T, s *scene) {
		p := s.partition(0)
		s.submit("own time", appends(p, batch(t, "a", "b")))
		p.SetRules(partition.Rules{MaxMessageBytes: 1 << 20, LogAppendTime: true})
		time.Sleep(90 * time.Minute) // of the bubble
		now := time.Now().UnixMilli()
		tx := appends(p, batch(t, "c", "d"))
		s.submit("stamped", tx)
		s.hears("own time", "stamped")
		if a := tx.Appends[0]; a.AppendTime != now || a.BaseOffset != 2 {
			t.Errorf("told time %d, offset %d, want %d, 2", a.AppendTime, a.BaseOffset, now)
		}
		_, err := p.Read(2, nil, func(sb log.StoredBatch) bool {
			if sb.Err != nil {
				t.Fatalf("the batch: %v", sb.Err)
			}
			b, err := log.ParseBatch(sb.Batch)
			if err != nil {
				t.Fatalf("Kafka's CRC: %v", err)
			}
			if !b.LogAppendTime() || b.MaxTimestamp() != now {
				t.Errorf("stamped: %t, %d, want %d", b.LogAppendTime(), b.MaxTimestamp(), now)
			}
			return true
		})
		if err != nil {
			t.Error(err)
		}
		if offset, ms, ok, err := p.OffsetForTime(log.ReadUncommitted, 5000); !ok || err != nil || offset != 2 || ms != now {
			t.Errorf("by time: got %d, %d, %t, %v", offset, ms, ok, err)
		}
		if got := content(t, p); got != "0:a 1:b 2:c 3:d" {
			t.Errorf("got %s", got)
		}
	})
}

func TestMaxMessageBytes(t *testing.T) {
	play(t, func(t *testing.T, s *scene) {
		p := s.partition(0)
		env := batch(t, "some value")
		p.SetRules(partition.Rules{MaxMessageBytes: len(env) - 1})
		err := s.Do(appends(p, env))
		if !errors.Is(err, log.ErrRecordTooLarge) || !strings.Contains(err.Error(), "t/0") || !strings.Contains(err.Error(), "max.message.bytes") {
			t.Errorf("one byte too large: got error %v", err)
		}
		p.SetRules(partition.Rules{MaxMessageBytes: len(env)})
		if err := s.Do(appends(p, env)); err != nil {
			t.Errorf("just fits: %v", err)
		}
		if p.Rules().MaxMessageBytes != len(env) || p.HighWatermark() != 1 {
			t.Errorf("got %+v, %d", p.Rules(), p.HighWatermark())
		}
	})
}

func TestEndedPartition(t *testing.T) {
	play(t, func(t *testing.T, s *scene) {
		p := s.partition(3)
		s.submit("a", appends(p, batch(t, "a")))
		s.hears("a")
		watching, gone := partition.NewWaiter(), partition.NewWaiter()
		p.Watch(watching)
		p.Watch(gone)
		p.Unwatch(gone)
		if p.Err() != nil {
			t.Errorf("ended already: %v", p.Err())
		}

		p.End(log.ErrUnknownTopic)
		p.End(log.ErrClosed) // the first reason stays
		if !woken(watching) || woken(gone) {
			t.Error("watchers must be woken, others not")
		}
		if err := p.Err(); !errors.Is(err, log.ErrUnknownTopic) || errors.Is(err, log.ErrClosed) || !strings.Contains(err.Error(), "t/3") {
			t.Errorf("the reason is %v", err)
		}
		s.submit("b", appends(p, batch(t, "b")))
		s.hears("b: gone")
		if _, err := p.Read(0, nil, func(log.StoredBatch) bool { return true }); !errors.Is(err, log.ErrUnknownTopic) {
			t.Errorf("Read: got error %v", err)
		}
		if _, _, _, err := p.OffsetForTime(log.ReadUncommitted, 0); !errors.Is(err, log.ErrUnknownTopic) {
			t.Errorf("OffsetForTime: got error %v", err)
		}
		if p.LogStart() != 0 || p.HighWatermark() != 1 {
			t.Errorf("bounds [%d, %d)", p.LogStart(), p.HighWatermark())
		}
	})
}

// A reader asks, finds nothing, and sleeps: what comes in between wakes it.
func TestNoWakeUpIsLost(t *testing.T) {
	play(t, func(t *testing.T, s *scene) {
		p, q := s.partition(0), s.partition(1)
		w := partition.NewWaiter()
		p.Watch(w)
		q.Watch(w)
		for i := range 3 {
			for _, at := range []*partition.Partition{p, q} {
				before := at.HighWatermark()
				s.submit("", appends(at, batch(t, "x")))
				<-w.C()
				if at.HighWatermark() != before+1 {
					t.Errorf("round %d: woken and nothing to see", i)
				}
			}
		}
		s.told = nil
	})
}
