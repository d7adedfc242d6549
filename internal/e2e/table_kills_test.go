package e2e

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/samsa-go/samsa"
)

// childBodies gets the child of this test.
var _ = func() bool { childBodies["table"] = countUntilKilled; return true }()

const tableWorkers = 3

// countUntilKilled is the child. Its argument is the directory. Each worker counts in a row of a kept table of its own, by compare and set, and
// overwrites and deletes other rows, some of which are large, while the log is compacted and loses its beginning. It writes "worker count" when that
// was acknowledged.
func countUntilKilled(args []string) error {
	b, err := samsa.Open(args[0], samsa.Options{})
	if err != nil {
		return err
	}
	t, err := b.NewTable(context.Background(), samsa.TableOptions{Topic: "accounts", Name: "kept"})
	if err != nil {
		return err
	}
	failed := make(chan error)
	for i := range tableWorkers {
		go func() { failed <- countForEver(b, t, fmt.Sprint("worker-", i)) }()
	}
	go func() {
		for {
			if _, err := b.Sweep(context.Background()); err != nil {
				failed <- err
			}
		}
	}()
	return <-failed
}

func countForEver(b *samsa.Broker, t *samsa.Table, worker string) error {
	ctx := context.Background()
	for {
		n := 0
		err := b.Update(ctx, func(tx *samsa.Tx) error {
			in, err := tx.Table(t)
			if err != nil {
				return err
			}
			var seen int64
			if n, seen, err = counted(in.Get([]byte(worker))); err != nil {
				return err
			}
			for range 20 {
				r := samsa.Record{Topic: "accounts", Key: fmt.Append(nil, rand.IntN(500))}
				if rand.IntN(2) == 0 {
					r.Value = make([]byte, 1+rand.IntN(4000))
				}
				if err := tx.Produce(r); err != nil {
					return err
				}
			}
			return tx.Put(t, []byte(worker), fmt.Append(nil, n+1), seen)
		})
		if err == nil {
			err = tell("%s %d\n", worker, n+1)
		}
		if err == nil && n%20 == 7 {
			err = b.Topics().DeleteRecords(ctx, "accounts", map[int32]int64{0: rand.Int64N(int64(n))})
		}
		if err != nil && !errors.Is(err, samsa.ErrConflict) && !errors.Is(err, samsa.ErrOffsetOutOfRange) {
			return err
		}
	}
}

// counted returns the count of a row and its revision, which may not be there.
func counted(row samsa.Record, err error) (n int, revision int64, _ error) {
	if errors.Is(err, samsa.ErrKeyNotFound) {
		return 0, samsa.NoRow, nil
	}
	if err == nil {
		n, err = strconv.Atoi(string(row.Value))
	}
	return n, row.Offset, err
}

// A process with a kept table is killed at any moment, again and again: then the table has each row that the log has, and none besides, and no count
// that was acknowledged is lost. Now and then the index is made anew.
func TestTableKills(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := mustOpen(t, dir, samsa.Options{})
	if err := b.Topics().Create(t.Context(), "accounts", samsa.TopicConfig{Partitions: 2, CleanupPolicy: samsa.CleanupCompact}); err != nil {
		t.Fatal(err)
	}
	mustClose(t, b)
	told := make(map[string]int)
	for round := range kills(t, 3) {
		for _, line := range killWhen(t, "table", after(rand.IntN(200)), dir) {
			worker, count, _ := strings.Cut(line, " ")
			told[worker], _ = strconv.Atoi(count)
		}
		b := mustOpen(t, dir, samsa.Options{RebuildIndex: round%3 == 2})
		kept, fresh := rowsOf(t, b, "kept"), rowsOf(t, b, "")
		if len(kept) != len(fresh) {
			t.Errorf("round %d: %d rows are kept, the log has %d", round, len(kept), len(fresh))
		}
		for key, row := range fresh {
			if kept[key] != row {
				t.Errorf("round %d: %s is kept as %.50s, the log has %.50s", round, key, kept[key], row)
			}
		}
		for worker, count := range told {
			_, value, _ := strings.Cut(kept[worker], " ")
			if n, _ := strconv.Atoi(value); n < count {
				t.Errorf("round %d: %s has counted to %d, and %d was acknowledged", round, worker, n, count)
			}
		}
		mustClose(t, b)
	}
}

// rowsOf returns the offset and the value of each row of a table, which is closed.
func rowsOf(t *testing.T, b *samsa.Broker, name string) map[string]string {
	t.Helper()
	tb, err := b.NewTable(t.Context(), samsa.TableOptions{Topic: "accounts", Name: name})
	if err != nil {
		t.Fatal(err)
	}
	rows := make(map[string]string)
	for rec, err := range tb.Range(samsa.TableRange{}) {
		if err != nil {
			t.Fatal(err)
		}
		rows[string(rec.Key)] = fmt.Sprintf("%d/%d %s", rec.Partition, rec.Offset, rec.Value)
	}
	if int64(len(rows)) != tb.Len() {
		t.Errorf("%q has %d rows, and says %d", name, len(rows), tb.Len())
	}
	if err := tb.Close(); err != nil {
		t.Fatal(err)
	}
	return rows
}
