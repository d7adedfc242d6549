package group

import (
	"maps"
	"slices"
	"sync"

	"github.com/samsa-go/samsa/log"
)

// committed is the committed offsets of one group, as the store has them. Its methods may be
// called by anybody at any time.
type committed struct {
	readers *readers

	mu      sync.Mutex // guards what follows; held before that of readers
	byTopic map[string]map[int32]Offset
	n       int // offsets
}

// put adds offsets, or replaces them.
func (c *committed) put(offsets map[log.TopicPartition]Offset) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for tp, o := range offsets {
		of := c.byTopic[tp.Topic]
		if of == nil {
			of = make(map[int32]Offset)
			c.byTopic[tp.Topic] = of
			c.readers.add(tp.Topic, c)
		}
		before := len(of)
		of[tp.Partition] = o
		c.n += len(of) - before
	}
}

// remove drops the offsets of tps.
func (c *committed) remove(tps []log.TopicPartition) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, tp := range tps {
		of := c.byTopic[tp.Topic]
		before := len(of)
		delete(of, tp.Partition)
		c.n -= before - len(of)
		if before > 0 && len(of) == 0 {
			delete(c.byTopic, tp.Topic)
			c.readers.remove(tp.Topic, c)
		}
	}
}

// get returns the offset of tp.
func (c *committed) get(tp log.TopicPartition) (Offset, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	o, ok := c.byTopic[tp.Topic][tp.Partition]
	return o, ok
}

// len returns the number of offsets.
func (c *committed) len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n
}

// each calls fn for every offset.
func (c *committed) each(fn func(log.TopicPartition, Offset)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for name, of := range c.byTopic {
		for i, o := range of {
			fn(log.TopicPartition{Topic: name, Partition: i}, o)
		}
	}
}

// eachOf calls fn for every offset of one topic.
func (c *committed) eachOf(topic string, fn func(partition int32, o Offset)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, o := range c.byTopic[topic] {
		fn(i, o)
	}
}

// readers says which groups have committed offsets in a topic, so that a question about one
// topic is not put to every group.
type readers struct {
	mu      sync.Mutex // guards byTopic
	byTopic map[string]map[*committed]struct{}
}

func (r *readers) add(topic string, c *committed) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.byTopic == nil {
		r.byTopic = make(map[string]map[*committed]struct{})
	}
	if r.byTopic[topic] == nil {
		r.byTopic[topic] = make(map[*committed]struct{})
	}
	r.byTopic[topic][c] = struct{}{}
}

func (r *readers) remove(topic string, c *committed) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.byTopic[topic], c)
	if len(r.byTopic[topic]) == 0 {
		delete(r.byTopic, topic)
	}
}

// of returns the offsets of the groups that have some in the topic.
func (r *readers) of(topic string) []*committed {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Collect(maps.Keys(r.byTopic[topic]))
}
