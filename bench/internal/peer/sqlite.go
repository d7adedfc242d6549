package peer

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"sync"

	_ "modernc.org/sqlite" // the driver
)

func sqliteRows() *Peer {
	return &Peer{
		Name:   "sqlite",
		Title:  "SQLite",
		About:  "modernc.org/sqlite, WAL mode, a table for each partition, a row for each record, a transaction a batch, one connection that writes. Stored: synchronous=NORMAL. Synced: FULL.",
		Module: "modernc.org/sqlite",
		Open:   openSQLite,
	}
}

type sqliteLog struct {
	db      *sql.DB
	inserts []*sql.Stmt
	mu      sync.Mutex // held by the one who writes
	writer  *sql.Conn
	synced  bool
	bell    bell
}

// openSQL opens a database in dir.
func openSQL(dir string, synced bool) (*sql.DB, error) {
	synchronous := "NORMAL"
	if synced {
		synchronous = "FULL"
	}
	pragmas := url.Values{"_pragma": {"journal_mode(WAL)", "synchronous(" + synchronous + ")", "busy_timeout(10000)"}}
	path := filepath.ToSlash(filepath.Join(dir, "sqlite"))
	if !strings.HasPrefix(path, "/") {
		path = "/" + path // file:///C:/...
	}
	return sql.Open("sqlite", "file://"+path+"?"+pragmas.Encode())
}

func openSQLite(ctx context.Context, dir string, o Options) (Log, error) {
	db, err := openSQL(dir, o.Synced)
	if err != nil {
		return nil, err
	}
	l := &sqliteLog{db: db, synced: o.Synced}
	prepare := l.prepare
	if o.Queue {
		prepare = l.prepareJobs
	}
	if err := prepare(ctx, o.Partitions); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

func (l *sqliteLog) prepare(ctx context.Context, partitions int) (err error) {
	if l.writer, err = l.db.Conn(ctx); err != nil {
		return err
	}
	if _, err := l.writer.ExecContext(ctx, "CREATE TABLE IF NOT EXISTS groups (name TEXT PRIMARY KEY, next INTEGER)"); err != nil {
		return err
	}
	for i := range partitions {
		if _, err := l.writer.ExecContext(ctx, fmt.Sprintf("CREATE TABLE IF NOT EXISTS records_%d (n INTEGER PRIMARY KEY AUTOINCREMENT, value BLOB)", i)); err != nil {
			return err
		}
		insert, err := l.writer.PrepareContext(ctx, fmt.Sprintf("INSERT INTO records_%d (value) VALUES (?)", i))
		if err != nil {
			return err
		}
		l.inserts = append(l.inserts, insert)
	}
	return nil
}

func (l *sqliteLog) Append(ctx context.Context, partition int, batch [][]byte) error {
	if err := l.append(ctx, partition, batch); err != nil {
		return err
	}
	l.bell.ring()
	return nil
}

func (l *sqliteLog) append(ctx context.Context, partition int, batch [][]byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	insert := l.inserts[partition]
	if len(batch) == 1 { // a transaction by itself
		_, err := insert.ExecContext(ctx, batch[0])
		return err
	}
	tx, err := l.writer.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	insert = tx.StmtContext(ctx, insert)
	for _, value := range batch {
		if _, err := insert.ExecContext(ctx, value); err != nil {
			return errors.Join(err, tx.Rollback())
		}
	}
	return tx.Commit()
}

// Sync moves the write-ahead log into the database, which fsyncs both.
func (l *sqliteLog) Sync(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, err := l.writer.ExecContext(ctx, "PRAGMA wal_checkpoint(FULL)")
	return err
}

func (l *sqliteLog) Read(ctx context.Context, partition int, from int64) (Reader, error) {
	return l.reader(ctx, partition, from)
}

func (l *sqliteLog) reader(ctx context.Context, partition int, from int64) (*sqliteReader, error) {
	query, err := l.db.PrepareContext(ctx, fmt.Sprintf("SELECT value FROM records_%d WHERE n > ? ORDER BY n LIMIT %d", partition, readRecords))
	if err != nil {
		return nil, err
	}
	return &sqliteReader{l: l, query: query, next: from}, nil
}

func (l *sqliteLog) Group(ctx context.Context, name string) (GroupReader, error) {
	r, err := l.reader(ctx, 0, 0)
	if err != nil {
		return nil, err
	}
	r.group = name
	err = l.db.QueryRowContext(ctx, "SELECT next FROM groups WHERE name = ?", name).Scan(&r.next)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

func (l *sqliteLog) Trim(ctx context.Context, partition int, before int64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, err := l.writer.ExecContext(ctx, fmt.Sprintf("DELETE FROM records_%d WHERE n <= ?", partition), before)
	return err
}

func (l *sqliteLog) Close() error {
	var errs []error
	for _, insert := range l.inserts {
		errs = append(errs, insert.Close())
	}
	if l.writer != nil {
		errs = append(errs, l.writer.Close())
	}
	return errors.Join(append(errs, l.db.Close())...)
}

// sqliteReader stands before the row next + 1: rows count from 1.
type sqliteReader struct {
	l     *sqliteLog
	query *sql.Stmt
	next  int64
	group string
}

func (r *sqliteReader) Next(ctx context.Context, visit func([]byte)) (int, error) {
	return r.l.bell.await(ctx, func() (int, error) { return r.take(ctx, visit) })
}

func (r *sqliteReader) take(ctx context.Context, visit func([]byte)) (n int, err error) {
	rows, err := r.query.QueryContext(ctx, r.next)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	var value sql.RawBytes
	for rows.Next() {
		if err := rows.Scan(&value); err != nil {
			return n, err
		}
		visit(value)
		n++
		r.next++
	}
	return n, rows.Err()
}

func (r *sqliteReader) Commit(ctx context.Context) error {
	r.l.mu.Lock()
	defer r.l.mu.Unlock()
	_, err := r.l.writer.ExecContext(ctx, "INSERT INTO groups VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET next = excluded.next", r.group, r.next)
	return err
}

func (r *sqliteReader) Close() error { return r.query.Close() }
