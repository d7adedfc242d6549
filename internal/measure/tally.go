package measure

import "sync"

// Tally is what the members of a kind have counted, summed up by name: of those that are there, and of those that have
// ended. The zero value has none, and nil counts nothing. Its methods may be called by anybody at any time.
type Tally[K comparable, S Sum[S]] struct {
	mu    sync.Mutex // guards what follows
	open  map[*member[K, S]]struct{}
	ended map[K]S
}

// Sum is what members count.
type Sum[S any] interface {
	// Plus returns the sum of two.
	Plus(other S) S
	// Ended returns what is left of a sum when those who have counted it have ended: what was done, and not what there is.
	Ended() S
}

type member[K comparable, S any] struct {
	name K
	read func() S
}

// maxEnded is how many names are remembered of which nobody is there. Beyond, some are forgotten.
const maxEnded = 1000

// Enter has read be asked for what a member of that name has counted, until leave is called, which asks for the last
// time. read may be called at any time.
func (t *Tally[K, S]) Enter(name K, read func() S) (leave func()) {
	if t == nil {
		return func() {}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.open == nil {
		t.open, t.ended = make(map[*member[K, S]]struct{}), make(map[K]S)
	}
	m := &member[K, S]{name, read}
	t.open[m] = struct{}{}
	return sync.OnceFunc(func() { t.leave(m) })
}

func (t *Tally[K, S]) leave(m *member[K, S]) {
	last := m.read().Ended()
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.open, m)
	if before, ok := t.ended[m.name]; ok {
		last = before.Plus(last)
	}
	t.ended[m.name] = last
	if len(t.ended) <= maxEnded {
		return
	}
	there := make(map[K]bool, len(t.open))
	for o := range t.open {
		there[o.name] = true
	}
	for name := range t.ended {
		if name != m.name && !there[name] {
			delete(t.ended, name)
			return
		}
	}
}

// Sums returns the sums by name.
func (t *Tally[K, S]) Sums() map[K]S {
	t.mu.Lock()
	sums := make(map[K]S, len(t.ended)+len(t.open))
	for name, s := range t.ended {
		sums[name] = s
	}
	open := make([]*member[K, S], 0, len(t.open))
	for m := range t.open {
		open = append(open, m)
	}
	t.mu.Unlock()
	for _, m := range open {
		s := m.read()
		if before, ok := sums[m.name]; ok {
			s = before.Plus(s)
		}
		sums[m.name] = s
	}
	return sums
}
