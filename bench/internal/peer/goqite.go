package peer

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"maragu.dev/goqite"
)

func goqiteQueue() *Peer {
	return &Peer{
		Name:      "goqite",
		Title:     "goqite",
		About:     "A message queue as a table of modernc.org/sqlite, WAL mode, one connection, a transaction for each message that is received or deleted. Stored: synchronous=NORMAL. Synced: FULL.",
		Module:    "maragu.dev/goqite",
		QueueOnly: true,
		Open:      openGoqite,
	}
}

// goqiteSchema is what goqite's documentation asks its users to create: the columns it reads and writes, their defaults,
// the index and the trigger.
const goqiteSchema = `
CREATE TABLE IF NOT EXISTS goqite (
	id       TEXT PRIMARY KEY DEFAULT ('m_' || lower(hex(randomblob(16)))),
	queue    TEXT NOT NULL,
	body     BLOB NOT NULL,
	created  TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ')),
	updated  TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ')),
	timeout  TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ')),
	received INTEGER NOT NULL DEFAULT 0,
	priority INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX IF NOT EXISTS goqite_order ON goqite (queue, priority DESC, created);
CREATE TRIGGER IF NOT EXISTS goqite_updated AFTER UPDATE ON goqite BEGIN
	UPDATE goqite SET updated = strftime('%Y-%m-%dT%H:%M:%fZ') WHERE id = old.id;
END;`

type goqiteLog struct {
	db *sql.DB
	q  *goqite.Queue
	*bell
}

func openGoqite(ctx context.Context, dir string, o Options) (Log, error) {
	db, err := openSQL(dir, o.Synced)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1) // as its documentation says
	if _, err := db.ExecContext(ctx, goqiteSchema); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return &goqiteLog{db, goqite.New(goqite.NewOpts{DB: db, Name: "bench", Timeout: queueLock}), new(bell)}, nil
}

// queueLock is how long a worker may take.
const queueLock = time.Minute

func (l *goqiteLog) Append(ctx context.Context, _ int, batch [][]byte) error {
	tx, err := l.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	for _, value := range batch {
		if err := l.q.SendTx(ctx, tx, goqite.Message{Body: value}); err != nil {
			return errors.Join(err, tx.Rollback())
		}
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	l.ring()
	return nil
}

func (l *goqiteLog) Sync(ctx context.Context) error {
	_, err := l.db.ExecContext(ctx, "PRAGMA wal_checkpoint(FULL)")
	return err
}

func (l *goqiteLog) Read(context.Context, int, int64) (Reader, error) {
	return nil, errors.ErrUnsupported
}

func (l *goqiteLog) Queue(context.Context) (Queue, error) { return (*goqiteWorkers)(l), nil }

func (l *goqiteLog) Close() error { return l.db.Close() }

type goqiteWorkers goqiteLog

func (w *goqiteWorkers) Receive(ctx context.Context, limit int) (Received, error) {
	got := &goqiteReceived{q: w.q}
	_, err := w.await(ctx, func() (int, error) {
		for len(got.ids) < limit {
			m, err := w.q.Receive(ctx)
			if err != nil {
				return 0, err
			}
			if m == nil {
				break
			}
			got.ids, got.values = append(got.ids, m.ID), append(got.values, m.Body)
		}
		return len(got.ids), nil
	})
	return got, err
}

func (w *goqiteWorkers) Close() error { return nil }

type goqiteReceived struct {
	q      *goqite.Queue
	ids    []goqite.ID
	values [][]byte
}

func (r *goqiteReceived) Values() [][]byte { return r.values }

func (r *goqiteReceived) Ack(ctx context.Context) error {
	for _, id := range r.ids {
		if err := r.q.Delete(ctx, id); err != nil {
			return err
		}
	}
	return nil
}
