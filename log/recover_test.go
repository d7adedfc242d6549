package log

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/samsa-go/samsa/internal/store"
)

// found is a store that counts what is done to it, and can fail the n-th commit, counted from 1.
type found struct {
	store.Store
	entries     int // of Limits, when not 0
	commits     int
	failsCommit int
	syncs       int
}

var errBroken = errors.New("the disk is broken")

func (s *found) Limits() store.Limits {
	l := s.Store.Limits()
	if s.entries > 0 {
		l.Entries = s.entries
	}
	return l
}

func (s *found) Commit(b *store.Batch) error {
	if s.commits++; s.commits == s.failsCommit {
		return errBroken
	}
	return s.Store.Commit(b)
}

func (s *found) Sync() error {
	s.syncs++
	return s.Store.Sync()
}

func open(t fataler, st store.Store) (*Log, *Cut) {
	t.Helper()
	l, cut, err := OpenLog(st, ordersID, orders)
	if err != nil {
		t.Fatalf("OpenLog: %v", err)
	}
	return l, cut
}

// describe writes a cut as the tests do: [from,to) batches.
func describe(c *Cut) string {
	if c == nil {
		return ""
	}
	return fmt.Sprintf("[%d,%d) %d", c.From, c.To, c.Batches)
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
			f := &found{Store: memory(t)}
			for _, word := range strings.Fields(tt.left) {
				var base, last int64
				if _, err := fmt.Sscanf(word, "%d-%d", &base, &last); err != nil {
					t.Fatal(err)
				}
				env := span(t, base, last-base+1)
				key := keyOf(env)
				if strings.HasSuffix(word, "!") {
					env[len(env)-1] ^= 1
				}
				set(t, f.Store, key, env)
			}
			if tt.start > 0 {
				set(t, f.Store, store.LogStartKey(ordersID), store.OffsetValue(tt.start))
			}
			l, cut := open(t, f)
			if cut != nil || f.commits > 0 || f.syncs > 0 {
				t.Errorf("cut %q, %d commits, %d syncs", describe(cut), f.commits, f.syncs)
			}
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
	f := &found{Store: memory(t)}
	set(t, f.Store, store.LogStartKey(ordersID), []byte("soon"))
	_, _, err := OpenLog(f, ordersID, orders)
	if !errors.Is(err, store.ErrCorrupt) || !strings.Contains(err.Error(), "orders/1: log start offset") {
		t.Errorf("got error %v", err)
	}
}
