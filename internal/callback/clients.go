package callback

import (
	"maps"
	"slices"
	"sync"

	"github.com/samsa-go/samsa/log"
)

// Clients are those of a broker. The zero value has none. Its methods may be called by anybody at
// any time.
type Clients struct {
	mu      sync.Mutex // guards what follows
	closing bool
	open    map[*Client]struct{}
}

// Err returns ErrClosed once Close was called.
func (cs *Clients) Err() error {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if cs.closing {
		return log.ErrClosed
	}
	return nil
}

// Add makes c end with the broker; it is ErrClosed once Close was called.
func (cs *Clients) Add(c *Client) error {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if cs.closing {
		return log.ErrClosed
	}
	if cs.open == nil {
		cs.open = make(map[*Client]struct{})
	}
	cs.open[c] = struct{}{}
	return nil
}

// Remove undoes Add.
func (cs *Clients) Remove(c *Client) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	delete(cs.open, c)
}

// Open returns the clients that are open, in no order.
func (cs *Clients) Open() []*Client {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	return slices.Collect(maps.Keys(cs.open))
}

// Close refuses new clients, and returns those that there are, to be closed; first is false when
// somebody else does it.
func (cs *Clients) Close() (clients []*Client, first bool) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	first = !cs.closing
	cs.closing = true
	return slices.Collect(maps.Keys(cs.open)), first
}
