package store

import (
	"bytes"
	"hash/maphash"
	"sync"
)

// memoryIndex finds values by key. It is in shards, so that readers on several cores write no memory that they share: one lock, and the
// gate of the store, cost them more than finding the value does. A shard is a hash table of its own, with linear probing, as what a Get of a million
// keys costs is the memory that it has to wait for: here a slot, and the key with its value behind it; a map has three or four places more.
type memoryIndex struct {
	seed   maphash.Seed
	shards [indexShards]indexShard
}

const indexShards = 64 // as many as bits of what set notes them in

type indexShard struct {
	mu     sync.RWMutex
	slots  []indexSlot // a power of two, a quarter of them free; none before the first key
	used   int
	closed bool
	_      [64]byte // no cache line has two
}

// indexSlot is a key with its value behind it, or free.
type indexSlot struct {
	kv  []byte // nil if the slot is free
	tag uint64 // the hash of the key, with its length in place of the lowest bits
}

const tagBits = 16 // of a tag, for the length of a key

// key returns the key of a slot that is not free.
func (s *indexSlot) key() []byte { return s.kv[:s.tag&(1<<tagBits-1)] }

func newMemoryIndex() *memoryIndex { return &memoryIndex{seed: maphash.MakeSeed()} }

// of returns the number of the shard of key, and its tag.
func (x *memoryIndex) of(key []byte) (shard int, tag uint64) {
	h := maphash.Bytes(x.seed, key)
	return int(h % indexShards), h>>tagBits<<tagBits | uint64(len(key))
}

// get is Store.Get.
func (x *memoryIndex) get(key []byte) ([]byte, error) {
	if len(key) > maxKeySize { // which a tag has no room for
		key = nil
	}
	n, tag := x.of(key)
	s := &x.shards[n]
	s.mu.RLock()
	var kv []byte
	if at, ok := s.find(key, tag); ok {
		kv = s.slots[at].kv
	}
	closed := s.closed
	s.mu.RUnlock()
	switch {
	case closed:
		return nil, ErrClosed
	case kv == nil:
		return nil, ErrNotFound
	}
	return bytes.Clone(kv[len(key):]), nil
}

// find returns where key is, or else the free slot where it belongs, if there are any slots.
func (s *indexShard) find(key []byte, tag uint64) (at int, ok bool) {
	if len(s.slots) == 0 {
		return 0, false
	}
	for at = s.home(tag); ; at = s.behind(at) {
		switch slot := &s.slots[at]; {
		case slot.kv == nil:
			return at, false
		case slot.tag == tag && bytes.Equal(slot.key(), key):
			return at, true
		}
	}
}

// home returns where a key with that tag is, or behind which, with no slot between that is free.
func (s *indexShard) home(tag uint64) int { return int(tag >> tagBits & uint64(len(s.slots)-1)) }

func (s *indexShard) behind(at int) int { return (at + 1) & (len(s.slots) - 1) }

// indexed is a key with its value behind it, neither of which changes any more, or alone: then it goes.
type indexed struct {
	kv   []byte
	size int // of the key
}

// set has readers see these, all at once: who has found one finds the others from then on. Calls do not overlap.
func (x *memoryIndex) set(all []indexed) {
	type hashed struct {
		shard int
		tag   uint64
	}
	hashes := make([]hashed, len(all))
	var held uint64
	for n, i := range all {
		h := &hashes[n]
		h.shard, h.tag = x.of(i.kv[:i.size])
		held |= 1 << h.shard
	}
	x.lock(held)
	defer x.unlock(held)
	for n, i := range all {
		s, tag := &x.shards[hashes[n].shard], hashes[n].tag
		if len(i.kv) == i.size {
			s.remove(i.kv, tag)
		} else {
			s.set(indexSlot{i.kv, tag})
		}
	}
}

func (s *indexShard) set(slot indexSlot) {
	at, ok := s.find(slot.key(), slot.tag)
	if !ok {
		if s.used >= len(s.slots)/4*3 {
			s.grow()
			at, _ = s.find(slot.key(), slot.tag)
		}
		s.used++
	}
	s.slots[at] = slot
}

func (s *indexShard) grow() {
	old := s.slots
	s.slots = make([]indexSlot, max(8, 2*len(old)))
	for _, slot := range old {
		if slot.kv != nil {
			at := s.home(slot.tag)
			for s.slots[at].kv != nil {
				at = s.behind(at)
			}
			s.slots[at] = slot
		}
	}
}

// remove frees the slot of key, if it is there, and moves up those behind it that had to make way.
func (s *indexShard) remove(key []byte, tag uint64) {
	free, ok := s.find(key, tag)
	if !ok {
		return
	}
	s.used--
	mask := len(s.slots) - 1
	for at := s.behind(free); s.slots[at].kv != nil; at = s.behind(at) {
		if (at-s.home(s.slots[at].tag))&mask >= (at-free)&mask {
			s.slots[free] = s.slots[at]
			free = at
		}
	}
	s.slots[free] = indexSlot{}
}

func (x *memoryIndex) lock(which uint64) {
	for n := range x.shards {
		if which>>n&1 != 0 {
			x.shards[n].mu.Lock()
		}
	}
}

func (x *memoryIndex) unlock(which uint64) {
	for n := range x.shards {
		if which>>n&1 != 0 {
			x.shards[n].mu.Unlock()
		}
	}
}

// close has get fail with ErrClosed.
func (x *memoryIndex) close() {
	x.lock(^uint64(0))
	defer x.unlock(^uint64(0))
	for n := range x.shards {
		s := &x.shards[n]
		s.slots, s.used, s.closed = nil, 0, true
	}
}
