package samsa

import (
	"bytes"
	"fmt"
	"sync"
)

// conflicts finds transactions that read what others have written meanwhile (backward
// validation: Kung and Robinson, On optimistic methods for concurrency control, 1981).
// Every transaction that writes application keys gets a number in the order of the
// committer; one that began when numbers up to start were visible conflicts with each
// later one that wrote what it has read.
type conflicts struct {
	mu      sync.Mutex
	staged  uint64         // number of the last transaction that has its place
	visible uint64         // of the last one that readers see
	active  map[uint64]int // transactions that are running, by start
	recent  []keysWritten  // that an active transaction may conflict with, by number
}

type keysWritten struct {
	number uint64
	keys   []string
}

// begin returns the start of a transaction, which takes its snapshot afterwards: what it
// sees of later ones is reported as a conflict too, which does no harm.
func (c *conflicts) begin() (start uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.active == nil {
		c.active = make(map[uint64]int)
	}
	c.active[c.visible]++
	return c.visible
}

// end forgets a transaction, and what only it could conflict with.
func (c *conflicts) end(start uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.active[start]--; c.active[start] == 0 {
		delete(c.active, start)
	}
	c.forgetLocked()
}

func (c *conflicts) forgetLocked() {
	oldest := c.visible // the next one begins there
	for start := range c.active {
		oldest = min(oldest, start)
	}
	n := 0
	for n < len(c.recent) && c.recent[n].number <= oldest {
		n++
	}
	rest := copy(c.recent, c.recent[n:])
	clear(c.recent[rest:])
	c.recent = c.recent[:rest]
}

// place gives a transaction its number, unless it conflicts. The committer calls it in its
// order, and nothing but a failed store keeps the transaction from being stored then.
func (c *conflicts) place(start uint64, read *readSet, writes []string) (number uint64, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, w := range c.recent {
		if w.number <= start {
			continue
		}
		for _, key := range w.keys {
			if read.has(key) {
				return 0, fmt.Errorf("%w: key %q was written meanwhile", ErrConflict, key)
			}
		}
	}
	if len(writes) == 0 {
		return 0, nil
	}
	c.staged++
	c.recent = append(c.recent, keysWritten{c.staged, writes})
	return c.staged, nil
}

// show notes that readers see a transaction. Calls come in the order of the numbers.
func (c *conflicts) show(number uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.visible = number
	c.forgetLocked()
}

// readSet is what a transaction has read: keys, found or not, and all keys of prefixes.
type readSet struct {
	keys     map[string]struct{}
	prefixes [][]byte
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
	for _, p := range r.prefixes {
		if bytes.HasPrefix([]byte(key), p) {
			return true
		}
	}
	return false
}
