package store

import (
	"bytes"
	"encoding/binary"
	"math"
	"runtime/debug"
)

// tableCursor holds Badger's iterators, which have one direction each.
type tableCursor struct {
	t      *table
	both   [2]*badgerIterator // forward and in reverse; nil before they were needed
	it     *badgerIterator    // of the present direction
	end    []byte             // the last key in that direction
	target []byte             // what is looked for
	stands bool               // it stands on an item
	now    item               // that item, once it was read
	shown  *item              // it, or nil
	value  []byte             // of it: not of the map, which can fault
	failed error
}

func (c *tableCursor) item() *item { return c.shown }
func (c *tableCursor) err() error  { return c.failed }

func (c *tableCursor) seek(key []byte, reverse bool) {
	c.failed, c.stands, c.shown = nil, false, nil
	switch info := &c.t.info; {
	case len(key) == 0:
	case !reverse && bytes.Compare(key, info.last) > 0, reverse && bytes.Compare(key, info.first) <= 0:
		return
	}
	b, err := c.t.open()
	if err != nil {
		c.failed = err
		return
	}
	defer c.t.caught(debug.SetPanicOnFault(true), &c.failed)
	c.turn(b, reverse)
	c.search(key)
	c.read()
}

func (c *tableCursor) next() {
	if c.shown == nil {
		return
	}
	c.shown = nil
	defer c.t.caught(debug.SetPanicOnFault(true), &c.failed)
	if c.step() {
		c.read()
	}
}

// ascend returns the item of key, which the table may have, or nil. It takes so many steps before it
// searches, if it stands somewhere. key is not below the one before.
func (c *tableCursor) ascend(key []byte, steps int) (*item, error) {
	b, err := c.t.open()
	if err != nil {
		return nil, err
	}
	c.ascendIn(b, key, steps)
	return c.shown, c.failed
}

func (c *tableCursor) ascendIn(b *badgerTable, key []byte, steps int) {
	c.failed, c.shown = nil, nil
	defer c.t.caught(debug.SetPanicOnFault(true), &c.failed)
	order := -1 // of the item it stands on and key
	if c.stands {
		order = bytes.Compare(c.key(), key)
		for ; order < 0 && steps > 0; steps-- {
			if !c.step() {
				return
			}
			order = bytes.Compare(c.key(), key)
		}
	}
	if order < 0 {
		c.turn(b, false)
		c.search(key)
		order = bytes.Compare(c.key(), key)
	}
	if order == 0 {
		c.read()
	}
}

// The following run where faults are caught.

// turn has the cursor go that way.
func (c *tableCursor) turn(b *badgerTable, reverse bool) {
	i := 0
	c.end = c.t.info.last
	if reverse {
		i, c.end = 1, c.t.info.first
	}
	if c.both[i] == nil {
		c.both[i] = newTableIterator(b, reverse)
	}
	c.it = c.both[i]
}

// search goes to an item that must be there, as seek does.
func (c *tableCursor) search(key []byte) {
	c.stands = false
	if len(key) == 0 {
		c.it.Rewind()
	} else {
		// It comes before all versions of the key.
		c.target = append(append(c.target[:0], key...), 0, 0, 0, 0, 0, 0, 0, 0)
		c.it.Seek(c.target)
	}
	if !c.it.Valid() {
		panic("no item where one was")
	}
	c.stands = true
}

// step goes to the next item. Badger's iterators do not tell the end from an error.
func (c *tableCursor) step() bool {
	c.stands = false
	c.it.Next()
	if c.stands = c.it.Valid(); !c.stands && !bytes.Equal(c.key(), c.end) {
		panic("no item behind one that is not the last")
	}
	return c.stands
}

// key returns the key of the item it stands on, or stood on last, in the memory of the iterator.
func (c *tableCursor) key() []byte {
	k := c.it.Key()
	return k[:len(k)-8]
}

// read shows the item.
func (c *tableCursor) read() {
	k, v := c.it.Key(), c.it.Value()
	n := len(k) - 8
	c.value = append(c.value[:0], v.Value...)
	ok := v.UserMeta == 0 && v.ExpiresAt == 0
	if ok = ok && c.now.decode(v.Meta, c.value); !ok {
		panic("value of an item")
	}
	c.now.key, c.now.version = k[:n:n], math.MaxUint64-binary.BigEndian.Uint64(k[n:])
	c.shown = &c.now
}
