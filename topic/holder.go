package topic

import "sync"

// Holder keeps something of topics, which is of no use once they are deleted.
type Holder interface {
	// Forget is called when t is gone. It runs on the time of who deletes the topic, and must
	// not wait for anybody.
	Forget(t *Topic)
}

// holders are those who keep something of one topic.
type holders struct {
	mu   sync.Mutex // guards what follows
	all  map[Holder]struct{}
	gone bool
}

// Hold has h told once when the topic is deleted, unless that has happened: then it returns
// false.
func (t *Topic) Hold(h Holder) bool {
	t.holders.mu.Lock()
	defer t.holders.mu.Unlock()
	if t.holders.gone {
		return false
	}
	if t.holders.all == nil {
		t.holders.all = make(map[Holder]struct{})
	}
	t.holders.all[h] = struct{}{}
	return true
}

// Release undoes Hold.
func (t *Topic) Release(h Holder) {
	t.holders.mu.Lock()
	defer t.holders.mu.Unlock()
	delete(t.holders.all, h)
}

// forgotten tells the holders that the topic is gone.
func (t *Topic) forgotten() {
	t.holders.mu.Lock()
	all := t.holders.all
	t.holders.all, t.holders.gone = nil, true
	t.holders.mu.Unlock()
	for h := range all {
		h.Forget(t)
	}
}
