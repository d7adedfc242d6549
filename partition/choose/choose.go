// Package choose holds the partitioners: how a producer chooses the partition of a record. Users
// import the module root, which has them all.
package choose

import (
	"fmt"
	"maps"
	"math/rand/v2"

	"github.com/cespare/xxhash/v2"

	"github.com/samsa-go/samsa/log"
)

// Partitioner chooses the partition of a record. One value may serve many producers
// at once; what it must remember lives in what ForTopic returns.
type Partitioner interface {
	// ForTopic returns the chooser of one topic for one producer.
	ForTopic(topic string) TopicPartitioner
}

// TopicPartitioner chooses for one topic and one producer. Its calls do not overlap, and come
// from within Produce: a panic comes out of that. It may call what it likes but a Produce that
// would ask it again, which is log.ErrInCallback.
type TopicPartitioner interface {
	// Partition returns the partition for r, from 0 to n-1, where n >= 1 is the number
	// of partitions the topic has now. A result outside makes the produce fail.
	Partition(r *log.Record, n int) int
	// OnNewBatch tells, before the next Partition, that the batch which was filling up is
	// complete, so that a sticky chooser moves on.
	OnNewBatch()
}

// Hash sends records of one key to one partition, by xxhash64 of the key, as long as
// the number of partitions stays. Records without a key stick to one random partition
// until its batch is complete (KIP-480), which makes for large batches.
func Hash() Partitioner { return keyed(xxhash.Sum64) }

// Murmur2 places keys exactly as Kafka's default partitioner does, so that several
// producers, or data copied from a cluster, agree on the partition of a key. Records
// without a key are sticky.
func Murmur2() Partitioner {
	return keyed(func(key []byte) uint64 { return uint64(murmur2(key) & 0x7fffffff) })
}

// RoundRobin takes the partitions in turn, whatever the key.
func RoundRobin() Partitioner { return factory(func() TopicPartitioner { return &roundRobin{} }) }

// Random takes any partition, whatever the key.
func Random() Partitioner { return factory(func() TopicPartitioner { return random{} }) }

// Manual uses the Partition field of the record.
func Manual() Partitioner { return factory(func() TopicPartitioner { return manual{} }) }

// Func chooses with f, which must be safe for concurrent use and return 0 to n-1. Without f
// it is not Usable.
func Func(f func(r *log.Record, n int) int) Partitioner {
	if f == nil {
		return factory(nil)
	}
	return factory(func() TopicPartitioner { return stateless(f) })
}

// ByTopic asks the partitioner of a record's topic, or for a topic that has none the other one, which is
// Hash if it is nil. It is not Usable with one that is not, or is nil. It keeps no reference to the map.
func ByTopic(topics map[string]Partitioner, other Partitioner) Partitioner {
	if other == nil {
		other = Hash()
	}
	return byTopic{maps.Clone(topics), other}
}

// Usable reports whether p can choose.
func Usable(p Partitioner) bool {
	switch p := p.(type) {
	case nil:
		return false
	case factory:
		return p != nil
	case byTopic:
		for _, of := range p.topics {
			if !Usable(of) {
				return false
			}
		}
		return Usable(p.other)
	}
	return true
}

// Known reports whether p is one of this package, and calls no function of the program's.
func Known(p TopicPartitioner) bool {
	switch p.(type) {
	case *sticky, *roundRobin, random, manual:
		return true
	}
	return false
}

// Partition asks p and checks the answer.
func Partition(p TopicPartitioner, r *log.Record, n int) (int, error) {
	i := p.Partition(r, n)
	if i < 0 || i >= n {
		return 0, fmt.Errorf("%s: %w: partition %d, the topic has %d", r.Topic, log.ErrUnknownPartition, i, n)
	}
	return i, nil
}

// Repeats reports whether p chooses the same partition for r when all the same records are
// given to it again. Of choosers that are not of this package it is taken for granted.
func Repeats(p TopicPartitioner, r *log.Record, n int) bool {
	switch p.(type) {
	case *sticky:
		return r.Key != nil || n == 1
	case random:
		return n == 1
	}
	return true
}

type factory func() TopicPartitioner

func (f factory) ForTopic(string) TopicPartitioner { return f() }

type byTopic struct {
	topics map[string]Partitioner
	other  Partitioner
}

func (p byTopic) ForTopic(topic string) TopicPartitioner {
	of, ok := p.topics[topic]
	if !ok {
		of = p.other
	}
	return of.ForTopic(topic)
}

type stateless func(r *log.Record, n int) int

func (f stateless) Partition(r *log.Record, n int) int { return f(r, n) }
func (stateless) OnNewBatch()                          {}

type manual struct{}

func (manual) Partition(r *log.Record, _ int) int { return int(r.Partition) }
func (manual) OnNewBatch()                        {}

type random struct{}

func (random) Partition(_ *log.Record, n int) int { return rand.IntN(n) }
func (random) OnNewBatch()                        {}

type roundRobin struct{ next int }

func (p *roundRobin) Partition(_ *log.Record, n int) int {
	i := p.next % n
	p.next = i + 1
	return i
}

func (*roundRobin) OnNewBatch() {}

// keyed partitions by a hash of the key.
type keyed func(key []byte) uint64

func (h keyed) ForTopic(string) TopicPartitioner { return &sticky{hash: h, current: -1} }

type sticky struct {
	hash    keyed
	current int  // where records without a key go, -1 before the first
	move    bool // choose another one for the next
}

func (p *sticky) Partition(r *log.Record, n int) int {
	if r.Key != nil {
		return int(p.hash(r.Key) % uint64(n))
	}
	switch {
	case p.current < 0 || p.current >= n:
		p.current = rand.IntN(n)
	case p.move && n > 1:
		p.current = (p.current + 1 + rand.IntN(n-1)) % n // any but the same
	}
	p.move = false
	return p.current
}

func (p *sticky) OnNewBatch() { p.move = true }

// murmur2 is the 32-bit MurmurHash2 with Kafka's seed (org.apache.kafka.common.utils.Utils).
func murmur2(data []byte) uint32 {
	const m = 0x5bd1e995
	h := uint32(0x9747b28c) ^ uint32(len(data))
	for ; len(data) >= 4; data = data[4:] {
		k := uint32(data[0]) | uint32(data[1])<<8 | uint32(data[2])<<16 | uint32(data[3])<<24
		k *= m
		k ^= k >> 24
		k *= m
		h = h*m ^ k
	}
	switch len(data) {
	case 3:
		h ^= uint32(data[2]) << 16
		fallthrough
	case 2:
		h ^= uint32(data[1]) << 8
		fallthrough
	case 1:
		h ^= uint32(data[0])
		h *= m
	}
	h ^= h >> 13
	h *= m
	return h ^ h>>15
}
