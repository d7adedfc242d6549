package table_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/inside"
	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/internal/table"
	"github.com/samsa-go/samsa/internal/writer"
	"github.com/samsa-go/samsa/samsatest"
)

// The first transaction of a table has all its partitions, those too that are empty and that its goroutine has not come to.
func TestPutIntoEmptyPartitions(t *testing.T) {
	both(t, func(t *testing.T, name string) {
		k := open(t, "")
		for i := range 10 {
			topic := fmt.Sprint("accounts", i)
			k.create(topic, samsa.TopicConfig{Partitions: 5})
			tb := k.table(samsa.TableOptions{Topic: topic, Name: name})
			rounds := 0
			must(t, k.Update(k.ctx, func(tx *samsa.Tx) error {
				rounds++
				return tx.Put(tb, []byte("a"), []byte("1"), samsa.NoRow)
			}))
			expect(t, "rounds", rounds, 1)
		}
	})
}

func TestTableMisused(t *testing.T) {
	both(t, func(t *testing.T, name string) {
		k, other := open(t, ""), open(t, "")
		opts := samsa.TableOptions{Topic: "accounts", Name: name}
		for _, k := range []*kit{k, other} {
			k.create("accounts", samsa.TopicConfig{})
			k.produce(rec("a", "1"))
		}
		tb := k.table(opts)
		if err := tb.WaitFor(k.ctx, samsa.Record{Topic: "accounts", Partition: -1}); !errors.Is(err, samsa.ErrUnknownPartition) {
			t.Errorf("partition -1: %v", err)
		}
		for _, wrong := range []*samsa.Table{nil, {}, other.table(opts)} {
			put := func(tx *samsa.Tx) error { return tx.Put(wrong, []byte("a"), nil, 0) }
			if err := k.Update(k.ctx, put); !errors.Is(err, samsa.ErrInvalidOption) {
				t.Errorf("a table of nobody's, or another's: %v", err)
			}
		}
		var late *samsa.TableTx
		must(t, k.Update(k.ctx, func(tx *samsa.Tx) (err error) { late, err = tx.Table(tb); return err }))
		if _, err := late.Get([]byte("a")); !errors.Is(err, samsa.ErrClosed) {
			t.Errorf("get when the transaction is over: %v", err)
		}
		for _, err := range late.Range(samsa.TableRange{}) {
			if !errors.Is(err, samsa.ErrClosed) {
				t.Errorf("range when the transaction is over: %v", err)
			}
		}
	})
}

// The rows of a kept table go with its topic, so nothing is left to be dropped.
func TestDropWithoutTopic(t *testing.T) {
	both(t, func(t *testing.T, name string) {
		k := open(t, "")
		k.create("accounts", samsa.TopicConfig{})
		k.produce(rec("a", "1"))
		tb := k.table(samsa.TableOptions{Topic: "accounts", Name: name})
		must(t, k.Topics().Delete(k.ctx, "accounts"))
		must(t, tb.Drop())
	})
}

// On a full disk rows of a kept table end with the log start, and all of them with Drop: they take the room that is wanted.
func TestRowsGoOnFullDisk(t *testing.T) {
	t.Parallel()
	k := &kit{samsatest.New(t, samsatest.Topic("accounts", 1)), t, t.Context()}
	opts := samsa.TableOptions{Topic: "accounts", Name: "kept"}
	tb, other := k.table(opts), k.table(samsa.TableOptions{Topic: "accounts", Name: "other"})
	k.put(tb, rec("a", "1"), rec("b", "1"))
	gone := func(tb *samsa.Table) bool {
		for c, err := range tb.Watch(k.ctx) {
			must(t, err)
			if c.Record.Value == nil && !c.Mark {
				return string(c.Record.Key) == "a"
			}
			if c.Mark {
				must(t, k.Topics().DeleteRecords(k.ctx, "accounts", map[int32]int64{0: 1}))
			}
		}
		return false
	}
	full := samsatest.FillDisk(k.Broker)
	must(t, other.Drop())
	expect(t, "a is the one that has gone", gone(tb), true)
	expect(t, "rows", k.rows(tb, samsa.TableRange{}), "[b=1]")
	must(t, tb.Drop())
	if _, err := k.NewTable(k.ctx, opts); !errors.Is(err, samsa.ErrDiskFull) {
		t.Errorf("a table that there is no room for: %v", err)
	}
	full.Remove()
	expect(t, "rows", k.rows(k.table(opts), samsa.TableRange{}), "[b=1]")
}

// A row of which only the place is kept has gone when the log start passes it, whether the table knows or not.
func TestLargeRowsThatGo(t *testing.T) {
	both(t, func(t *testing.T, name string) {
		k := open(t, "")
		k.create("accounts", samsa.TopicConfig{MaxMessageBytes: 16 << 20})
		tb := k.table(samsa.TableOptions{Topic: "accounts", Name: name})
		key := []byte("large")
		until := func(what string, read func() error) {
			for {
				if err := read(); err != nil {
					if !errors.Is(err, samsa.ErrKeyNotFound) {
						t.Errorf("%s: %v", what, err)
					}
					return
				}
			}
		}
		for range 3 {
			out := k.produce(samsa.Record{Topic: "accounts", Key: key, Value: make([]byte, 9<<20)})
			must(t, tb.WaitFor(k.ctx, out...))
			var wg sync.WaitGroup
			wg.Go(func() {
				until("get", func() error { _, err := tb.Get(key); return err })
			})
			wg.Go(func() {
				until("range", func() error {
					for _, err := range tb.Range(samsa.TableRange{}) {
						return err
					}
					return samsa.ErrKeyNotFound
				})
			})
			wg.Go(func() {
				until("get in a transaction", func() error {
					return k.Update(k.ctx, func(tx *samsa.Tx) error {
						v, err := tx.Table(tb)
						if err == nil {
							_, err = v.Get(key)
						}
						return err
					})
				})
			})
			must(t, k.Topics().DeleteRecords(k.ctx, "accounts", map[int32]int64{0: out[0].Offset + 1}))
			wg.Wait()
		}
	})
}

// Of a kept table that nobody has open, a large row whose record compaction has taken for a later one is an error in its place; the other rows are there,
// and all of them once the table is opened.
func TestLargeRowThatWasReplaced(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := open(t, "")
		k.create("accounts", samsa.TopicConfig{CleanupPolicy: samsa.CleanupCompact, MaxMessageBytes: 16 << 20})
		opts := samsa.TableOptions{Topic: "accounts", Name: "kept"}
		large := samsa.Record{Topic: "accounts", Key: []byte("b"), Value: make([]byte, 9<<20)}
		k.produce(rec("a", "1"), large, rec("c", "1"))
		tb := k.table(opts)
		must(t, tb.Close())
		k.replace(samsa.Record{Topic: "accounts", Key: large.Key, Value: []byte("later")})
		kept, err := inside.Of(k.Broker).Tables.Find(k.ctx, "accounts", "kept", "")
		must(t, err)
		if _, err := kept.Get(large.Key); !errors.Is(err, samsa.ErrOffsetOutOfRange) {
			t.Errorf("the row that was replaced: %v", err)
		}
		row, err := kept.Get([]byte("c"))
		must(t, err)
		expect(t, "another row", string(row.Value), "1")
		var rows []string
		for rec, err := range kept.Range(table.Range{}) {
			switch {
			case err == nil:
				rows = append(rows, string(rec.Key))
			case errors.Is(err, samsa.ErrOffsetOutOfRange) && strings.Contains(err.Error(), `"b"`):
				rows = append(rows, "replaced")
			default:
				t.Fatal(err)
			}
		}
		expect(t, "rows of what is kept", rows, "[a replaced c]")
		tb = k.table(opts)
		expect(t, "rows", k.rows(tb, samsa.TableRange{}), "[a=1 b=later c=1 d=1]")
		must(t, k.Close())
	})
}

// replace produces a record, and has compaction take it for those of its key before it. A row of d comes besides.
func (k *kit) replace(by samsa.Record) {
	k.t.Helper()
	k.produce(by)
	for range 3 {
		k.produce(rec("d", "1"))
		_, err := k.Sweep(k.ctx)
		must(k.t, err)
		time.Sleep(time.Hour)
	}
}

// A loop over rows of which a large one is replaced meanwhile has the newer one, though only the log had the key of the older one.
func TestLargeRowThatIsReplaced(t *testing.T) {
	both(t, func(t *testing.T, name string) {
		for _, large := range []samsa.Record{
			{Topic: "accounts", Key: []byte("b"), Value: make([]byte, 9<<20)},
			{Topic: "accounts", Key: bytes.Repeat([]byte("b"), 9<<20), Value: []byte("1")},
		} {
			synctest.Test(t, func(t *testing.T) {
				k := open(t, "")
				k.create("accounts", samsa.TopicConfig{CleanupPolicy: samsa.CleanupCompact, MaxMessageBytes: 16 << 20})
				tb := k.table(samsa.TableOptions{Topic: "accounts", Name: name})
				k.put(tb, rec("a", "1"), large, rec("c", "1"))
				round := 1
				loop := func(what string, rows iter.Seq2[samsa.Record, error]) {
					seen := ""
					for rec, err := range rows {
						must(t, err)
						if seen == "" {
							round++
							k.replace(samsa.Record{Topic: "accounts", Key: large.Key, Value: fmt.Append(nil, round)})
						}
						seen += string(rec.Key[:1])
						if rec.Key[0] == 'b' && (len(rec.Key) != len(large.Key) || string(rec.Value) != fmt.Sprint(round)) {
							t.Errorf("%s: %d bytes of key, %.10q", what, len(rec.Key), rec.Value)
						}
					}
					expect(t, what, seen, "abc")
				}
				loop("Range", tb.Range(samsa.TableRange{To: []byte("d")}))
				k.put(tb, large)
				loop("Watch", func(yield func(samsa.Record, error) bool) {
					for c, err := range tb.Watch(t.Context()) {
						if c.Mark || c.Record.Key[0] != 'd' && !yield(c.Record, err) {
							return
						}
					}
				})
				must(t, k.Close())
			})
		}
	})
}

// What a loop does with the bytes that it has is no matter of the rows to come.
func TestBytesOfRange(t *testing.T) {
	both(t, func(t *testing.T, name string) {
		k := open(t, "")
		k.create("accounts", samsa.TopicConfig{})
		tb := k.table(samsa.TableOptions{Topic: "accounts", Name: name})
		for i := range 100 {
			k.put(tb, rec(fmt.Sprint("key", 100+i), "1"))
		}
		for _, reverse := range []bool{false, true} {
			n := 0
			for rec, err := range tb.Range(samsa.TableRange{Reverse: reverse}) {
				must(t, err)
				n++
				clear(rec.Key)
				clear(rec.Value)
			}
			expect(t, fmt.Sprint("rows, reverse ", reverse), n, 100)
		}
	})
}

// Who watches hears of the whole key of a large row that goes.
func TestLargeRowOfALongKey(t *testing.T) {
	both(t, func(t *testing.T, name string) {
		k := open(t, "")
		k.create("accounts", samsa.TopicConfig{MaxMessageBytes: 16 << 20})
		tb := k.table(samsa.TableOptions{Topic: "accounts", Name: name})
		key, went := bytes.Repeat([]byte("k"), 2000), false
		k.put(tb, samsa.Record{Topic: "accounts", Key: key, Value: make([]byte, 9<<20)})
		for c, err := range tb.Watch(k.ctx) {
			must(t, err)
			if c.Mark {
				must(t, k.Topics().DeleteRecords(k.ctx, "accounts", map[int32]int64{0: 1}))
				went = true
				continue
			}
			if !bytes.Equal(c.Record.Key, key) {
				t.Fatalf("a key of %d bytes", len(c.Record.Key))
			}
			if went {
				return
			}
		}
	})
}

// A kept table is as one that is built from the log, whenever the broker was opened again, with an index that was made anew too.
func TestKeptTableIsAsTheLogSays(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	rng := rand.New(rand.NewPCG(1, 2))
	for round := range 4 {
		b, err := samsa.Open(dir, samsa.Options{RebuildIndex: round%2 == 1})
		must(t, err)
		k := &kit{b, t, context.Background()}
		if round == 0 {
			k.create("accounts", samsa.TopicConfig{Partitions: 2, CleanupPolicy: samsa.CleanupCompact})
		}
		tb, err := k.NewTable(k.ctx, samsa.TableOptions{Topic: "accounts", Name: "n"})
		must(t, err)
		mem, err := k.NewTable(k.ctx, samsa.TableOptions{Topic: "accounts"})
		must(t, err)
		check := func(what string) {
			must(t, tb.WaitFor(k.ctx))
			must(t, mem.WaitFor(k.ctx))
			a, c := fmt.Sprint(k.rows(tb, samsa.TableRange{})), fmt.Sprint(k.rows(mem, samsa.TableRange{}))
			if a != c || tb.Len() != mem.Len() {
				t.Errorf("round %d %s: %d rows, %d rows of the one in memory", round, what, tb.Len(), mem.Len())
			}
		}
		check("opened")
		for range 100 {
			var rs []samsa.Record
			for range 50 {
				v := ""
				if rng.IntN(2) == 0 {
					v = string(noise(rng.IntN(3000) + 1))
				}
				rs = append(rs, rec(fmt.Sprint("key", rng.IntN(400)), v))
			}
			k.produce(rs...)
		}
		check("written")
		must(t, b.Close())
	}
}

// A table of a group that opens while others come and go has what it is given, and does not fail for what is taken from it.
func TestTablesOfAGroupComeAndGo(t *testing.T) {
	t.Parallel()
	k := open(t, "")
	k.create("accounts", samsa.TopicConfig{Partitions: 8})
	for i := range 100 {
		k.produce(rec(fmt.Sprint(i), "v"))
	}
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for range 20 {
				tb, err := k.NewTable(k.ctx, samsa.TableOptions{Topic: "accounts", Group: "readers"})
				if err == nil {
					err = tb.WaitFor(k.ctx)
				}
				if err == nil {
					err = tb.Close()
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// A table of a group has all that was stored when NewTable returns, of the partitions too that it was given and its goroutine has not come to.
func TestGroupTableIsWhole(t *testing.T) {
	const partitions = 100
	t.Parallel()
	k := open(t, "")
	k.create("accounts", samsa.TopicConfig{Partitions: partitions})
	var records []samsa.Record
	for i := range int32(partitions) {
		records = append(records, samsa.Record{Topic: "accounts", Partition: i, Key: fmt.Append(nil, i), Value: []byte("1")})
	}
	_, err := k.ProduceWith(k.ctx, samsa.ProduceOptions{Partitioner: samsa.ManualPartitioner()}, records...)
	must(t, err)
	for i := range 20 {
		tb, err := k.NewTable(k.ctx, samsa.TableOptions{Topic: "accounts", Group: fmt.Sprint("group", i)})
		must(t, err)
		expect(t, "rows", tb.Len(), partitions)
		must(t, tb.Close())
	}
}

// A kept table that was not open for longer than tombstones stay has no row whose tombstone compaction has removed meanwhile; one
// that was closed for less goes on where it was, though the log was compacted.
func TestKeptTableThatWasAway(t *testing.T) {
	t.Parallel()
	for _, away := range []time.Duration{time.Hour, 48 * time.Hour} {
		t.Run(away.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := open(t, "")
				k.create("accounts", samsa.TopicConfig{CleanupPolicy: samsa.CleanupCompact})
				opts := samsa.TableOptions{Topic: "accounts", Name: "n"}
				tb := k.table(opts)
				k.put(tb, rec("a", "1"), rec("b", "1"))
				must(t, tb.Close())
				k.produce(rec("a", ""))
				for range 2 {
					k.produce(rec("c", "1"))
					_, err := k.Sweep(k.ctx)
					must(t, err)
					time.Sleep(away / 2)
				}
				k.produce(rec("c", "2"))
				_, err := k.Sweep(k.ctx)
				must(t, err)
				tb = k.table(opts)
				expect(t, "rows", k.rows(tb, samsa.TableRange{}), "[b=1 c=2]")
				rebuilds := 0
				if away > 24*time.Hour {
					rebuilds = 1
				}
				m, err := k.Metrics(k.ctx, samsa.MetricsOptions{})
				must(t, err)
				expect(t, "rebuilds", m.Tables[0].Rebuilds, rebuilds)
				must(t, k.Close())
			})
		})
	}
}

// A kept table whose log was cut while it was closed has what is there, whether or not the log has grown past it since.
func TestKeptTableOfALogThatWasCut(t *testing.T) {
	t.Parallel()
	for n, want := range []string{"[a=old]", "[a=old d=new]", "[a=old d=new e=new]", "[a=old d=new e=new f=new]"} {
		k := open(t, "")
		k.create("accounts", samsa.TopicConfig{})
		reopened := func() (rows []string) {
			tb, err := k.NewTable(k.ctx, samsa.TableOptions{Topic: "accounts", Name: "kept"})
			must(t, err)
			rows = k.rows(tb, samsa.TableRange{})
			expect(t, "rows", tb.Len(), len(rows))
			must(t, tb.Close())
			return rows
		}
		k.produce(rec("a", "old"))
		k.produce(rec("b", "old"))
		k.produce(rec("c", "old"))
		reopened()
		in := inside.Of(k.Broker)
		of, err := in.Catalogue.Get("accounts")
		must(t, err)
		for range 2 { // epochs that begin without a cut lose nothing
			must(t, writer.RaiseEpochs(k.ctx, in.Committer, of.Partitions()))
			expect(t, "rows of a later epoch", reopened(), "[a=old b=old c=old]")
		}
		must(t, writer.CutAndRaise(k.ctx, in.Committer, of.Partitions()[0], 1))
		for _, key := range []string{"d", "e", "f"}[:n] {
			k.produce(rec(key, "new"))
		}
		expect(t, "rows after the cut", reopened(), want)
		expect(t, "rows after that", reopened(), want)
	}
}

// A kept table whose position is damaged is listed as that, beside the others, can be read as it was stored, and is built anew when it is opened: rows that have
// gone from the log meanwhile are not in it.
func TestDamagedPosition(t *testing.T) {
	t.Parallel()
	k := open(t, "")
	in := inside.Of(k.Broker)
	opts := samsa.TableOptions{Name: "kept"}
	for _, opts.Topic = range []string{"accounts", "others"} {
		k.create(opts.Topic, samsa.TopicConfig{})
		k.produce(samsa.Record{Topic: opts.Topic, Key: []byte("a"), Value: []byte("1")}, samsa.Record{Topic: opts.Topic, Key: []byte("b"), Value: []byte("1")})
		tb, err := k.NewTable(k.ctx, opts)
		must(t, err)
		must(t, tb.Close())
	}
	damagePosition(k, in, "accounts", 0)
	listed := func() (all []string) {
		tables, err := in.Tables.List()
		must(t, err)
		for _, l := range tables {
			all = append(all, fmt.Sprint(l.Topic, " ", l.Name, " ", l.Rows, " damaged ", errors.Is(l.Err, samsa.ErrCorruptValue)))
		}
		return all
	}
	expect(t, "tables", listed(), "[accounts kept 2 damaged true others kept 2 damaged false]")
	reader, err := in.Tables.Find(k.ctx, "accounts", "kept", "")
	must(t, err)
	row, err := reader.Get([]byte("a"))
	must(t, err)
	expect(t, "the row as it was stored", string(row.Value), "1")

	must(t, k.Topics().DeleteRecords(k.ctx, "accounts", map[int32]int64{0: 1}))
	opts.Topic = "accounts"
	tb := k.table(opts)
	expect(t, "rows", k.rows(tb, samsa.TableRange{}), "[b=1]")
	expect(t, "how many", tb.Len(), 1)
	expect(t, "tables", listed(), "[accounts kept 1 damaged false others kept 2 damaged false]")
}

// damagePosition has the position of a kept table in a partition be one that cannot be read.
func damagePosition(k *kit, in inside.Broker, topic string, partition byte) {
	k.t.Helper()
	of, err := in.Catalogue.Get(topic)
	must(k.t, err)
	first := store.TablePrefix(of.Partitions()[0].ID().Topic, 0)
	tx := new(writer.Tx)
	must(k.t, in.Store.Scan(store.Range{From: first, To: store.Behind(first[:len(first)-4]), KeysOnly: true}, func(e store.Entry) (bool, error) {
		if at := e.Key[store.TablePrefixSize:]; bytes.Equal(at, []byte{'p', 0, 0, 0, partition}) {
			tx.Writes.Set(bytes.Clone(e.Key), []byte("damaged"))
		}
		return true, nil
	}))
	expect(k.t, "positions", tx.Writes.Len(), 1)
	must(k.t, in.Committer.Do(tx))
}
