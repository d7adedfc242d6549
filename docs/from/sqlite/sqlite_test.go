package from

import (
	"context"
	"database/sql"
	_ "embed"
	"testing"
	"time"

	"maragu.dev/goqite"
	"maragu.dev/goqite/jobs"
	_ "modernc.org/sqlite"
)

//go:embed schema.sql
var schema string // goqite's schema_sqlite.sql

func goqiteOpen(file string) (*sql.DB, *goqite.Queue, error) {
	db, err := sql.Open("sqlite", file+"?_pragma=journal_mode(WAL)&_pragma=busy_timeout(5000)")
	if err != nil {
		return nil, nil, err
	}
	db.SetMaxOpenConns(1)
	if _, err := db.Exec(schema); err != nil { // once
		return nil, nil, err
	}
	return db, goqite.New(goqite.NewOpts{DB: db, Name: "mails"}), nil
}

func goqitePut(ctx context.Context, q *goqite.Queue) error {
	return q.Send(ctx, goqite.Message{Body: []byte("to alice")})
}

func goqiteTake(ctx context.Context, q *goqite.Queue, send func([]byte) error) error {
	m, err := q.ReceiveAndWait(ctx, 10*time.Millisecond) // asks every 10 ms
	if err != nil {
		return err
	}
	if err := send(m.Body); err != nil {
		return err // it comes again after NewOpts.Timeout
	}
	return q.Delete(ctx, m.ID)
}

func goqiteWork(ctx context.Context, q *goqite.Queue, send func([]byte) error) {
	r := jobs.NewRunner(jobs.NewRunnerOpts{Queue: q, Limit: 10, PollInterval: 10 * time.Millisecond})
	r.Register("mail", func(_ context.Context, m []byte) error { return send(m) })
	r.Start(ctx) // messages are made by jobs.Create
}

func goqiteLater(ctx context.Context, q *goqite.Queue, after time.Duration) error {
	return q.Send(ctx, goqite.Message{Body: []byte("to alice"), Delay: after})
}

func goqiteExtend(ctx context.Context, q *goqite.Queue, m *goqite.Message) error {
	return q.Extend(ctx, m.ID, 30*time.Second)
}

func goqiteOutbox(ctx context.Context, db *sql.DB, q *goqite.Queue) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if _, err := tx.ExecContext(ctx, `INSERT INTO orders (id, what) VALUES (7, 'tea')`); err != nil {
		return err
	}
	if err := q.SendTx(ctx, tx, goqite.Message{Body: []byte("order 7")}); err != nil {
		return err
	}
	return tx.Commit()
}

func goqiteWaiting(ctx context.Context, db *sql.DB) (n int64, err error) {
	err = db.QueryRowContext(ctx, `SELECT count(*) FROM goqite WHERE queue = 'mails'`).Scan(&n)
	return n, err
}

func goqiteGivenUp(ctx context.Context, db *sql.DB) (bodies []string, err error) {
	rows, err := db.QueryContext(ctx, `SELECT body FROM goqite WHERE queue = 'mails' AND received >= 3`) // NewOpts.MaxReceive
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var body string
		if err := rows.Scan(&body); err != nil {
			return nil, err
		}
		bodies = append(bodies, body)
	}
	return bodies, rows.Err()
}

func goqiteTest(t *testing.T, mailer func(*goqite.Queue) error) {
	db, q, err := goqiteOpen(":memory:")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := goqitePut(t.Context(), q); err != nil {
		t.Fatal(err)
	}
	if err := mailer(q); err != nil {
		t.Fatal(err)
	}
	if n, err := goqiteWaiting(t.Context(), db); err != nil || n != 0 {
		t.Error("left", n, err)
	}
}
