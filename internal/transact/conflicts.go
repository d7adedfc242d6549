package transact

import (
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/samsa-go/samsa/internal/engine"
	"github.com/samsa-go/samsa/internal/store"
)

// conflicts finds transactions that read what others have written meanwhile (backward
// validation: Kung and Robinson, On optimistic methods for concurrency control, 1981).
//
// Every transaction that writes application keys becomes a link of a chain, in the order of
// the committer. One that began at a link conflicts with each later one that wrote what it has
// read. It holds on to its link, and so to those behind that; what nobody holds on to is
// garbage. So a transaction that is open for long costs the others nothing, and itself a look
// at what they have written, of which the committer does but the last part.
type conflicts struct {
	last    *link                // that has its place; the committer's own
	visible atomic.Pointer[link] // the last one that readers see
}

// link is what one transaction has written.
type link struct {
	keys []string
	next atomic.Pointer[link]
}

func (c *conflicts) init() {
	c.last = new(link)
	c.visible.Store(c.last)
}

// begin returns the start of a transaction, which takes its snapshot afterwards: what it
// sees of later ones is reported as a conflict too, which does no harm.
func (c *conflicts) begin() (start *link) { return c.visible.Load() }

// check looks for a conflict of a transaction that began at start, or was checked up to it,
// with those behind that, and returns the last one that it has looked at.
func (l *link) check(read *readSet) (checked *link, err error) {
	for next := l.next.Load(); next != nil; next = l.next.Load() {
		l = next
		for _, key := range l.keys {
			if read.has(key) {
				return nil, &engine.Conflict{Over: fmt.Sprintf("key %q", key)}
			}
		}
	}
	return l, nil
}

// place gives a transaction that was checked before its place, unless it conflicts. The
// committer calls it in its order, and nothing but a failed store keeps the transaction from
// being stored then. The link is nil for one that writes nothing.
func (c *conflicts) place(checked *link, read *readSet, writes []string) (*link, error) {
	if _, err := checked.check(read); err != nil || len(writes) == 0 {
		return nil, err
	}
	l := &link{keys: writes}
	c.last.next.Store(l)
	c.last = l
	return l, nil
}

// show notes that readers see a transaction. Calls come in the order of the links.
func (c *conflicts) show(l *link) { c.visible.Store(l) }

// readSet is what a transaction has read: keys, found or not, and what scans have gone over.
type readSet struct {
	keys  map[string]struct{}
	spans []store.Range
}

func (r *readSet) add(key []byte) {
	if r.keys == nil {
		r.keys = make(map[string]struct{})
	}
	r.keys[string(key)] = struct{}{}
}

func (r *readSet) has(key string) bool {
	if _, ok := r.keys[key]; ok {
		return true
	}
	stored := store.AppendAppKey(nil, []byte(key))
	return slices.ContainsFunc(r.spans, func(s store.Range) bool { return s.Contains(stored) })
}

// scan notes a scan of the application's keys as it goes: what is behind the last key that it has come to is
// not read.
type scan struct {
	read *readSet
	keys store.Range // all of them
	at   int         // in read.spans, once it has come to a key
	last []byte      // that it has come to, as a bound
}

func (r *readSet) scan(keys store.Range) *scan { return &scan{read: r, keys: keys, at: -1} }

// reached notes that everything up to key was read, and it.
func (s *scan) reached(key []byte) {
	s.last = store.AppendAppKey(s.last[:0], key)
	if s.keys.Reverse {
		s.note(s.last, s.keys.To)
	} else {
		s.last = append(s.last, 0) // the next key there can be
		s.note(s.keys.From, s.last)
	}
}

// ended notes that there are no more.
func (s *scan) ended() { s.note(s.keys.From, s.keys.To) }

func (s *scan) note(from, to []byte) {
	if s.at < 0 {
		s.at = len(s.read.spans)
		s.read.spans = append(s.read.spans, store.Range{})
	}
	s.read.spans[s.at] = store.Range{From: from, To: to}
}
