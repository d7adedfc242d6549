package api

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"net/url"
	"slices"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/inside"
	"github.com/samsa-go/samsa/internal/table"
)

// TablePage is the tables of a broker.
type TablePage struct {
	Tables []Table `json:"tables"`
}

// TableID says which table is meant: those of a topic have different names, or groups, or neither.
type TableID struct {
	Topic string `json:"topic"`
	Name  string `json:"name,omitempty"`  // of one that is kept
	Group string `json:"group,omitempty"` // of those that share the topic
}

// Table is the open tables of a topic with the same name and the same group, or one that is kept and not open, as it was stored last.
type Table struct {
	TableID
	Open     int   `json:"open"`
	Rows     int64 `json:"rows"`
	Bytes    int64 `json:"bytes"` // of rows and their keys
	Lag      int64 `json:"lag"`   // offsets that they are behind
	Rebuilds int64 `json:"rebuilds"`

	Error *Error `json:"error,omitempty"` // of one that is damaged, whose lag is not known
}

// RowsRequest asks for a page of the rows of a table: samsa.TableRange.
type RowsRequest struct {
	TableID
	From, To, Prefix Bytes
	Reverse          bool
	Limit            int // at most so many; 0 means 100, at most 10,000
	MaxValue         int // keys, values and headers are cut behind so many bytes; 0 for whole ones
}

// RowPage is a page of rows, in the order that was asked for. It is bounded in bytes, too.
type RowPage struct {
	Rows []Record `json:"rows"`
	Next Bytes    `json:"next,omitempty"` // From of the next page, To if it is in reverse; nil when this is the last one
	// Replaced says which rows cannot be had before somebody opens the table: see docs/tables.md. They are passed over.
	Replaced []Error `json:"replaced,omitempty"`
}

func listTables(c *call) (any, error) {
	if err := c.none(); err != nil {
		return nil, err
	}
	all, err := inside.Of(c.b).Tables.List()
	if err != nil {
		return nil, err
	}
	p := TablePage{Tables: []Table{}}
	for _, s := range all {
		t := Table{TableID: TableID{s.Topic, s.Name, s.Group}, Open: s.Open, Rows: s.Rows, Bytes: s.Bytes, Lag: s.Lag, Rebuilds: s.Rebuilds}
		if s.Err != nil {
			t.Error = asError(s.Err)
		}
		p.Tables = append(p.Tables, t)
	}
	return p, nil
}

// table returns the table that is meant.
func (c *call) table(id TableID) (table.Reader, error) {
	return inside.Of(c.b).Tables.Find(c.limited, id.Topic, id.Name, id.Group)
}

func (c *call) tableID() TableID {
	return TableID{c.r.PathValue("topic"), c.query.text("name"), c.query.text("group")}
}

func getRow(c *call) (any, error) {
	id, key := c.tableID(), c.query.bytes("key")
	if err := c.none(); err != nil {
		return nil, err
	}
	t, err := c.table(id)
	if err != nil {
		return nil, err
	}
	r, err := t.Get(key)
	if err != nil {
		return nil, err
	}
	return record(r, 0), nil
}

func listRows(c *call) (any, error) {
	q := c.query
	id, limit, cut := c.tableID(), q.limit(100), q.cut()
	of := table.Range{From: q.bytes("from"), To: q.bytes("to"), Prefix: q.bytes("prefix"), Reverse: q.flag("reverse")}
	if err := c.none(); err != nil {
		return nil, err
	}
	t, err := c.table(id)
	if err != nil {
		return nil, err
	}
	p := RowPage{Rows: []Record{}}
	var last []byte
	taken := 0
	for r, err := range inOrder(t.Range(of), of.Reverse, limit, cut) {
		if err == nil {
			err = c.limited.Err()
		}
		replaced := errors.Is(err, samsa.ErrOffsetOutOfRange)
		if err != nil && (!replaced || len(p.Replaced) == limit) {
			return nil, err
		}
		if n := len(p.Rows); n == limit || n > 0 && taken+size(r, cut) > maxPage {
			if p.Next = last; !of.Reverse {
				p.Next = append(bytes.Clone(last), 0)
			}
			break
		}
		if replaced {
			p.Replaced = append(p.Replaced, *asError(err))
			continue
		}
		taken += size(r, cut)
		last = r.Key
		p.Rows = append(p.Rows, record(r, cut))
	}
	return p, nil
}

// inOrder gives rows in the order of their keys, all of a page and one behind it: those of long keys come in none where they begin alike, and the next
// page could not go on behind the last one. It holds no more than a page of them.
func inOrder(rows iter.Seq2[samsa.Record, error], reverse bool, limit, cut int) iter.Seq2[samsa.Record, error] {
	order := func(a, b samsa.Record) int {
		if reverse {
			a, b = b, a
		}
		return bytes.Compare(a.Key, b.Key)
	}
	return func(yield func(samsa.Record, error) bool) {
		var alike []samsa.Record // whose keys begin alike, the first ones
		held := 0                // bytes of them
		give := func() bool {
			for _, r := range alike {
				if !yield(r, nil) {
					return false
				}
			}
			alike, held = alike[:0], 0
			return true
		}
		for r, err := range rows {
			long := err == nil && len(r.Key) >= table.KeyHead
			if (!long || len(alike) > 0 && !bytes.HasPrefix(r.Key, alike[0].Key[:table.KeyHead])) && !give() {
				return
			}
			if !long {
				if !yield(r, err) {
					return
				}
				continue
			}
			at, _ := slices.BinarySearchFunc(alike, r, order)
			alike, held = slices.Insert(alike, at, r), held+size(r, cut)
			for last := len(alike) - 1; last > limit || last > 1 && held-size(alike[last], cut) > maxPage; last-- {
				held -= size(alike[last], cut)
				alike = alike[:last]
			}
		}
		give()
	}
}

// Tables returns the tables that are open in the broker, and those that it keeps.
func (c *Client) Tables(ctx context.Context) ([]Table, error) {
	var p TablePage
	return p.Tables, c.get(ctx, "tables", nil, &p)
}

func (id TableID) query() query { return query{}.text("name", id.Name).text("group", id.Group) }

// TableRow returns the row of a key, whole, or ErrKeyNotFound.
func (c *Client) TableRow(ctx context.Context, id TableID, key Bytes) (r Record, err error) {
	return r, c.get(ctx, "tables/"+url.PathEscape(id.Topic)+"/row", url.Values(id.query().bytes("key", key)), &r)
}

// TableRows returns a page of the rows of a table.
func (c *Client) TableRows(ctx context.Context, r RowsRequest) (p RowPage, err error) {
	q := r.query().bytes("from", r.From).bytes("to", r.To).bytes("prefix", r.Prefix).flag("reverse", r.Reverse).
		number("limit", r.Limit).number("max_value", r.MaxValue)
	return p, c.get(ctx, "tables/"+url.PathEscape(r.Topic)+"/rows", url.Values(q), &p)
}

// String names a table: its topic, and its name or group behind that.
func (id TableID) String() string {
	switch {
	case id.Name != "":
		return id.Topic + "/" + id.Name
	case id.Group != "":
		return fmt.Sprintf("%s/group:%s", id.Topic, id.Group)
	}
	return id.Topic
}

// FindTable returns the table of that name among those there are: NAME, or TOPIC/NAME, or the topic alone if that is enough. A name that several have is
// ErrInvalid, and none of them ErrUnknown.
func FindTable(all []Table, name string) (TableID, error) {
	var named, of []TableID
	for _, t := range all {
		switch id := t.TableID; {
		case id.String() == name:
			return id, nil
		case id.Name == name && name != "":
			named = append(named, id)
		case id.Topic == name:
			of = append(of, id)
		}
	}
	found := append(named, of...)
	switch len(found) {
	case 0:
		return TableID{}, fmt.Errorf("%w table: %.100q is not open in the broker, nor kept", samsa.ErrUnknown, name)
	case 1:
		return found[0], nil
	}
	return TableID{}, fmt.Errorf("%w: %.100q may be any of %v", samsa.ErrInvalid, name, found)
}
