// Each task of the page is done by both sides, and has to do the same.
package from

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"maragu.dev/goqite"
	"maragu.dev/goqite/jobs"

	"github.com/samsa-go/samsa"
)

func want(t *testing.T, what string, got, want any, err error) {
	t.Helper()
	if err != nil || got != want {
		t.Fatalf("%s: %v, %v, want %v", what, got, err, want)
	}
}

func TestGoqite(t *testing.T) {
	ctx := t.Context()
	db, q, err := goqiteOpen(filepath.Join(t.TempDir(), "queue.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	waiting := func(n int64) {
		t.Helper()
		got, err := goqiteWaiting(ctx, db)
		want(t, "waiting", got, n, err)
	}
	var sent string
	send := func(b []byte) error { sent = string(b); return nil }
	want(t, "put", nil, nil, goqitePut(ctx, q))
	waiting(1)
	err = goqiteTake(ctx, q, send)
	want(t, "take", sent, "to alice", err)
	waiting(0)

	want(t, "later", nil, nil, goqiteLater(ctx, q, time.Hour))
	m, err := q.Receive(ctx)
	want(t, "too early", m == nil, true, err)
	waiting(1)

	_, err = db.Exec(`CREATE TABLE orders (id INTEGER, what TEXT)`)
	want(t, "table", nil, nil, err)
	want(t, "outbox", nil, nil, goqiteOutbox(ctx, db, q))
	m, err = q.Receive(ctx)
	want(t, "order", string(m.Body), "order 7", err)
	want(t, "extend", nil, nil, goqiteExtend(ctx, q, m))
	want(t, "done", nil, nil, q.Delete(ctx, m.ID))
	var what string
	err = db.QueryRow(`SELECT what FROM orders WHERE id = 7`).Scan(&what)
	want(t, "order 7", what, "tea", err)

	want(t, "put", nil, nil, goqitePut(ctx, q))
	for range 3 {
		m, err := q.Receive(ctx)
		want(t, "received", string(m.Body), "to alice", err)
		want(t, "now", nil, nil, q.Extend(ctx, m.ID, 0))
	}
	m, err = q.Receive(ctx)
	want(t, "given up", m == nil, true, err)
	dead, err := goqiteGivenUp(ctx, db)
	want(t, "dead", fmt.Sprint(dead), "[to alice]", err)

	ctx, stop := context.WithCancel(ctx)
	_, err = jobs.Create(ctx, q, "mail", goqite.Message{Body: []byte("to bob")})
	want(t, "create", nil, nil, err)
	goqiteWork(ctx, q, func(b []byte) error { stop(); return send(b) })
	want(t, "work", sent, "to bob", nil)
}

func TestSamsa(t *testing.T) {
	ctx := t.Context()
	b, q, err := samsaOpen(ctx, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	waiting := func(n int64) {
		t.Helper()
		got, err := samsaWaiting(t.Context(), q)
		want(t, "waiting", got, n, err)
	}
	var sent string
	send := func(b []byte) error { sent = string(b); return nil }
	want(t, "put", nil, nil, samsaPut(ctx, b))
	waiting(1)
	err = samsaTake(ctx, q, send)
	want(t, "take", sent, "to alice", err)
	waiting(0)

	want(t, "later", nil, nil, samsaLater(ctx, b, time.Hour))
	want(t, "outbox", nil, nil, samsaOutbox(ctx, b))
	ds, err := q.Receive(ctx, 2) // what is for later is not there yet
	want(t, "received", len(ds), 1, err)
	want(t, "order", string(ds[0].Record.Value), "order 7", nil)
	want(t, "extend", nil, nil, samsaExtend(ds[0]))
	want(t, "done", nil, nil, ds[0].Ack())
	waiting(1)
	err = b.View(ctx, func(tx *samsa.ReadTx) error {
		v, err := tx.Get([]byte("orders/7"))
		want(t, "order 7", string(v), "tea", err)
		return nil
	})
	want(t, "view", nil, nil, err)

	want(t, "put", nil, nil, samsaPut(ctx, b))
	for range 3 {
		ds, err := q.Receive(ctx, 1)
		want(t, "received", string(ds[0].Record.Value), "to alice", err)
		want(t, "now", nil, nil, ds[0].Release(0))
	}
	waiting(1)
	dead, err := samsaGivenUp(ctx, b)
	want(t, "dead", fmt.Sprint(dead), "[to alice]", err)

	ctx, stop := context.WithCancel(ctx)
	_, err = b.Produce(ctx, samsa.Record{Topic: "mails", Value: []byte("to bob")})
	want(t, "produce", nil, nil, err)
	err = samsaWork(ctx, q, func(b []byte) error { stop(); return send(b) })
	want(t, "work", errors.Is(err, context.Canceled) && sent == "to bob", true, nil)
	waiting(1)
}

func TestTest(t *testing.T) {
	send := func([]byte) error { return nil }
	goqiteTest(t, func(q *goqite.Queue) error { return goqiteTake(t.Context(), q, send) })
	samsaTest(t, func(q *samsa.Queue) error { return samsaTake(t.Context(), q, send) })
}
