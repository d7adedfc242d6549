package table_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/inside"
	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/samsatest"
)

func TestTable(t *testing.T) {
	both(t, func(t *testing.T, name string) {
		k := open(t, "")
		k.create("accounts", samsa.TopicConfig{Partitions: 3})
		k.produce(rec("b", "1"), rec("a", "2"), rec("aa", "3"), rec("c", "4"))
		k.produce(rec("c", ""), samsa.Record{Topic: "accounts", Value: []byte("no key")})
		tb := k.table(samsa.TableOptions{Topic: "accounts", Name: name})
		expect(t, "all", k.rows(tb, samsa.TableRange{}), []string{"a=2", "aa=3", "b=1"})
		expect(t, "prefix", k.rows(tb, samsa.TableRange{Prefix: []byte("a")}), []string{"a=2", "aa=3"})
		expect(t, "from, to", k.rows(tb, samsa.TableRange{From: []byte("aa"), To: []byte("b")}), []string{"aa=3"})
		expect(t, "reverse", k.rows(tb, samsa.TableRange{Reverse: true}), []string{"b=1", "aa=3", "a=2"})
		expect(t, "len", tb.Len(), 3)
		k.put(tb, rec("b", "5"), rec("aa", ""))
		got, err := tb.Get([]byte("b"))
		expect(t, "b", fmt.Sprintf("%s %v", got.Value, err), "5 <nil>")
		if _, err := tb.Get([]byte("aa")); !errors.Is(err, samsa.ErrKeyNotFound) {
			t.Errorf("aa: %v", err)
		}
		expect(t, "all", k.rows(tb, samsa.TableRange{}), []string{"a=2", "b=5"})
		lag, err := tb.Lag(k.ctx)
		expect(t, "lag", fmt.Sprint(lag, err), "0 <nil>")
		must(t, tb.Close())
		if _, err := tb.Get([]byte("b")); !errors.Is(err, samsa.ErrClosed) {
			t.Errorf("closed: %v", err)
		}
	})
}

func TestWatch(t *testing.T) {
	both(t, func(t *testing.T, name string) {
		k := open(t, "")
		k.create("accounts", samsa.TopicConfig{Partitions: 3})
		k.produce(rec("b", "5"), rec("a", "2"))
		tb := k.table(samsa.TableOptions{Topic: "accounts", Name: name})
		ctx, cancel := context.WithCancel(k.ctx)
		defer cancel()
		var seen []string
		for c, err := range tb.Watch(ctx) {
			if err != nil {
				expect(t, "end", err, context.Canceled)
				break
			}
			if c.Mark {
				k.produce(rec("a", ""), rec("x", ""))
			}
			seen = append(seen, fmt.Sprintf("%s=%s", c.Record.Key, c.Record.Value))
			if n := len(seen); c.Record.Value == nil && n > 3 {
				cancel()
			}
		}
		expect(t, "watch", seen[:4], []string{"a=2", "b=5", "=", "a="})
	})
}

// What is larger than a row, or a key of the store, is there as others are.
func TestLargeRows(t *testing.T) {
	both(t, func(t *testing.T, name string) {
		k := open(t, "")
		k.create("accounts", samsa.TopicConfig{MaxMessageBytes: 16 << 20})
		tb := k.table(samsa.TableOptions{Topic: "accounts", Name: name})
		long := strings.Repeat("k", 5000)
		large := samsa.Record{Topic: "accounts", Key: []byte("large"), Value: make([]byte, 9<<20), Headers: []samsa.Header{{Key: "h", Value: nil}}}
		small := samsa.Record{Topic: "accounts", Key: []byte{}, Value: []byte{}, Headers: []samsa.Header{{Key: "h", Value: []byte{}}, {Key: "", Value: nil}}}
		k.put(tb, rec(long+"1", "one"), rec(long+"2", "two"), large, small)
		for _, want := range []samsa.Record{rec(long+"1", "one"), rec(long+"2", "two"), large, small} {
			got, err := tb.Get(want.Key)
			must(t, err)
			got.Offset, got.Timestamp = 0, time.Time{}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%.20q: %.200v", want.Key, got)
			}
		}
		expect(t, "keys with a long prefix", len(k.rows(tb, samsa.TableRange{Prefix: []byte(long)})), 2)
		expect(t, "keys from a long one on", len(k.rows(tb, samsa.TableRange{From: []byte(long + "2"), To: []byte(long + "3")})), 1)
		next, stop := iter.Pull2(tb.Watch(k.ctx))
		defer stop()
		for range 5 {
			_, err, _ := next()
			must(t, err)
		}
		k.put(tb, rec(long+"1", ""))
		c, err, _ := next()
		expect(t, "watched", fmt.Sprint(string(c.Record.Key) == long+"1", c.Record.Value == nil, err), "true true <nil>")
		expect(t, "rows", tb.Len(), 3)
		k.put(tb, rec("large", ""))
		if _, err := tb.Get([]byte("large")); !errors.Is(err, samsa.ErrKeyNotFound) {
			t.Error(err)
		}
	})
}

// A table of a directory goes on where it was, unless its version has changed; and goes with Drop.
func TestKeptTable(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	opts := samsa.TableOptions{Topic: "accounts", Name: "kept"}
	with := func(f func(k *kit)) {
		b, err := samsa.Open(dir, samsa.Options{})
		must(t, err)
		f(&kit{b, t, context.Background()})
		must(t, b.Close())
	}
	with(func(k *kit) {
		k.create("accounts", samsa.TopicConfig{Retention: samsa.Unlimited})
		k.produce(rec("a", "1"), rec("b", "2"))
		tb, err := k.NewTable(k.ctx, opts)
		must(t, err)
		if _, err := k.NewTable(k.ctx, opts); !errors.Is(err, samsa.ErrInvalidOption) {
			t.Errorf("a second one of the name: %v", err)
		}
		expect(t, "rows", k.rows(tb, samsa.TableRange{}), []string{"a=1", "b=2"})
	})
	with(func(k *kit) {
		k.produce(rec("c", "3"))
		tb, err := k.NewTable(k.ctx, opts)
		must(t, err)
		expect(t, "rows", k.rows(tb, samsa.TableRange{}), []string{"a=1", "b=2", "c=3"})
		must(t, tb.Drop())
		n := 0
		must(t, inside.Of(k.Broker).Store.Scan(store.Range{From: []byte("r"), To: []byte("s")}, func(store.Entry) (bool, error) { n++; return true, nil }))
		expect(t, "keys that are left", n, 0)
		opts.Version++
		tb, err = k.NewTable(k.ctx, opts)
		must(t, err)
		expect(t, "rows", k.rows(tb, samsa.TableRange{}), []string{"a=1", "b=2", "c=3"})
	})
}

// Retention ends rows, and the end of the topic the table, loops over it too.
func TestTableOfATopicThatGoes(t *testing.T) {
	both(t, func(t *testing.T, name string) {
		k := open(t, "")
		k.create("accounts", samsa.TopicConfig{})
		opts := samsa.TableOptions{Topic: "accounts", Name: name}
		tb := k.table(opts)
		k.put(tb, rec("a", "1"))
		k.put(tb, rec("b", "2"))
		next, stop := iter.Pull2(tb.Watch(k.ctx))
		defer stop()
		for range 3 { // a, b and the mark: it begins with the first
			_, err, _ := next()
			must(t, err)
		}
		must(t, k.Topics().DeleteRecords(k.ctx, "accounts", map[int32]int64{0: 1}))
		for key := ""; key != "-a"; {
			c, err, _ := next()
			must(t, err)
			key = string(c.Record.Key)
			if c.Record.Value == nil {
				key = "-" + key
			}
		}
		expect(t, "rows", k.rows(tb, samsa.TableRange{}), []string{"b=2"})
		must(t, k.Topics().Delete(k.ctx, "accounts"))
		for {
			if _, err, _ := next(); err != nil {
				expect(t, "watch", errors.Is(err, samsa.ErrUnknownTopic), true)
				break
			}
		}
		_, err := tb.Get([]byte("b"))
		expect(t, "get", errors.Is(err, samsa.ErrUnknownTopic), true)
		must(t, tb.Close())
		k.create("accounts", samsa.TopicConfig{})
		k.produce(rec("c", "3"))
		expect(t, "the next topic of the name", k.rows(k.table(opts), samsa.TableRange{}), []string{"c=3"})
	})
}

// Tables of a group share the partitions, and what one leaves the others take.
func TestTablesOfAGroup(t *testing.T) {
	t.Parallel()
	k := open(t, "")
	k.create("accounts", samsa.TopicConfig{Partitions: 8})
	for i := range 100 {
		k.produce(rec(fmt.Sprint(i), "v"))
	}
	opts := samsa.TableOptions{Topic: "accounts", Group: "readers"}
	one := k.table(opts)
	expect(t, "rows of the only one", one.Len(), 100)
	two := k.table(opts)
	split := func() bool { // how many rows both have says nothing while partitions go over, one by one
		for i := range 100 {
			_, err1 := one.Get([]byte(fmt.Sprint(i)))
			_, err2 := two.Get([]byte(fmt.Sprint(i)))
			if (err1 == nil) == (err2 == nil) {
				return false
			}
		}
		return two.Len() > 0
	}
	for !split() {
		runtime.Gosched()
	}
	must(t, one.Close())
	for two.Len() != 100 {
		runtime.Gosched()
	}
}

// A damaged batch ends a table, unless it is to go on behind it.
func TestTableOverDamage(t *testing.T) {
	both(t, func(t *testing.T, name string) {
		b := samsatest.New(t, samsatest.Topic("accounts", 1))
		k := &kit{b, t, context.Background()}
		k.produce(rec("a", "1"))
		k.produce(rec("b", "2"))
		k.produce(rec("c", "3"))
		samsatest.Corrupt(t, b, "accounts", 0, 1)
		opts := samsa.TableOptions{Topic: "accounts", Name: name}
		if _, err := k.NewTable(k.ctx, opts); !errors.Is(err, samsa.ErrCorruptRecord) {
			t.Errorf("damage: %v", err)
		}
		opts.SkipDamaged = true
		tb := k.table(opts)
		expect(t, "rows", k.rows(tb, samsa.TableRange{}), []string{"a=1", "c=3"})
		must(t, tb.Close())
	})
}

func TestTableOptions(t *testing.T) {
	t.Parallel()
	k := open(t, "")
	for _, opts := range []samsa.TableOptions{
		{}, {Topic: "accounts", Group: "g", Name: "n"}, {Topic: "accounts", Version: 1}, {Topic: "accounts", Isolation: 9},
		{Topic: "accounts", Name: strings.Repeat("n", 65)}, {Topic: "accounts", ClientID: "\xff"},
	} {
		if _, err := k.NewTable(k.ctx, opts); !errors.Is(err, samsa.ErrInvalidOption) {
			t.Errorf("%+v: %v", opts, err)
		}
	}
	if _, err := k.NewTable(k.ctx, samsa.TableOptions{Topic: "accounts"}); !errors.Is(err, samsa.ErrUnknownTopic) {
		t.Errorf("no topic: %v", err)
	}
}
