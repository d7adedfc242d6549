package store

import (
	"bytes"
	"sort"
)

// run is a sequence of tables whose keys ascend and do not overlap: what one checkpoint or one merge
// has written. It does not change.
type run struct {
	tables  []*table
	entries int // of all tables
}

func newRun(tables []*table) *run {
	r := &run{tables: tables}
	for _, t := range tables {
		r.entries += t.info.entries
	}
	return r
}

// size returns how many bytes the tables have.
func (r *run) size() (n int64) {
	for _, t := range r.tables {
		n += t.info.size
	}
	return n
}

// find returns which table may hold key: the first that does not end before it.
func (r *run) find(key []byte) int {
	return sort.Search(len(r.tables), func(i int) bool { return bytes.Compare(r.tables[i].info.last, key) >= 0 })
}

// overlaps reports whether one of the tables may have keys of q.
func (r *run) overlaps(q Range) bool {
	i := r.find(q.From)
	return i < len(r.tables) && !q.beyond(r.tables[i].info.first)
}

// cursor returns a cursor of all items.
func (r *run) cursor() *runCursor { return &runCursor{r: r} }

// runCursor is a cursor that goes on from one table to the next.
type runCursor struct {
	tableCursor
	r  *run
	at int // which table
}

func (c *runCursor) seek(key []byte, reverse bool) {
	i := 0
	switch {
	case reverse && len(key) == 0:
		i = len(c.r.tables) - 1
	case len(key) > 0:
		i = c.r.find(key)
		// In reverse the first table that does not end before key may begin with it.
		if reverse && (i == len(c.r.tables) || bytes.Compare(c.r.tables[i].info.first, key) >= 0) {
			i--
		}
	}
	c.enter(i, key, reverse)
}

// enter goes to an item of table i, if there is such a table.
func (c *runCursor) enter(i int, key []byte, reverse bool) {
	c.shown, c.failed = nil, nil
	if i < 0 || i >= len(c.r.tables) {
		return
	}
	c.at = i
	if t := c.r.tables[i]; c.t != t {
		c.t, c.c, c.block = t, nil, block{}
	}
	c.tableCursor.seek(key, reverse)
}

func (c *runCursor) next() {
	if c.shown == nil {
		return
	}
	c.tableCursor.next()
	switch {
	case c.shown != nil || c.failed != nil:
	case c.reverse:
		c.enter(c.at-1, nil, true)
	default:
		c.enter(c.at+1, nil, false)
	}
}

// get returns the item of key, which may be a tombstone, or nil if there is none. It stands there then, as
// after a seek.
func (c *runCursor) get(key []byte) (*item, error) {
	i := c.r.find(key)
	if i == len(c.r.tables) {
		return nil, nil
	}
	if ok, err := c.r.tables[i].mayHave(key); !ok || err != nil {
		return nil, err
	}
	c.enter(i, key, false)
	if c.shown == nil || !bytes.Equal(c.shown.key, key) {
		return nil, c.failed
	}
	return c.shown, nil
}
