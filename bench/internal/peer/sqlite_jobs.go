package peer

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// A row of jobs is what queues on SQL databases have: state, attempts, and until when a worker has it.
const jobsSchema = `
CREATE TABLE IF NOT EXISTS jobs (
	n        INTEGER PRIMARY KEY AUTOINCREMENT,
	value    BLOB,
	state    INTEGER NOT NULL DEFAULT 0,
	attempts INTEGER NOT NULL DEFAULT 0,
	due      INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS jobs_due ON jobs (state, due, n);`

// States of a job.
const (
	jobOpen = 0
	jobDone = 1
)

// prepareJobs is prepare for a log that is a queue: workers ask for the oldest job that is due, and move that into
// the future, as far as a worker's time goes.
func (l *sqliteLog) prepareJobs(ctx context.Context, _ int) (err error) {
	if l.writer, err = l.db.Conn(ctx); err != nil {
		return err
	}
	if _, err := l.writer.ExecContext(ctx, jobsSchema); err != nil {
		return err
	}
	insert, err := l.writer.PrepareContext(ctx, "INSERT INTO jobs (value) VALUES (?)")
	l.inserts = append(l.inserts, insert)
	return err
}

func (l *sqliteLog) Queue(ctx context.Context) (_ Queue, err error) {
	q := &sqliteWorkers{l: l}
	q.take, err = l.writer.PrepareContext(ctx, `UPDATE jobs SET attempts = attempts + 1, due = ?
		WHERE n IN (SELECT n FROM jobs WHERE state = ? AND due <= ? ORDER BY due, n LIMIT ?) RETURNING n, value`)
	if err != nil {
		return nil, err
	}
	if q.done, err = l.writer.PrepareContext(ctx, "UPDATE jobs SET state = ? WHERE n = ?"); err != nil {
		return nil, errors.Join(err, q.take.Close())
	}
	return q, nil
}

type sqliteWorkers struct {
	l          *sqliteLog
	take, done *sql.Stmt
}

func (q *sqliteWorkers) Receive(ctx context.Context, limit int) (Received, error) {
	got := &sqliteReceived{q: q}
	_, err := q.l.bell.await(ctx, func() (int, error) { return q.receive(ctx, limit, got) })
	return got, err
}

func (q *sqliteWorkers) receive(ctx context.Context, limit int, got *sqliteReceived) (n int, err error) {
	q.l.mu.Lock()
	defer q.l.mu.Unlock()
	now := time.Now()
	rows, err := q.take.QueryContext(ctx, now.Add(queueLock).UnixMilli(), jobOpen, now.UnixMilli(), limit)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var n int64
		var value []byte
		if err := rows.Scan(&n, &value); err != nil {
			return 0, err
		}
		got.ids, got.values = append(got.ids, n), append(got.values, value)
	}
	return len(got.ids), rows.Err()
}

func (q *sqliteWorkers) Close() error { return errors.Join(q.take.Close(), q.done.Close()) }

type sqliteReceived struct {
	q      *sqliteWorkers
	ids    []int64
	values [][]byte
}

func (r *sqliteReceived) Values() [][]byte { return r.values }

// Ack is one transaction.
func (r *sqliteReceived) Ack(ctx context.Context) error {
	r.q.l.mu.Lock()
	defer r.q.l.mu.Unlock()
	tx, err := r.q.l.writer.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	done := tx.StmtContext(ctx, r.q.done)
	for _, n := range r.ids {
		if _, err := done.ExecContext(ctx, jobDone, n); err != nil {
			return errors.Join(err, tx.Rollback())
		}
	}
	return tx.Commit()
}
