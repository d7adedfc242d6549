package typed_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/samsatest"
	"github.com/samsa-go/samsa/typed"
)

// A row that is not of K and V is an error with the record in hand, and ends neither Range nor Watch.
func TestTable(t *testing.T) {
	b := samsatest.New(t, samsatest.Topic("orders", 1))
	tab, err := typed.NewTable(ctx, b, orders, samsa.TableOptions{Topic: "orders"})
	wantErr(t, err, nil)
	defer func() { wantErr(t, tab.Close(), nil) }()
	var records []samsa.Record
	for _, m := range []typed.Message[string, order]{typed.MessageOf("orders", "a", order{"tea", 1}), typed.MessageOf("orders", "c", order{"milk", 3})} {
		r, err := orders.Encode(m)
		wantErr(t, err, nil)
		records = append(records, r)
	}
	stored, err := b.Produce(ctx, append(records, samsa.Record{Topic: "orders", Key: []byte("b"), Value: []byte("seven cups")})...)
	wantErr(t, err, nil)
	wantErr(t, tab.WaitFor(ctx, stored...), nil)

	if m, err := tab.Get("a"); err != nil || m.Value != (order{"tea", 1}) || m.Key != "a" || m.Record.Offset != 0 {
		t.Errorf("a: %+v, %v", m, err)
	}
	var wrong *typed.DecodeError
	if _, err := tab.Get("b"); !errors.As(err, &wrong) || string(wrong.Record.Value) != "seven cups" {
		t.Errorf("b: %v", err)
	}
	_, err = tab.Get("d")
	wantErr(t, err, samsa.ErrKeyNotFound)

	var got []string
	for m, err := range tab.Range(samsa.TableRange{}) {
		got = append(got, fmt.Sprint(m.Key, " ", m.Value.Item, " ", errors.As(err, &wrong)))
	}
	want := "[a tea false b  true c milk false]"
	if fmt.Sprint(got) != want {
		t.Errorf("range: %v, want %s", got, want)
	}

	got = nil
	watching, stop := context.WithCancel(ctx)
	defer stop()
	for c, err := range tab.Watch(watching) {
		if err != nil && !errors.As(err, &wrong) {
			wantErr(t, err, context.Canceled)
			break
		}
		if c.Mark {
			end, err := orders.Tombstone("orders", "a")
			wantErr(t, err, nil)
			_, err = b.Produce(ctx, end)
			wantErr(t, err, nil)
			continue
		}
		got = append(got, fmt.Sprint(c.Message.Key, " ", c.Message.Value.Item, " ", err != nil))
		if len(got) == 4 {
			if !c.Message.Tombstone() {
				t.Errorf("the end of a: %+v", c.Message)
			}
			stop()
		}
	}
	if want := "[a tea false b  true c milk false a  false]"; fmt.Sprint(got) != want {
		t.Errorf("watch: %v, want %s", got, want)
	}
}

// What a transaction puts has the headers of its codec, and only on the revision that was seen, also when the function passes over the error.
func TestTableInATransaction(t *testing.T) {
	b := samsatest.New(t, samsatest.Topic("events", 1))
	kinds, err := typed.Union("type", typed.As[event]("created", typed.JSON[created]()))
	wantErr(t, err, nil)
	tab, err := typed.NewTable(ctx, b, typed.CodecsOf(typed.String(), kinds), samsa.TableOptions{Topic: "events"})
	wantErr(t, err, nil)
	defer func() { wantErr(t, tab.Close(), nil) }()
	update := func(fn func(rows *typed.TableTx[string, event]) error) error {
		return b.Update(ctx, func(tx *samsa.Tx) error {
			rows, err := tab.Tx(tx)
			if err != nil {
				return err
			}
			return fn(rows)
		})
	}
	put := func(rows *typed.TableTx[string, event]) error { return rows.Put("a", created{}, samsa.NoRow) }
	wantErr(t, update(put), nil)
	wantErr(t, update(put), samsa.ErrConflict)
	wantErr(t, update(func(rows *typed.TableTx[string, event]) error { _ = put(rows); return nil }), samsa.ErrConflict)
	wantErr(t, update(func(rows *typed.TableTx[string, event]) error {
		for m, err := range rows.Range(samsa.TableRange{}) {
			wantErr(t, err, nil)
			if _, ok := m.Value.(created); !ok {
				t.Errorf("%T", m.Value)
			}
		}
		m, err := rows.Get("a")
		if err != nil {
			return err
		}
		return rows.Delete("a", m.Record.Offset)
	}), nil)
	wantErr(t, tab.WaitFor(ctx), nil)
	if n := tab.Len(); n != 0 {
		t.Errorf("%d rows", n)
	}
}

// What replaces a row that an interceptor refuses has the headers of its codec too, and only on the revision that was seen.
func TestPutOverARefusedRow(t *testing.T) {
	b, err := samsa.Open("", samsa.Options{InMemory: true, AutoCreateTopics: true, Hooks: []samsa.Hook{{
		BeforeDeliver: func(_ context.Context, records []samsa.Record) (int, error) {
			for i := range records {
				if string(records[i].Value) == "sealed" {
					return i, errors.New("no key")
				}
			}
			return len(records), nil
		},
	}}})
	wantErr(t, err, nil)
	defer func() { wantErr(t, b.Close(), nil) }()
	stored, err := b.Produce(ctx, samsa.Record{Topic: "events", Key: []byte("a"), Value: []byte("sealed")})
	wantErr(t, err, nil)
	kinds, err := typed.Union("type", typed.As[event]("created", typed.JSON[created]()))
	wantErr(t, err, nil)
	tab, err := typed.NewTable(ctx, b, typed.CodecsOf(typed.String(), kinds), samsa.TableOptions{Topic: "events"})
	wantErr(t, err, nil)
	defer func() { wantErr(t, tab.Close(), nil) }()
	put := func(revision int64) error {
		return b.Update(ctx, func(tx *samsa.Tx) error {
			rows, err := tab.Tx(tx)
			if err != nil {
				return err
			}
			return rows.Put("a", created{}, revision)
		})
	}
	wantErr(t, put(samsa.NoRow), samsa.ErrConflict)
	wantErr(t, put(stored[0].Offset), nil)
	wantErr(t, tab.WaitFor(ctx), nil)
	if m, err := tab.Get("a"); err != nil || m.Value != (created{}) {
		t.Errorf("%+v, %v", m, err)
	}
}
