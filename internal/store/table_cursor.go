package store

import (
	"bytes"
	"encoding/binary"
	"math"
	"runtime/debug"
	"sort"

	"github.com/dgraph-io/badger/v4/y"
)

// tableCursor stands at an entry of a block, or behind the end.
type tableCursor struct {
	t       *table
	c       *tableContent
	reverse bool
	number  int    // of the block
	block   block  // nothing before one was needed
	memory  []byte // of the block
	at      int    // entry in it
	key     []byte // its key, with version
	now     item   // it, once it was read
	shown   *item  // now, or nil
	failed  error
}

func (c *tableCursor) item() *item { return c.shown }
func (c *tableCursor) err() error  { return c.failed }

func (c *tableCursor) seek(key []byte, reverse bool) {
	c.reverse, c.failed, c.shown = reverse, nil, nil
	if c.c, c.failed = c.t.open(); c.failed != nil {
		return
	}
	defer c.t.caught(debug.SetPanicOnFault(true), &c.failed)
	switch {
	case len(key) > 0:
		from := c.find(key)
		c.at = from
		if from == 0 || from < c.block.len() && c.compare(from, key) < 0 {
			c.at += sort.Search(c.block.len()-from, func(i int) bool { return c.compare(from+i, key) >= 0 })
		}
		c.confirm(key)
	case reverse:
		c.enter(len(c.c.blocks) - 1)
		c.at = c.block.len()
	default:
		c.enter(0)
		c.at = 0
	}
	if reverse {
		c.at--
	}
	c.show()
}

func (c *tableCursor) next() {
	if c.shown == nil {
		return
	}
	c.shown = nil
	defer c.t.caught(debug.SetPanicOnFault(true), &c.failed)
	if c.reverse {
		c.at--
	} else {
		c.at++
	}
	c.show()
}

// The following run where faults are caught.

// enter makes the block with that number the present one.
func (c *tableCursor) enter(number int) {
	if c.block.len() == 0 || c.number != number {
		c.block = block{} // if that panics
		c.block, c.memory = c.c.block(number, c.memory)
		c.number = number
	}
}

// find enters the block to look for key in, and returns from which entry on. When keys ascend that is mostly
// behind the one where it stands.
func (c *tableCursor) find(key []byte) (from int) {
	if c.block.len() == 0 || c.c.begins(c.number, key) > 0 || c.number+1 < len(c.c.blocks) && c.c.begins(c.number+1, key) <= 0 {
		c.enter(c.c.find(key))
		return 0
	}
	if c.at >= 0 && c.at < c.block.len() && c.compare(c.at, key) < 0 {
		return c.at + 1
	}
	return 0
}

// confirm panics if the entry where it stands cannot be the first whose key is not below key: keys of the map have led to the block.
// Behind the last entry it goes to the next block.
func (c *tableCursor) confirm(key []byte) {
	if c.at == c.block.len() && c.number+1 < len(c.c.blocks) {
		c.enter(c.number + 1)
		if c.at = 0; c.compare(0, key) < 0 {
			panic("first key of a block")
		}
	} else if c.at == 0 && c.number > 0 && c.compare(0, key) > 0 {
		panic("first key of a block")
	}
}

// compare compares the key of an entry with another.
func (c *tableCursor) compare(at int, key []byte) int {
	c.key, _ = c.block.entry(at, c.key[:0])
	return bytes.Compare(c.key[:len(c.key)-versionSize], key)
}

// show shows the entry it stands at, if need be in the next block.
func (c *tableCursor) show() {
	switch {
	case c.at < 0 && c.number > 0:
		c.enter(c.number - 1)
		c.at = c.block.len() - 1
	case c.at == c.block.len() && c.number+1 < len(c.c.blocks):
		c.enter(c.number + 1)
		c.at = 0
	case c.at < 0, c.at == c.block.len():
		return // the end
	}
	var encoded []byte
	c.key, encoded = c.block.entry(c.at, c.key[:0])
	var v y.ValueStruct
	v.Decode(encoded)
	if v.UserMeta != 0 || v.ExpiresAt != 0 || !c.now.decode(v.Meta, v.Value) {
		panic("value of an item")
	}
	n := len(c.key) - versionSize
	c.now.key, c.now.version = c.key[:n:n], math.MaxUint64-binary.BigEndian.Uint64(c.key[n:])
	c.shown = &c.now
}
