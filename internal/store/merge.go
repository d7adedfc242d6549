package store

import (
	"bytes"

	"github.com/tidwall/btree"
)

// cursor visits items in the order of their keys, or in the opposite order. It stands nowhere
// before the first seek. One goroutine at a time uses it; what it reads must stay until
// it is forgotten, and there is nothing to close.
type cursor interface {
	// seek goes to the first item whose key is not below key or, in reverse, to the last one
	// whose key is below it. Without a key it goes to the first item, or the last. It does
	// not keep key.
	seek(key []byte, reverse bool)
	// next goes to the following item in the direction of the last seek. At the end, and after an
	// error, it does nothing.
	next()
	// item returns the item it stands on, nil at the end or after an error. The item and its bytes are
	// the cursor's, and others after the following seek or next.
	item() *item
	// err returns the error that ended the visit. A seek begins anew.
	err() error
}

// treeCursor returns a cursor of a tree that nobody changes.
func treeCursor(t *itemTree) cursor {
	c := new(treeIterator)
	c.iter.Init(t, false)
	return c
}

type treeIterator struct {
	iter    btree.IterG[*item]
	target  item // what is looked for
	reverse bool
	now     *item
}

func (c *treeIterator) seek(key []byte, reverse bool) {
	c.reverse = reverse
	c.target.key = key
	var ok bool
	switch {
	case !reverse && len(key) == 0:
		ok = c.iter.First()
	case !reverse:
		ok = c.iter.Seek(&c.target)
	case len(key) > 0 && c.iter.Seek(&c.target):
		ok = c.iter.Prev()
	default:
		ok = c.iter.Last()
	}
	c.target.key = nil
	c.stand(ok)
}

func (c *treeIterator) next() {
	switch {
	case c.now == nil:
	case c.reverse:
		c.stand(c.iter.Prev())
	default:
		c.stand(c.iter.Next())
	}
}

func (c *treeIterator) stand(ok bool) {
	c.now = nil
	if ok {
		c.now = c.iter.Item()
	}
}

func (c *treeIterator) item() *item { return c.now }
func (c *treeIterator) err() error  { return nil }

// mergeCursors returns a cursor of all items of the given ones, which are its own from then on. Of
// items with one key it shows that of the first cursor that has it, tombstones like others. When one of
// the cursors fails it ends with that error.
func mergeCursors(newestFirst []cursor) cursor {
	if len(newestFirst) == 1 {
		return newestFirst[0]
	}
	return &merge{all: newestFirst, heap: make([]merged, 0, len(newestFirst))}
}

// merge keeps the cursors that have not ended in a heap: the first is the one whose item comes next, and
// of those with one key the newest.
type merge struct {
	all     []cursor
	heap    []merged
	reverse bool
	failed  error
}

// merged is a cursor that stands on an item.
type merged struct {
	cursor
	now *item
	age int // place among all
}

func (m *merge) seek(key []byte, reverse bool) {
	m.reverse, m.failed, m.heap = reverse, nil, m.heap[:0]
	for age, c := range m.all {
		c.seek(key, reverse)
		if m.failed = c.err(); m.failed != nil {
			return
		}
		if now := c.item(); now != nil {
			m.heap = append(m.heap, merged{c, now, age})
		}
	}
	for i := len(m.heap)/2 - 1; i >= 0; i-- {
		m.sink(i)
	}
}

// next moves those that stand on the same key first, so that it need not be copied.
func (m *merge) next() {
	if m.item() == nil {
		return
	}
	key := m.heap[0].now.key
	for {
		i := m.child(0)
		if i == 0 || !bytes.Equal(m.heap[i].now.key, key) {
			break
		}
		if m.advance(i); m.failed != nil {
			return
		}
	}
	m.advance(0)
}

// advance moves the cursor at i of the heap.
func (m *merge) advance(i int) {
	c := &m.heap[i]
	c.next()
	if c.now = c.item(); c.now == nil {
		if m.failed = c.err(); m.failed != nil {
			return
		}
		last := len(m.heap) - 1
		m.heap[i] = m.heap[last]
		m.heap[last] = merged{}
		m.heap = m.heap[:last]
	}
	m.sink(i)
}

// sink moves what stands at i down to where it belongs. Nothing above it comes later.
func (m *merge) sink(i int) {
	for {
		c := m.child(i)
		if c == 0 || !m.before(c, i) {
			return
		}
		m.heap[i], m.heap[c] = m.heap[c], m.heap[i]
		i = c
	}
}

// child returns which child of i comes first, 0 when it has none.
func (m *merge) child(i int) int {
	c := 2*i + 1
	switch {
	case c >= len(m.heap):
		return 0
	case c+1 < len(m.heap) && m.before(c+1, c):
		return c + 1
	}
	return c
}

// before reports whether a comes before b.
func (m *merge) before(a, b int) bool {
	x, y := &m.heap[a], &m.heap[b]
	d := bytes.Compare(x.now.key, y.now.key)
	if d == 0 {
		return x.age < y.age
	}
	return (d < 0) != m.reverse
}

func (m *merge) item() *item {
	if m.failed != nil || len(m.heap) == 0 {
		return nil
	}
	return m.heap[0].now
}

func (m *merge) err() error { return m.failed }
