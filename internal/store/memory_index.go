package store

import (
	"hash/maphash"
	"sync"
)

// memoryIndex finds items by key. It is in shards, so that readers on several cores write no memory that they share: one lock, and the
// gate of the store, cost them more than finding the item does.
type memoryIndex struct {
	seed   maphash.Seed
	shards [indexShards]indexShard
}

const indexShards = 64 // as many as bits of what set notes them in

type indexShard struct {
	mu    sync.RWMutex
	items map[string]*item // nil once the store is closed
	_     [64]byte         // no cache line has two
}

func newMemoryIndex() *memoryIndex {
	x := &memoryIndex{seed: maphash.MakeSeed()}
	for i := range x.shards {
		x.shards[i].items = make(map[string]*item)
	}
	return x
}

func (x *memoryIndex) shard(key []byte) int { return int(maphash.Bytes(x.seed, key) % indexShards) }

// get is Store.Get.
func (x *memoryIndex) get(key []byte) ([]byte, error) {
	s := &x.shards[x.shard(key)]
	s.mu.RLock()
	i, ok := s.items[string(key)]
	closed := s.items == nil
	s.mu.RUnlock()
	if closed {
		return nil, ErrClosed
	}
	return memoryValue(i, ok)
}

// set has readers see these items, all at once: who has found one finds the others from then on. Those that are deleted go. Calls do not overlap.
func (x *memoryIndex) set(items []*item) {
	var held uint64
	for _, i := range items {
		held |= 1 << x.shard(i.key)
	}
	x.lock(held)
	defer x.unlock(held)
	for _, i := range items {
		in := x.shards[x.shard(i.key)].items
		if i.deleted {
			delete(in, string(i.key))
		} else {
			in[string(i.key)] = i
		}
	}
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
		x.shards[n].items = nil
	}
}
