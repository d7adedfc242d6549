package store

import (
	"bytes"
	"math/bits"

	"github.com/tidwall/btree"
)

// item is what the store knows of one key: its value, where a large value lies, or that the key
// was deleted. Items are never changed once others can see them.
type item struct {
	key     []byte
	value   []byte // of less than 1 KiB
	version uint64 // commit that set or deleted it
	file    uint64 // number of the value file that holds that operation
	deleted bool
	large   bool
	place   // of a large value in the file
}

// valueSize returns the length of the value in bytes.
func (i *item) valueSize() int {
	if i.large {
		return i.size
	}
	return len(i.value)
}

// cost returns how many bytes of its file the item keeps alive: those of its operation and its
// value.
func (i *item) cost() int64 {
	n := 1 + uvarintSize(len(i.key)) + len(i.key)
	switch {
	case i.deleted:
	case i.large:
		n += uvarintSize(i.size) + 4 + i.size
	default:
		n += uvarintSize(len(i.value)) + len(i.value)
	}
	return int64(n)
}

func uvarintSize(n int) int { return (bits.Len64(uint64(n)|1) + 6) / 7 }

// memory returns about how many bytes the item takes in a tree, and in a table at most.
func (i *item) memory() int { return len(i.key) + len(i.value) + 96 }

// clone returns a copy with memory of its own.
func (i *item) clone() *item {
	c, _ := i.cloned()
	return c
}

// cloned is clone, and returns that memory too: the key, and the value behind it.
func (i *item) cloned() (c *item, kv []byte) {
	n := len(i.key)
	kv = append(append(make([]byte, 0, n+len(i.value)), i.key...), i.value...)
	copied := *i
	copied.key, copied.value = kv[:n:n], kv[n:]
	return &copied, kv
}

// itemTree holds items by key. Copies of it cost nothing, and share the items.
type itemTree = btree.BTreeG[*item]

func newItemTree() *itemTree {
	less := func(a, b *item) bool { return bytes.Compare(a.key, b.key) < 0 }
	return btree.NewBTreeGOptions(less, btree.Options{NoLocks: true})
}
