package api

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/inside"
	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/internal/writer"
	"github.com/samsa-go/samsa/samsatest"
)

// Tables are listed and read whether they are open or kept, in pages, and rows that a group's tables share as those of one.
func TestTables(t *testing.T) {
	t.Parallel()
	b := samsatest.New(t, samsatest.Topic("accounts", 3))
	ctx := t.Context()
	for i := range 9 {
		_, err := b.Produce(ctx, samsa.Record{Topic: "accounts", Key: []byte{'k', byte(0xf0 + i)}, Value: fmt.Append(nil, "value", i)})
		must(t, err)
	}
	open := func(o samsa.TableOptions) *samsa.Table {
		o.Topic = "accounts"
		table, err := b.NewTable(ctx, o)
		must(t, err)
		t.Cleanup(func() { must(t, table.Close()) })
		return table
	}
	must(t, open(samsa.TableOptions{Name: "kept"}).Close())
	must(t, open(samsa.TableOptions{Name: "old", Version: 7}).Close())
	_, err := b.Produce(ctx, samsa.Record{Topic: "accounts", Key: []byte("later"), Value: []byte("value")})
	must(t, err)
	open(samsa.TableOptions{})
	open(samsa.TableOptions{Name: "open one"})
	shares := []*samsa.Table{open(samsa.TableOptions{Group: "share"}), open(samsa.TableOptions{Group: "share"})}
	for shares[0].Len()+shares[1].Len() != 10 || shares[0].Len() == 0 || shares[1].Len() == 0 { // until they have shared the partitions
		must(t, shares[0].WaitFor(ctx))
		must(t, shares[1].WaitFor(ctx))
	}
	c := Direct(Handler(b, Options{}))
	defer c.Close()
	all, err := c.Tables(ctx)
	must(t, err)
	var told []string
	for _, table := range all {
		told = append(told, fmt.Sprint(table.String(), " ", table.Open, " ", table.Rows, " ", table.Lag))
	}
	want := []string{"accounts 1 10 0", "accounts/group:share 2 10 0", "accounts/open one 1 10 0", "accounts/kept 0 9 1", "accounts/old 0 9 1"}
	slices.Sort(told[3:])
	if !slices.Equal(told, want) {
		t.Errorf("%q, want %q", told, want)
	}
	for _, table := range all {
		row, err := c.TableRow(ctx, table.TableID, Bytes{'k', 0xf3})
		if err != nil || string(row.Value) != "value3" {
			t.Errorf("%s: %v, %v", table, row, err)
		}
		_, err = c.TableRow(ctx, table.TableID, Bytes("none"))
		wantError(t, err, samsa.ErrKeyNotFound)
		for _, reverse := range []bool{false, true} {
			var rows []string
			for r := (RowsRequest{TableID: table.TableID, Prefix: Bytes("k"), From: Bytes{'k', 0xf1}, Reverse: reverse, Limit: 3}); ; {
				p, err := c.TableRows(ctx, r)
				must(t, err)
				for _, row := range p.Rows {
					rows = append(rows, string(row.Value[5:]))
				}
				if p.Next == nil {
					break
				}
				if r.From = p.Next; reverse {
					r.From, r.To = Bytes{'k', 0xf1}, p.Next
				}
			}
			want := []string{"1", "2", "3", "4", "5", "6", "7", "8"}
			if reverse {
				slices.Reverse(want)
			}
			if !slices.Equal(rows, want) {
				t.Errorf("%s, reverse %t: %q, want %q", table, reverse, rows, want)
			}
		}
	}
	_, err = c.TableRow(ctx, TableID{Topic: "accounts", Name: "none"}, Bytes("k"))
	wantError(t, err, samsa.ErrUnknown)
	_, err = c.TableRow(ctx, TableID{Topic: "none"}, Bytes("k"))
	wantError(t, err, samsa.ErrUnknownTopic)
}

// A table that is damaged is listed with its error, and the others as ever.
func TestDamagedTable(t *testing.T) {
	t.Parallel()
	b := samsatest.New(t, samsatest.Topic("accounts", 1))
	_, err := b.Produce(t.Context(), samsa.Record{Topic: "accounts", Key: []byte("key"), Value: []byte("value")})
	must(t, err)
	for _, name := range []string{"one", "two"} {
		table, err := b.NewTable(t.Context(), samsa.TableOptions{Topic: "accounts", Name: name})
		must(t, err)
		must(t, table.Close())
	}
	in := inside.Of(b)
	of, err := in.Catalogue.Get("accounts")
	must(t, err)
	damage := new(writer.Tx)
	first := store.TablePrefix(of.Partitions()[0].ID().Topic, 0)
	must(t, in.Store.Scan(store.Range{From: first, To: store.Behind(first[:len(first)-4]), KeysOnly: true}, func(e store.Entry) (bool, error) {
		position := e.Key[store.TablePrefixSize] == 'p'
		if position {
			damage.Writes.Set(bytes.Clone(e.Key), []byte("damaged"))
		}
		return !position, nil
	}))
	must(t, in.Committer.Do(damage))
	c := Direct(Handler(b, Options{}))
	defer c.Close()
	all, err := c.Tables(t.Context())
	must(t, err)
	if len(all) != 2 || all[0].Name == all[1].Name || (all[0].Error == nil) == (all[1].Error == nil) {
		t.Fatalf("%+v", all)
	}
	for _, one := range all {
		if one.Error != nil {
			wantError(t, one.Error, samsa.ErrCorruptValue)
		}
	}
}

// Rows of a table that is not open are listed behind one that compaction has replaced, and its error besides; a page of them is not full with it.
func TestReplacedRow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := samsatest.New(t)
		ctx := t.Context()
		must(t, b.Topics().Create(ctx, "accounts", samsa.TopicConfig{CleanupPolicy: samsa.CleanupCompact, MaxMessageBytes: 16 << 20}))
		put := func(key string, size int) {
			_, err := b.Produce(ctx, samsa.Record{Topic: "accounts", Key: []byte(key), Value: make([]byte, size)})
			must(t, err)
		}
		put("a", 1)
		put("b", 9<<20)
		put("c", 1)
		put("d", 1)
		table, err := b.NewTable(ctx, samsa.TableOptions{Topic: "accounts", Name: "kept"})
		must(t, err)
		must(t, table.WaitFor(ctx))
		must(t, table.Close())
		put("b", 1)
		for range 3 {
			put("e", 1)
			_, err := b.Sweep(ctx)
			must(t, err)
			time.Sleep(time.Hour)
		}
		c := Direct(Handler(b, Options{}))
		defer c.Close()
		var told []string
		for r := (RowsRequest{TableID: TableID{Topic: "accounts", Name: "kept"}, Limit: 2}); len(told) == 0 || r.From != nil; {
			p, err := c.TableRows(ctx, r)
			must(t, err)
			text := ""
			for _, row := range p.Rows {
				text += string(row.Key)
			}
			for i := range p.Replaced {
				wantError(t, &p.Replaced[i], samsa.ErrOffsetOutOfRange)
				text += " " + p.Replaced[i].Message
			}
			told = append(told, text)
			r.From = p.Next
		}
		if len(told) != 2 || !strings.HasPrefix(told[0], "ac ") || !strings.Contains(told[0], `"b"`) || told[1] != "d" {
			t.Errorf("%q", told)
		}
	})
}

// Pages have each row once where long keys begin alike, which tables give in no particular order, however much fits into a page.
func TestPagesOfLongKeys(t *testing.T) {
	t.Parallel()
	b := samsatest.New(t, samsatest.Topic("accounts", 3))
	ctx := t.Context()
	var want []string
	for n := range 60 {
		key := strings.Repeat([]string{"a", "k"}[n%2], 900+n*7) + fmt.Sprint(n) // some are not long yet
		want = append(want, key)
		value := []byte("small")
		if n%5 == 0 { // together they are more than a page
			value = bytes.Repeat(value, 180_000)
		}
		_, err := b.Produce(ctx, samsa.Record{Topic: "accounts", Key: []byte(key), Value: value})
		must(t, err)
	}
	slices.Sort(want)
	var shares []*samsa.Table
	for range 2 {
		table, err := b.NewTable(ctx, samsa.TableOptions{Topic: "accounts", Group: "share"})
		must(t, err)
		t.Cleanup(func() { must(t, table.Close()) })
		shares = append(shares, table)
	}
	for n := int64(len(want)); shares[0].Len()+shares[1].Len() != n || shares[0].Len() == n || shares[1].Len() == n; { // until they have shared the partitions
		must(t, shares[0].WaitFor(ctx))
		must(t, shares[1].WaitFor(ctx))
	}
	c := Direct(Handler(b, Options{}))
	defer c.Close()
	for _, reverse := range []bool{false, true} {
		for _, limit := range []int{7, 10_000} {
			r := RowsRequest{TableID: TableID{Topic: "accounts", Group: "share"}, Reverse: reverse, Limit: limit}
			var keys []string
			for more := true; more; {
				p, err := c.TableRows(ctx, r)
				must(t, err)
				for _, row := range p.Rows {
					keys = append(keys, string(row.Key))
				}
				if more = p.Next != nil; reverse {
					r.To = p.Next
				} else {
					r.From = p.Next
				}
			}
			if reverse {
				slices.Reverse(keys)
			}
			if !slices.Equal(keys, want) {
				t.Errorf("reverse %t, limit %d: %d rows, want %d in order", reverse, limit, len(keys), len(want))
			}
		}
	}
}

// A table is found by its name, by its topic if there is one, and by both.
func TestFindTable(t *testing.T) {
	t.Parallel()
	a, b, c, d := TableID{Topic: "a"}, TableID{Topic: "a", Name: "x"}, TableID{Topic: "b", Name: "x"}, TableID{Topic: "b", Name: "y"}
	all := []Table{{TableID: a}, {TableID: b}, {TableID: c}, {TableID: d}, {TableID: TableID{Topic: "c", Group: "g"}}}
	for name, want := range map[string]TableID{"a": a, "a/x": b, "b/x": c, "y": d, "b/y": d, "c": {Topic: "c", Group: "g"}, "c/group:g": {Topic: "c", Group: "g"}} {
		if got, err := FindTable(all, name); err != nil || got != want {
			t.Errorf("%s is %s, %v, want %s", name, got, err, want)
		}
	}
	for name, want := range map[string]error{"x": samsa.ErrInvalid, "b": samsa.ErrInvalid, "z": samsa.ErrUnknown, "": samsa.ErrUnknown} {
		_, err := FindTable(all, name)
		wantError(t, err, want)
	}
}
