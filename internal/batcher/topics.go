package batcher

import (
	"sync"

	"github.com/samsa-go/samsa/partition/choose"
	"github.com/samsa-go/samsa/topic"
)

// topics is what a producer, or all calls of a broker, know of topics until those are deleted.
type topics struct {
	partitioner choose.Partitioner

	mu      sync.Mutex // guards what follows
	known   map[*topic.Topic]*knownTopic
	last    *knownTopic // that was asked for: for a producer often that of the next record too
	closing bool
}

// knownTopic is a topic and the state of its partitioner.
type knownTopic struct {
	topics  *topics
	topic   *topic.Topic
	chooser *Chooser
	lanes   []*lane // of a producer: one per partition; guarded by topics.mu
}

func newTopics(p choose.Partitioner) topics {
	return topics{partitioner: p, known: make(map[*topic.Topic]*knownTopic)}
}

// know returns what is known of t.
func (ts *topics) know(t *topic.Topic) *knownTopic {
	if k := ts.look(t); k != nil {
		return k
	}
	k := &knownTopic{topics: ts, topic: t, chooser: NewChooser(ts.partitioner, t.Name())}
	ts.mu.Lock()
	defer ts.mu.Unlock()
	if there := ts.known[t]; there != nil {
		k = there
	} else if ts.closing || !t.Hold(k) {
		return k // for a record that will fail
	}
	ts.known[t] = k
	ts.last = k
	return k
}

func (ts *topics) look(t *topic.Topic) *knownTopic {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	k := ts.known[t]
	if k != nil {
		ts.last = k
	}
	return k
}

// Forget is called when the topic is gone. Records that there are of it fail by and by.
func (k *knownTopic) Forget(*topic.Topic) {
	k.topics.mu.Lock()
	defer k.topics.mu.Unlock()
	delete(k.topics.known, k.topic)
	if k.topics.last == k {
		k.topics.last = nil
	}
}

// forget lets go of all topics.
func (ts *topics) forget() {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	for _, k := range ts.known {
		k.topic.Release(k)
	}
	clear(ts.known)
	ts.last = nil
}
