// Windows counts the clicks of users, by the minute (tumbling windows) and by the visit (session windows: clicks with no more than
// half a minute between them). The counts are rows of a table. Clicks may come in any order: a late one corrects its minute, and
// may make one visit of two.
//
//	go run ./examples/windows < clicks      # lines of "USER 2026-03-01T10:00:00Z"
//
// The counts and the offsets of the clicks are stored in one transaction, so that each click counts once.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/samsa-go/samsa"
)

const (
	clicks = "clicks"
	counts = "counts"
	group  = "windows"

	minute = time.Minute      // the size of a tumbling window
	gap    = 30 * time.Second // after which a click begins another visit
)

func main() {
	data := flag.String("data", filepath.Join(os.TempDir(), "samsa-windows"), "directory of the clicks")
	flag.Parse()
	if err := run(context.Background(), *data, os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "windows:", err)
		os.Exit(1)
	}
}

// run adds the clicks of in, and prints all windows.
func run(ctx context.Context, dir string, in io.Reader, out io.Writer) (err error) {
	b, err := samsa.Open(dir, samsa.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	if err := create(ctx, b); err != nil {
		return err
	}
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		user, text, _ := strings.Cut(lines.Text(), " ")
		at, err := time.Parse(time.RFC3339, text)
		if err != nil {
			return err
		}
		if _, err := b.Produce(ctx, samsa.Record{Topic: clicks, Key: []byte(user), Timestamp: at}); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	t, err := b.NewTable(ctx, samsa.TableOptions{Topic: counts, Name: "windows"})
	if err != nil {
		return err
	}
	defer t.Close()
	if err := count(ctx, b, t); err != nil {
		return err
	}
	return show(ctx, t, out)
}

func create(ctx context.Context, b *samsa.Broker) error {
	if _, err := b.Topics().Ensure(ctx, clicks, samsa.TopicConfig{Partitions: 4, Retention: samsa.Unlimited}); err != nil {
		return err
	}
	_, err := b.Topics().Ensure(ctx, counts, samsa.TopicConfig{CleanupPolicy: samsa.CleanupCompact})
	return err
}

// window is a row of the table. Its key is the kind, the user and the first moment, in the order of time.
type window struct {
	First, Last time.Time // clicks
	Clicks      int
}

// rowKey returns the key of a window. Users have no '/' in their names.
func rowKey(kind, user string, start time.Time) string {
	return kind + "/" + user + "/" + start.UTC().Format("2006-01-02T15:04:05.000")
}

// count counts the clicks that are stored until now and were not counted, in transactions of a Poll each.
func count(ctx context.Context, b *samsa.Broker, t *samsa.Table) error {
	c, err := b.NewConsumer(ctx, samsa.ConsumerOptions{
		Topics: []string{clicks}, Group: group, Member: samsa.MemberOptions{ManualCommit: true},
	})
	if err != nil {
		return err
	}
	defer c.Close()
	var batch []samsa.Record
	for r, err := range c.RecordsUntil(ctx) {
		if err != nil {
			return err
		}
		if batch = append(batch, r); len(batch) < 500 {
			continue
		}
		if err := add(ctx, b, t, c, batch); err != nil {
			return err
		}
		batch = batch[:0]
	}
	if len(batch) == 0 {
		return nil
	}
	return add(ctx, b, t, c, batch)
}

// add has the windows of these clicks changed, and says that the clicks are done.
func add(ctx context.Context, b *samsa.Broker, t *samsa.Table, c *samsa.Consumer, batch []samsa.Record) error {
	return b.Update(ctx, func(tx *samsa.Tx) error {
		rows, err := tx.Table(t)
		if err != nil {
			return err
		}
		w := windows{rows: rows, changed: make(map[string]*window), revisions: make(map[string]int64)}
		for _, r := range batch {
			if err := w.tumble(string(r.Key), r.Timestamp.UTC()); err != nil {
				return err
			}
			if err := w.visit(string(r.Key), r.Timestamp.UTC()); err != nil {
				return err
			}
		}
		if err := w.put(tx, t); err != nil {
			return err
		}
		return tx.CommitRecords(c, batch...)
	})
}

// windows is the rows that a transaction reads, and what it makes of them: nil is a row that ends.
type windows struct {
	rows      *samsa.TableTx
	changed   map[string]*window
	revisions map[string]int64 // of all that was read
}

// get returns the window of a key, nil if there is none.
func (w *windows) get(key string) (*window, error) {
	if _, ok := w.revisions[key]; ok {
		return w.changed[key], nil
	}
	row, err := w.rows.Get([]byte(key))
	if errors.Is(err, samsa.ErrKeyNotFound) {
		w.revisions[key] = samsa.NoRow
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return w.read(row)
}

func (w *windows) read(row samsa.Record) (*window, error) {
	win := new(window)
	if err := json.Unmarshal(row.Value, win); err != nil {
		return nil, fmt.Errorf("row %s: %w", row.Key, err)
	}
	w.changed[string(row.Key)], w.revisions[string(row.Key)] = win, row.Offset
	return win, nil
}

// tumble counts a click in its minute.
func (w *windows) tumble(user string, at time.Time) error {
	key := rowKey("minute", user, at.Truncate(minute))
	win, err := w.get(key)
	if err != nil {
		return err
	}
	w.changed[key] = join(win, &window{First: at, Last: at, Clicks: 1})
	return nil
}

// visit makes one visit of a click and of the visits that it is near to.
func (w *windows) visit(user string, at time.Time) error {
	prefix := rowKey("visit", user, time.Time{})
	prefix = prefix[:strings.LastIndexByte(prefix, '/')+1]
	if _, ok := w.revisions[prefix]; !ok { // the user's visits are read once in a transaction
		w.revisions[prefix] = samsa.NoRow
		for row, err := range w.rows.Range(samsa.TableRange{Prefix: []byte(prefix)}) {
			if err == nil {
				_, err = w.read(row)
			}
			if err != nil {
				return err
			}
		}
	}
	sum := &window{First: at, Last: at, Clicks: 1}
	for key, win := range w.changed {
		if win != nil && strings.HasPrefix(key, prefix) && !win.First.After(at.Add(gap)) && !win.Last.Before(at.Add(-gap)) {
			sum = join(win, sum)
			w.changed[key] = nil
		}
	}
	key := rowKey("visit", user, sum.First)
	if _, err := w.get(key); err != nil {
		return err
	}
	w.changed[key] = sum
	return nil
}

// join returns what two windows are together; the first one may be nil.
func join(a, b *window) *window {
	if a == nil {
		return b
	}
	sum := &window{First: a.First, Last: a.Last, Clicks: a.Clicks + b.Clicks}
	if b.First.Before(sum.First) {
		sum.First = b.First
	}
	if b.Last.After(sum.Last) {
		sum.Last = b.Last
	}
	return sum
}

// put stores what has changed, each row as the successor of the one that was read.
func (w *windows) put(tx *samsa.Tx, t *samsa.Table) error {
	for key, win := range w.changed {
		var value []byte // a row that ends
		switch {
		case win == nil && w.revisions[key] == samsa.NoRow:
			continue
		case win != nil:
			var err error
			if value, err = json.Marshal(win); err != nil {
				return err
			}
		}
		if err := tx.Put(t, []byte(key), value, w.revisions[key]); err != nil {
			return err
		}
	}
	return nil
}

// show prints the windows of the table, when it has all that was stored.
func show(ctx context.Context, t *samsa.Table, out io.Writer) error {
	if err := t.WaitFor(ctx); err != nil {
		return err
	}
	for row, err := range t.Range(samsa.TableRange{}) {
		if err != nil {
			return err
		}
		var win window
		if err := json.Unmarshal(row.Value, &win); err != nil {
			return err
		}
		fmt.Fprintf(out, "%s to %s: %d clicks\n", row.Key, win.Last.Format(time.TimeOnly), win.Clicks)
	}
	return nil
}
