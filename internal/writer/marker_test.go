package writer

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/partition"
)

// inTransaction is a batch of a transaction of a producer, in epoch 0.
func inTransaction(t testing.TB, producer int64, sequence int32, values ...string) log.Batch {
	t.Helper()
	const attributes, transactional = 22, 1 << 4
	b := batch(t, values...)
	b[attributes] |= transactional
	b.SetProducer(producer, 0, sequence)
	return b
}

func marker(p *partition.Partition, producer int64, epoch int16, commit bool) Append {
	return Append{Partition: p, Batch: log.Marker(producer, epoch, commit, 1000)}
}

// stable is what a reader of what is committed gets of p, with the offsets of aborted batches in brackets, and where it ends.
func stable(t testing.TB, l *log.Log) string {
	t.Helper()
	var words []string
	_, err := l.ReadCommitted(l.Start(), nil, func(sb log.StoredBatch) bool {
		word := fmt.Sprint(sb.Batch.BaseOffset())
		switch {
		case sb.Batch.Control():
			word += "!"
		case sb.Aborted:
			word = "[" + word + "]"
		}
		words = append(words, word)
		return true
	})
	if err != nil {
		words = append(words, err.Error())
	}
	return strings.Join(append(words, fmt.Sprintf("<%d", l.LastStable())), " ")
}

// again is p's log as it is in the store.
func (s *scene) again(p *partition.Partition) *log.Log {
	s.t.Helper()
	l, err := log.OpenLog(s.desk.Store, p.ID(), p.TopicPartition())
	if err != nil {
		s.t.Fatal(err)
	}
	return l
}

// A transaction over several partitions ends with one commit, with whatever else belongs to it.
func TestEndOfATransaction(t *testing.T) {
	for _, commit := range []bool{true, false} {
		play(t, func(t *testing.T, s *scene) {
			ps := []*partition.Partition{s.partition(0), s.partition(1), s.partition(2)}
			for i, p := range ps {
				s.submit("plain", appends(p, batch(t, "plain")))
				s.submit("inside", appends(p, inTransaction(t, 7, 0, "a")))
				s.submit("behind", appends(p, batch(t, fmt.Sprint(i))))
			}
			for _, p := range ps {
				if got := stable(t, p.Log()); got != "0 <1" {
					t.Errorf("before, %s is %s", p.TopicPartition(), got)
				}
			}
			end := writes("offset")
			for _, p := range ps {
				end.Appends = append(end.Appends, marker(p, 7, 0, commit))
			}
			before := s.Stats()
			s.desk.hold = true
			s.submit("end", end)
			for _, p := range ps {
				if got := stable(t, p.Log()); got != "0 <1" || p.Log().OpenSince(7) != -1 {
					t.Errorf("while it is on its way, %s is %s, open since %d", p.TopicPartition(), got, p.Log().OpenSince(7))
				}
			}
			if held := s.desk.held[0]; held.b.Len() > 1+3*MarkerEntries || held.bytes > end.size.bytes {
				t.Errorf("%d entries, %d bytes, more than %+v", held.b.Len(), held.bytes, end.size)
			}
			s.desk.land(0, nil)
			s.hears(append(strings.Fields(strings.Repeat("plain inside behind ", 3)), "end")...)
			if after := s.Stats(); after.Commits != before.Commits+1 || after.Records != before.Records || after.Batches != before.Batches+3 {
				t.Errorf("before %+v, after %+v", before, after)
			}
			want := map[bool]string{true: "0 1 2 3! <4", false: "0 [1] 2 3! <4"}[commit]
			for _, p := range ps {
				if got := stable(t, p.Log()); got != want {
					t.Errorf("%s is %s, want %s", p.TopicPartition(), got, want)
				}
				if got := stable(t, s.again(p)); got != want {
					t.Errorf("reopened, %s is %s, want %s", p.TopicPartition(), got, want)
				}
			}
			if !s.has("offset") {
				t.Error("what belongs to it is not there")
			}
		})
	}
}

// All of it is decided in one commit group, in the order of the calls.
func TestTransactionsInOneCommitGroup(t *testing.T) {
	play(t, func(t *testing.T, s *scene) {
		p := s.partition(0)
		s.busy(func() {
			s.submitOnly("small", appends(p, batch(t, "folded")))
			s.submitOnly("a", appends(p, inTransaction(t, 7, 0, "a")))
			s.submitOnly("b", appends(p, inTransaction(t, 8, 0, "b")))
			s.submitOnly("outside", sent(t, p, 1, "x"))
			s.submitOnly("abort a", &Tx{Appends: []Append{marker(p, 7, 1, false)}})
			s.submitOnly("late", appends(p, inTransaction(t, 7, 1, "late")))
			s.submitOnly("abort a again", &Tx{Appends: []Append{marker(p, 7, 0, false)}})
			s.submitOnly("commit b", &Tx{Appends: []Append{marker(p, 8, 0, true)}})
			s.submitOnly("c", appends(p, inTransaction(t, 9, 0, "c")))
		})
		s.hears("outside: invalid", "late: fenced", "abort a again: fenced", "small", "a", "b", "abort a", "commit b", "c")
		if got, want := stable(t, p.Log()), "0 [1] 2 3! 4! <5"; got != want || s.Stats().Commits != 1 {
			t.Errorf("it is %s, want %s, %d commits", got, want, s.Stats().Commits)
		}
		if got := stable(t, s.again(p)); got != stable(t, p.Log()) {
			t.Errorf("reopened it is %s", got)
		}
	})
}

// As many partitions as one commit of the store has room for.
func TestEndOfALargeTransaction(t *testing.T) {
	play(t, func(t *testing.T, s *scene) {
		begin, end := &Tx{}, &Tx{}
		for i := range s.desk.Limits().Entries / MarkerEntries {
			p := s.partition(i)
			begin.Appends = append(begin.Appends, Append{Partition: p, Batch: inTransaction(t, 7, 0, "a")})
			end.Appends = append(end.Appends, marker(p, 7, 1, false))
		}
		s.submit("begin", begin)
		s.submit("end", end)
		s.hears("begin", "end")
		for _, a := range end.Appends {
			if got := stable(t, a.Partition.Log()); got != "[0] 1! <2" {
				t.Fatalf("%s is %s", a.Partition.TopicPartition(), got)
			}
		}
		end.Reset()
		end.Appends = append(end.Appends, make([]Append, s.desk.Limits().Entries/MarkerEntries+1)...)
		for i := range end.Appends {
			end.Appends[i] = marker(s.partition(0), int64(i), 0, true)
		}
		s.submit("more", end)
		s.hears("more: too large")
	})
}

// A transaction whose end is refused in one partition ends in none.
func TestEndIsRefusedWhole(t *testing.T) {
	play(t, func(t *testing.T, s *scene) {
		p, q := s.partition(0), s.partition(1)
		s.submit("a", &Tx{Appends: []Append{
			{Partition: p, Batch: inTransaction(t, 7, 0, "a")}, {Partition: q, Batch: inTransaction(t, 7, 0, "a")},
		}})
		s.submit("epoch", &Tx{Appends: []Append{marker(q, 7, 1, false)}})
		s.submit("fenced", &Tx{Appends: []Append{marker(p, 7, 0, true), marker(q, 7, 0, true)}})
		broken := marker(p, 7, 0, true)
		broken.Batch[len(broken.Batch)-1]++ // there are headers, it says
		s.submit("broken", &Tx{Appends: []Append{broken}})
		q.End(log.ErrUnknownTopic)
		s.submit("gone", &Tx{Appends: []Append{marker(p, 7, 1, true), marker(q, 7, 1, true)}})
		if got := stable(t, p.Log()); got != "<0" {
			t.Errorf("it is %s", got)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if got, want := strings.Join(s.told, ", "), "a, epoch, fenced: fenced, broken: corrupt, gone: gone"; got != want {
			t.Errorf("told %s, want %s", got, want)
		}
		s.told = nil
	})
}

// A transaction must be able to end whatever its topic's limit is.
func TestMarkersHaveNoLimit(t *testing.T) {
	play(t, func(t *testing.T, s *scene) {
		p := s.partition(0)
		s.submit("a", appends(p, inTransaction(t, 7, 0, "a")))
		p.SetRules(partition.Rules{MaxMessageBytes: 1, LogAppendTime: true})
		s.submit("abort", &Tx{Appends: []Append{marker(p, 7, 0, false)}})
		s.hears("a", "abort")
		if got := stable(t, p.Log()); got != "[0] 1! <2" {
			t.Errorf("it is %s", got)
		}
	})
}

// Nobody knows whether it is stored: what was not committed for sure is not shown.
func TestEndInDoubt(t *testing.T) {
	play(t, func(t *testing.T, s *scene) {
		p := s.partition(0)
		s.submit("a", appends(p, inTransaction(t, 7, 0, "a")))
		s.desk.hold = true
		s.submit("commit", &Tx{Appends: []Append{marker(p, 7, 0, true)}})
		s.desk.land(0, errBroken)
		s.hears("a", "commit: in doubt")
		if got := stable(t, p.Log()); got != "<0" {
			t.Errorf("it is %s", got)
		}
	})
}

// What is known of aborted transactions goes when the log start has passed their ends.
func TestTrimRemovesAborted(t *testing.T) {
	play(t, func(t *testing.T, s *scene) {
		p := s.partition(0)
		for i := range int32(6) {
			s.submit("x", appends(p, inTransaction(t, 7, i, "a")))
			s.submit("x", &Tx{Appends: []Append{marker(p, 7, 0, i%3 == 2)}})
		}
		s.submit("x", appends(p, inTransaction(t, 7, 6, "a")))
		s.hears(strings.Fields(strings.Repeat("x ", 13))...)
		for _, tt := range []struct {
			start int64
			left  int
			want  string
		}{
			{1, 4, "1! [2] 3! 4 5! [6] 7! [8] 9! 10 11! <12"},
			{2, 3, "[2] 3! 4 5! [6] 7! [8] 9! 10 11! <12"},
			{7, 2, "7! [8] 9! 10 11! <12"},
			{9, 1, "9! 10 11! <12"},
			{13, 0, "<13"},
		} {
			if _, err := Trim(t.Context(), s.Committer, []Move{{p, tt.start}}); err != nil {
				t.Fatal(err)
			}
			left := 0
			err := s.desk.Scan(store.AbortedRange(p.ID(), 0), func(store.Entry) (bool, error) { left++; return true, nil })
			if err != nil || left != tt.left {
				t.Errorf("from %d: %d are left, %v, want %d", tt.start, left, err, tt.left)
			}
			for _, l := range []*log.Log{p.Log(), s.again(p)} {
				if got := stable(t, l); got != tt.want {
					t.Errorf("from %d it is %s, want %s", tt.start, got, tt.want)
				}
			}
			if _, err := p.Log().Aborted(tt.start-1, tt.start); !errors.Is(err, log.ErrOffsetOutOfRange) {
				t.Errorf("before %d: %v", tt.start, err)
			}
		}
	})
}
