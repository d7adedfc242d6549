package e2e

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/samsa-go/samsa"
)

// bothStores runs a test with a broker on disk and with one in memory.
func bothStores(t *testing.T, opts samsa.Options, test func(t *testing.T, k *kit)) {
	t.Run("disk", func(t *testing.T) { test(t, open(t, t.TempDir(), opts)) })
	t.Run("memory", func(t *testing.T) { test(t, inMemory(t, opts)) })
}

func (k *kit) update(fn func(tx *samsa.Tx) error) {
	k.t.Helper()
	if err := k.Update(k.ctx, fn); err != nil {
		k.t.Fatal(err)
	}
}

// table renders the application's keys.
func (k *kit) table() string {
	k.t.Helper()
	var s string
	err := k.View(k.ctx, func(tx *samsa.ReadTx) (err error) {
		s, err = render(tx.Scan(nil))
		return err
	})
	if err != nil {
		k.t.Fatal(err)
	}
	return s
}

func render(seq func(func(samsa.KeyValue, error) bool)) (string, error) {
	var all []string
	for kv, err := range seq {
		if err != nil {
			return "", err
		}
		all = append(all, fmt.Sprintf("%s=%s", kv.Key, kv.Value))
	}
	return strings.Join(all, " "), nil
}

func (k *kit) wantTable(want string) {
	k.t.Helper()
	if got := k.table(); got != want {
		k.t.Errorf("the keys are %q, want %q", got, want)
	}
}

// ends returns the high watermarks of a topic.
func (k *kit) ends(topic string) (ends []int64) {
	k.t.Helper()
	offsets, err := k.ListOffsets(k.ctx, topic, samsa.Latest())
	if err != nil {
		k.t.Fatal(err)
	}
	for _, o := range offsets {
		ends = append(ends, o.Offset)
	}
	return ends
}

var errMine = errors.New("my own error")

func TestUpdateIsAllOrNothing(t *testing.T) {
	bothStores(t, samsa.Options{}, func(t *testing.T, k *kit) {
		k.create("a", 1)
		k.create("b", 2)
		work := func(tx *samsa.Tx) error {
			return errors.Join(
				tx.Set([]byte("x"), []byte("1")), tx.Set([]byte("y"), nil), tx.Delete([]byte("z")),
				tx.Produce(samsa.Record{Topic: "a", Value: []byte("one")}, samsa.Record{Topic: "b", Key: []byte("k"), Value: []byte("two")}),
				tx.Produce(samsa.Record{Topic: "a", Value: []byte("three")}),
			)
		}
		err := k.Update(k.ctx, func(tx *samsa.Tx) error { return errors.Join(work(tx), errMine) })
		if !errors.Is(err, errMine) {
			t.Errorf("got %v, want the function's error", err)
		}
		k.wantTable("")
		if ends := k.ends("a"); ends[0] != 0 {
			t.Errorf("an aborted transaction left records: %v", ends)
		}
		k.update(func(tx *samsa.Tx) error {
			return errors.Join(tx.Set([]byte("z"), []byte("9")), tx.Set([]byte("w"), []byte{0}))
		})
		k.update(work)
		k.wantTable("w=\x00 x=1 y=")
		c := k.consumer(samsa.ConsumerOptions{Topics: []string{"a", "b"}})
		got := values(k.read(c, 3))
		slices.Sort(got)
		if want := []string{"one", "three", "two"}; !slices.Equal(got, want) {
			t.Errorf("records %q, want %q", got, want)
		}
	})
}

func TestUpdateSurvivesReopen(t *testing.T) {
	dir := t.TempDir()
	k := open(t, dir, samsa.Options{})
	k.create("a", 1)
	k.update(func(tx *samsa.Tx) error {
		return errors.Join(tx.Set([]byte("k"), make([]byte, 100<<10)), tx.Set([]byte("l"), []byte("v")), tx.Produce(samsa.Record{Topic: "a"}))
	})
	k.close()
	k = open(t, dir, samsa.Options{})
	if err := k.View(k.ctx, func(tx *samsa.ReadTx) error {
		v, err := tx.Get([]byte("k"))
		if len(v) != 100<<10 {
			t.Errorf("%d bytes", len(v))
		}
		return err
	}); err != nil {
		t.Error(err)
	}
	if ends := k.ends("a"); ends[0] != 1 {
		t.Errorf("the log ends at %v", ends)
	}
}

// A transaction reads what it has written.
func TestTxReadsItsOwnWrites(t *testing.T) {
	bothStores(t, samsa.Options{}, func(t *testing.T, k *kit) {
		k.update(func(tx *samsa.Tx) error {
			return errors.Join(tx.Set([]byte("a/1"), []byte("1")), tx.Set([]byte("a/3"), []byte("3")), tx.Set([]byte("b"), []byte("b")), tx.Set([]byte("a/4"), []byte("4")))
		})
		k.update(func(tx *samsa.Tx) error {
			err := errors.Join(tx.Set([]byte("a/2"), []byte("two")), tx.Set([]byte("a/1"), []byte("one")), tx.Delete([]byte("a/3")),
				tx.Set([]byte("a/5"), []byte("five")), tx.Set([]byte("c"), nil), tx.Set([]byte("a/6"), nil), tx.Delete([]byte("a/6")))
			if err != nil {
				return err
			}
			for prefix, want := range map[string]string{"a/": "a/1=one a/2=two a/4=4 a/5=five", "": "a/1=one a/2=two a/4=4 a/5=five b=b c=", "d": "", "a/3": ""} {
				if got, err := render(tx.Scan([]byte(prefix))); got != want || err != nil {
					t.Errorf("scan of %q: %q, %v; want %q", prefix, got, err, want)
				}
			}
			for _, err := range tx.Scan(nil) {
				if err != nil {
					return err
				}
				break // without a trace
			}
			v, err := tx.Get([]byte("a/1"))
			v[0] = 'X' // a copy
			again, err2 := tx.Get([]byte("a/1"))
			if string(again) != "one" {
				t.Errorf("got %q", again)
			}
			if _, err := tx.Get([]byte("a/3")); !errors.Is(err, samsa.ErrKeyNotFound) {
				t.Errorf("a deleted key: %v", err)
			}
			if v, err := tx.Get([]byte("c")); err != nil || v == nil || len(v) != 0 {
				t.Errorf("an empty value: %v, %v", v, err)
			}
			return errors.Join(err, err2)
		})
		k.wantTable("a/1=one a/2=two a/4=4 a/5=five b=b c=")
	})
}

// Each case reads something, and then another transaction writes before it commits.
func TestConflicts(t *testing.T) {
	get := func(key string) func(*samsa.Tx) error {
		return func(tx *samsa.Tx) error {
			_, err := tx.Get([]byte(key))
			if errors.Is(err, samsa.ErrKeyNotFound) {
				return nil
			}
			return err
		}
	}
	scan := func(prefix string) func(*samsa.Tx) error {
		return func(tx *samsa.Tx) error {
			_, err := render(tx.Scan([]byte(prefix)))
			return err
		}
	}
	set := func(key string) func(*samsa.Tx) error {
		return func(tx *samsa.Tx) error { return tx.Set([]byte(key), []byte("new")) }
	}
	remove := func(key string) func(*samsa.Tx) error {
		return func(tx *samsa.Tx) error { return tx.Delete([]byte(key)) }
	}
	for name, c := range map[string]struct {
		read, other func(*samsa.Tx) error
		conflict    bool
	}{
		"the key read was set":               {get("p/1"), set("p/1"), true},
		"the key read was deleted":           {get("p/1"), remove("p/1"), true},
		"a key not found was set":            {get("p/2"), set("p/2"), true},
		"a key came to a prefix":             {scan("p/"), set("p/2"), true},
		"a key went from a prefix":           {scan("p/"), remove("p/1"), true},
		"any key came, all were read":        {scan(""), set("q"), true},
		"another key was set":                {get("p/1"), set("p/2"), false},
		"another prefix":                     {scan("p/"), set("q/1"), false},
		"own write, not read":                {set("p/1"), set("p/1"), false},
		"own write, then read":               {func(tx *samsa.Tx) error { return errors.Join(set("p/1")(tx), get("p/1")(tx)) }, set("p/1"), false},
		"the other one was aborted":          {get("p/1"), func(tx *samsa.Tx) error { return errors.Join(set("p/1")(tx), errMine) }, false},
		"the other one has only read":        {get("p/1"), get("p/1"), false},
		"nothing was read":                   {func(*samsa.Tx) error { return nil }, set("p/1"), false},
		"the other one wrote, but to topics": {get("p/1"), func(tx *samsa.Tx) error { return tx.Produce(samsa.Record{Topic: "t"}) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			bothStores(t, samsa.Options{MaxUpdateRetries: -1}, func(t *testing.T, k *kit) {
				k.create("t", 1)
				k.update(func(tx *samsa.Tx) error { return tx.Set([]byte("p/1"), []byte("old")) })
				err := k.Update(k.ctx, func(tx *samsa.Tx) error {
					err := errors.Join(c.read(tx), tx.Set([]byte("done"), nil))
					if err := k.Update(k.ctx, c.other); err != nil && !errors.Is(err, errMine) {
						t.Errorf("the other one: %v", err)
					}
					return err
				})
				if got := errors.Is(err, samsa.ErrConflict); got != c.conflict || !got && err != nil {
					t.Errorf("got %v", err)
				}
				if got := strings.Contains(k.table(), "done"); got == c.conflict {
					t.Errorf("stored: %t, error: %v", got, err)
				}
			})
		})
	}
}

// A transaction that conflicts runs again, and sees what it has conflicted with.
func TestUpdateTriesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := inMemory(t, samsa.Options{MaxUpdateRetries: 3})
		for disturbed := range 5 {
			tries := 0
			err := k.Update(k.ctx, func(tx *samsa.Tx) error {
				tries++
				_, err := tx.Get([]byte("n"))
				if err != nil && !errors.Is(err, samsa.ErrKeyNotFound) {
					return err
				}
				if tries <= disturbed {
					k.update(func(tx *samsa.Tx) error { return tx.Set([]byte("n"), strconv.AppendInt(nil, int64(tries), 10)) })
				}
				return tx.Set([]byte("last"), strconv.AppendInt(nil, int64(tries), 10))
			})
			if want := disturbed == 4; errors.Is(err, samsa.ErrConflict) != want || !want && err != nil {
				t.Errorf("disturbed %d times: %v", disturbed, err)
			}
			if want := min(disturbed+1, 4); tries != want {
				t.Errorf("disturbed %d times: %d tries, want %d", disturbed, tries, want)
			}
		}
		k.wantTable("last=4 n=4")
		ctx, cancel := context.WithCancel(k.ctx)
		err := k.Update(ctx, func(tx *samsa.Tx) error {
			_, err := tx.Get([]byte("n"))
			k.update(func(tx *samsa.Tx) error { return tx.Set([]byte("n"), nil) })
			cancel()
			return errors.Join(err, tx.Set([]byte("last"), nil))
		})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("the context has ended: %v", err)
		}
	})
}

// Of many that want the same key, or the same row of a table, none meets a conflict twice: they go one after another then.
func TestUpdatesTakeTurns(t *testing.T) {
	for _, of := range []string{"keys", "rows"} {
		t.Run(of, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := inMemory(t, samsa.Options{})
				k.create("rows", 1)
				rows, err := k.NewTable(k.ctx, samsa.TableOptions{Topic: "rows"})
				k.must(err)
				defer func() { k.must(rows.Close()) }()
				add := func(tx *samsa.Tx) error {
					v, err := tx.Get([]byte("n"))
					if err != nil && !errors.Is(err, samsa.ErrKeyNotFound) {
						return err
					}
					return tx.Set([]byte("n"), append(v, 'x'))
				}
				if of == "rows" {
					add = func(tx *samsa.Tx) error {
						view, err := tx.Table(rows)
						if err != nil {
							return err
						}
						row, err := view.Get([]byte("n"))
						if err != nil && !errors.Is(err, samsa.ErrKeyNotFound) {
							return err
						}
						return tx.Produce(samsa.Record{Topic: "rows", Key: []byte("n"), Value: append(row.Value, 'x')})
					}
				}
				var all sync.WaitGroup
				tries := make([]int, 20)
				for i := range tries {
					all.Go(func() {
						err := k.Update(k.ctx, func(tx *samsa.Tx) error {
							tries[i]++
							defer time.Sleep(40 * time.Millisecond) // the others come meanwhile
							return add(tx)
						})
						if err != nil {
							t.Error(err)
						}
					})
				}
				all.Wait()
				if slices.Max(tries) != 2 {
					t.Errorf("tries: %d", tries)
				}
				k.must(rows.WaitFor(k.ctx))
				k.update(func(tx *samsa.Tx) error {
					n, err := tx.Get([]byte("n"))
					if of == "rows" {
						row, e := rows.Get([]byte("n"))
						n, err = row.Value, e
					}
					if len(n) != len(tries) {
						t.Errorf("%d have been counted", len(n))
					}
					return err
				})
			})
		})
	}
}

// Whose turn it is may be slow, or wait for another transaction over the same key: that one comes nevertheless, or ends with its context.
func TestUpdatesWaitForTheirTurnForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := inMemory(t, samsa.Options{})
		set := func(tx *samsa.Tx) error { return tx.Set([]byte("n"), nil) }
		// meet meets a conflict, does then when it has its turn, and goes on until it is stored.
		meet := func(ctx context.Context, then func(tx *samsa.Tx) error) error {
			tries := 0
			return k.Update(ctx, func(tx *samsa.Tx) error {
				if _, err := tx.Get([]byte("n")); err != nil && !errors.Is(err, samsa.ErrKeyNotFound) {
					return err
				}
				var err error
				switch tries++; {
				case tries == 1:
					k.update(set)
				case tries == 2 && then != nil:
					err = then(tx)
				}
				return errors.Join(err, tx.Set([]byte("done"), nil))
			})
		}
		k.must(meet(k.ctx, func(*samsa.Tx) error {
			ctx, cancel := context.WithTimeout(k.ctx, 10*time.Millisecond)
			defer cancel()
			if err := meet(ctx, nil); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, samsa.ErrConflict) {
				t.Errorf("one that has 10 ms: %v", err)
			}
			return meet(k.ctx, nil)
		}))
		for _, end := range []func(){func() { panic("end") }, runtime.Goexit} { // its turn goes to the next
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				defer func() { _ = recover() }()
				_ = meet(k.ctx, func(*samsa.Tx) error { end(); return nil })
			}()
			<-ended
			began := time.Now()
			k.must(meet(k.ctx, nil))
			if waited := time.Since(began); waited > time.Millisecond { // the pause that all make
				t.Errorf("it waited %v for one that has gone", waited)
			}
		}
	})
}

// Money that goroutines move between accounts is neither made nor lost.
func TestUpdatesAreSerialisable(t *testing.T) {
	bothStores(t, samsa.Options{MaxUpdateRetries: 1000}, func(t *testing.T, k *kit) {
		const accounts, movers, moves = 5, 4, 100
		k.update(func(tx *samsa.Tx) (err error) {
			for i := range accounts {
				err = errors.Join(err, tx.Set(fmt.Append(nil, "account/", i), []byte("100")))
			}
			return err
		})
		add := func(tx *samsa.Tx, account, n int) error {
			key := fmt.Append(nil, "account/", account)
			v, err := tx.Get(key)
			if err != nil {
				return err
			}
			have, err := strconv.Atoi(string(v))
			return errors.Join(err, tx.Set(key, fmt.Append(nil, have+n)))
		}
		var wg sync.WaitGroup
		for m := range movers {
			wg.Go(func() {
				for i := range moves {
					from, to := (m+i)%accounts, (m+3*i+1)%accounts
					err := k.Update(k.ctx, func(tx *samsa.Tx) error { return errors.Join(add(tx, from, -7), add(tx, to, 7)) })
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
		checked := 0
		for range 50 {
			sum := 0
			err := k.View(k.ctx, func(tx *samsa.ReadTx) error {
				for kv, err := range tx.Scan([]byte("account/")) {
					if err != nil {
						return err
					}
					n, err := strconv.Atoi(string(kv.Value))
					if err != nil {
						return err
					}
					sum += n
				}
				return nil
			})
			if err != nil || sum != 100*accounts {
				t.Fatalf("the sum is %d, %v", sum, err)
			}
			checked++
		}
		wg.Wait()
	})
}

func TestViewIsASnapshot(t *testing.T) {
	bothStores(t, samsa.Options{}, func(t *testing.T, k *kit) {
		k.create("t", 1)
		k.write("t", "a", "b")
		k.update(func(tx *samsa.Tx) error { return tx.Set([]byte("k"), []byte("old")) })
		if err := k.Groups().AlterOffsets(k.ctx, "g", samsa.To(samsa.AtOffset(1)), samsa.TopicPartition{Topic: "t"}); err != nil {
			t.Fatal(err)
		}
		err := k.View(k.ctx, func(tx *samsa.ReadTx) error {
			k.update(func(tx *samsa.Tx) error {
				return errors.Join(tx.Set([]byte("k"), []byte("new")), tx.Set([]byte("l"), nil))
			})
			if err := k.Groups().AlterOffsets(k.ctx, "g", samsa.To(samsa.AtOffset(2)), samsa.TopicPartition{Topic: "t"}); err != nil {
				return err
			}
			for range 2 {
				all, err := render(tx.Scan(nil))
				if all != "k=old" || err != nil {
					t.Errorf("keys: %q, %v", all, err)
				}
			}
			offsets, err := tx.Committed("g")
			if o := offsets[samsa.TopicPartition{Topic: "t"}]; o.Offset != 1 || len(offsets) != 1 {
				t.Errorf("committed: %v", offsets)
			}
			none, err2 := tx.Committed("g", samsa.TopicPartition{Topic: "t", Partition: 5})
			if len(none) != 0 {
				t.Errorf("committed: %v", none)
			}
			return errors.Join(err, err2)
		})
		if err != nil {
			t.Error(err)
		}
		if err := k.View(k.ctx, func(*samsa.ReadTx) error { return errMine }); !errors.Is(err, errMine) {
			t.Errorf("got %v", err)
		}
	})
}

func TestTxLimits(t *testing.T) {
	const tooMany = 16385 // entries
	bothStores(t, samsa.Options{}, func(t *testing.T, k *kit) {
		k.create("t", 1)
		zeros, random := make([]byte, 1<<20), noise(1000<<10)
		for name, fn := range map[string]func(*samsa.Tx) error{
			"keys": func(tx *samsa.Tx) (err error) {
				for i := 0; err == nil && i < tooMany; i++ {
					err = tx.Set(fmt.Append(nil, i), nil)
				}
				return err
			},
			"bytes": func(tx *samsa.Tx) (err error) {
				for i := 0; err == nil && i < 40; i++ {
					err = tx.Set(fmt.Append(nil, i), zeros)
				}
				return err
			},
			"records": func(tx *samsa.Tx) (err error) {
				for i := 0; err == nil && i < 40; i++ {
					err = tx.Produce(samsa.Record{Topic: "t", Value: random})
				}
				return err
			},
			"an error that is passed over": func(tx *samsa.Tx) error {
				for i := range tooMany {
					_ = tx.Set(fmt.Append(nil, i), nil)
				}
				return nil
			},
		} {
			if err := k.Update(k.ctx, fn); !errors.Is(err, samsa.ErrTxTooLarge) {
				t.Errorf("%s: got %v", name, err)
			}
		}
		k.wantTable("")
		if ends := k.ends("t"); ends[0] != 0 {
			t.Errorf("the log ends at %v", ends)
		}
		k.update(func(tx *samsa.Tx) (err error) { // to set a key again takes no more room
			for i := range tooMany {
				err = errors.Join(err, tx.Set(fmt.Append(nil, i%10), zeros[:4<<10]))
			}
			return err
		})
	})
}

// noise is n bytes that do not compress.
func noise(n int) []byte {
	b := make([]byte, n)
	x := uint32(1)
	for i := range b {
		x ^= x << 13
		x ^= x >> 17
		x ^= x << 5
		b[i] = byte(x)
	}
	return b
}

func TestTxRefuses(t *testing.T) {
	story(t, 1, func(k *kit) {
		k.write("t", "a")
		auto := k.started("auto", samsa.ConsumerOptions{})
		groupless := k.consumer(samsa.ConsumerOptions{Topics: []string{"t"}})
		other := inMemory(k.t, samsa.Options{})
		other.create("t", 1)
		stranger := other.consumer(samsa.ConsumerOptions{Group: "g", Topics: []string{"t"}, Member: samsa.MemberOptions{ManualCommit: true}})
		r := samsa.Record{Topic: "t"}
		for name, c := range map[string]struct {
			fn   func(tx *samsa.Tx) error
			want error
			text string
		}{
			"no key":          {func(tx *samsa.Tx) error { return tx.Set(nil, nil) }, samsa.ErrInvalidKey, "empty"},
			"long key":        {func(tx *samsa.Tx) error { return tx.Delete(make([]byte, 1024)) }, samsa.ErrInvalidKey, "1024 bytes, at most 1023"},
			"get without key": {func(tx *samsa.Tx) error { _, err := tx.Get(nil); return err }, samsa.ErrInvalidKey, "empty"},
			"unknown topic":   {func(tx *samsa.Tx) error { return tx.Produce(r, samsa.Record{Topic: "u"}) }, samsa.ErrUnknownTopic, "record 1"},
			"no group":        {func(tx *samsa.Tx) error { return tx.CommitRecords(groupless, r) }, samsa.ErrInvalidGroup, "has none"},
			"auto-commit":     {func(tx *samsa.Tx) error { return tx.CommitRecords(auto.Consumer, r) }, samsa.ErrInvalidOption, "ManualCommit"},
			"another broker":  {func(tx *samsa.Tx) error { return tx.CommitRecords(stranger, r) }, samsa.ErrInvalidOption, "another broker"},
		} {
			err := k.Update(k.ctx, func(tx *samsa.Tx) error {
				if err := tx.Set([]byte("k"), nil); err != nil {
					return err
				}
				_ = c.fn(tx) // that it is passed over does not help
				return nil
			})
			if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.text) {
				k.t.Errorf("%s: got %v, want %v with %q", name, err, c.want, c.text)
			}
		}
		k.wantTable("")
		var kept *samsa.Tx
		var view *samsa.ReadTx
		k.update(func(tx *samsa.Tx) error { kept = tx; return nil })
		_ = k.View(k.ctx, func(tx *samsa.ReadTx) error { view = tx; return nil })
		_, getErr := kept.Get([]byte("k"))
		_, viewErr := view.Get([]byte("k"))
		_, committedErr := view.Committed("g")
		_, scanErr := render(view.Scan(nil))
		for what, err := range map[string]error{
			"get": getErr, "set": kept.Set([]byte("k"), nil), "produce": kept.Produce(r), "commit": kept.CommitRecords(stranger, r),
			"view's get": viewErr, "view's committed": committedErr, "view's scan": scanErr,
		} {
			if !errors.Is(err, samsa.ErrClosed) {
				k.t.Errorf("%s after the end: %v", what, err)
			}
		}
		k.close()
		if err := k.Update(k.ctx, func(*samsa.Tx) error { return nil }); !errors.Is(err, samsa.ErrClosed) {
			k.t.Errorf("update of a closed broker: %v", err)
		}
		if err := k.View(k.ctx, func(*samsa.ReadTx) error { return nil }); !errors.Is(err, samsa.ErrClosed) {
			k.t.Errorf("view of a closed broker: %v", err)
		}
	})
}

func TestCommitRecordsInTx(t *testing.T) {
	story(t, 2, func(k *kit) {
		k.create("out", 1)
		k.put("t", 0, "a", "b", "c")
		w := k.started("g", manual(""))
		tp := samsa.TopicPartition{Topic: "t"}
		step := func(n int) error {
			return k.Update(k.ctx, func(tx *samsa.Tx) error {
				if err := tx.CommitRecords(w.Consumer, w.read[:n]...); err != nil {
					return err
				}
				return tx.Produce(samsa.Record{Topic: "out", Value: w.read[n-1].Value})
			})
		}
		if err := errors.Join(step(1), step(2)); err != nil {
			k.t.Fatal(err)
		}
		committed, err := w.Committed(k.ctx)
		if err != nil || len(committed) != 1 || committed[tp].Offset != 2 {
			k.t.Errorf("committed %v, %v", committed, err)
		}
		if ends := k.ends("out"); ends[0] != 2 {
			k.t.Errorf("%v records are out", ends)
		}
		w.stop()
		if err := w.Close(); err != nil {
			k.t.Fatal(err)
		}
		next := k.started("g", manual(""))
		if got := values(next.read); !slices.Equal(got, []string{"c"}) {
			k.t.Errorf("the next one reads %q", got)
		}
	})
}

// A transaction of a consumer that is out of its group stores nothing, whatever else is in it.
func TestZombieTx(t *testing.T) {
	story(t, 1, func(k *kit) {
		k.put("t", 0, "a", "b")
		zombie := k.started("g", manual(""))
		zombie.stop() // and stops polling
		heir := k.started("g", manual(""))
		synctest.Wait()
		time.Sleep(10 * time.Minute) // MaxPollInterval passes
		commit := func(w *worker, records []samsa.Record) error {
			return k.Update(k.ctx, func(tx *samsa.Tx) error {
				return errors.Join(tx.CommitRecords(w.Consumer, records...), tx.Set([]byte("by"), []byte(w.name)), tx.Produce(samsa.Record{Topic: "t"}))
			})
		}
		if err := commit(zombie, zombie.read); !errors.Is(err, samsa.ErrUnknownMember) && !errors.Is(err, samsa.ErrIllegalGeneration) {
			k.t.Errorf("the zombie: %v", err)
		}
		k.wantTable("")
		if ends := k.ends("t"); ends[0] != 2 {
			k.t.Errorf("the log ends at %v", ends)
		}
		if err := commit(heir, heir.read); err != nil {
			k.t.Errorf("the heir: %v", err)
		}
		k.wantTable("by=")
	})
}
