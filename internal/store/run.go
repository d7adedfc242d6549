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

// find returns which table may hold key: the first that does not end before it.
func (r *run) find(key []byte) int {
	return sort.Search(len(r.tables), func(i int) bool { return bytes.Compare(r.tables[i].info.last, key) >= 0 })
}

// overlaps reports whether one of the tables may have keys of q.
func (r *run) overlaps(q Range) bool {
	i := r.find(q.From)
	return i < len(r.tables) && !q.beyond(r.tables[i].info.first)
}

// get is as of table.
func (r *run) get(key []byte) (*item, error) {
	if i := r.find(key); i < len(r.tables) {
		return r.tables[i].get(key)
	}
	return nil, nil
}

// cursor returns a cursor of all items.
func (r *run) cursor() cursor { return &runCursor{r: r} }

// runCursor stands in one table at a time.
type runCursor struct {
	r       *run
	reverse bool
	at      int          // which table
	now     *tableCursor // of that table; nil before the first seek
}

func (c *runCursor) seek(key []byte, reverse bool) {
	c.reverse = reverse
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
	c.enter(i, key)
}

// enter goes to an item of table i, if there is such a table.
func (c *runCursor) enter(i int, key []byte) {
	switch {
	case i < 0 || i >= len(c.r.tables):
		c.now = nil
		return
	case c.now == nil || c.at != i:
		c.at, c.now = i, c.r.tables[i].newCursor()
	}
	c.now.seek(key, c.reverse)
}

func (c *runCursor) next() {
	if c.item() == nil {
		return
	}
	c.now.next()
	if c.now.item() != nil || c.now.err() != nil {
		return
	}
	if c.reverse {
		c.enter(c.at-1, nil)
	} else {
		c.enter(c.at+1, nil)
	}
}

func (c *runCursor) item() *item {
	if c.now == nil {
		return nil
	}
	return c.now.item()
}

func (c *runCursor) err() error {
	if c.now == nil {
		return nil
	}
	return c.now.err()
}

// ascender looks up keys that ascend: what lies near costs a step, and not a search.
type ascender struct {
	r  *run
	at int          // table of the last key
	c  *tableCursor // in that table; nil before it was needed
}

// ascending returns an ascender. As with a cursor there is nothing to close.
func (r *run) ascending() *ascender { return &ascender{r: r} }

// get returns the item of key, nil if there is none. No key may be below one that was asked for
// before, unless that failed. The item and its bytes are the ascender's, and others after the
// next get.
func (a *ascender) get(key []byte) (*item, error) {
	if a.at < len(a.r.tables) && bytes.Compare(a.r.tables[a.at].info.last, key) < 0 {
		a.at, a.c = a.r.find(key), nil
	}
	if a.at == len(a.r.tables) {
		return nil, nil
	}
	t := a.r.tables[a.at]
	if ok, err := t.mayHave(key); !ok || err != nil {
		return nil, err
	}
	if a.c == nil {
		a.c = t.newCursor()
	}
	return a.c.ascend(key)
}
