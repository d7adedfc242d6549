package table_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"

	"github.com/samsa-go/samsa"
)

// history is what transactions have written to two topics, one after the other: each counts a key of the application up, and its number is
// the value of some keys of each.
type history struct {
	mu    sync.Mutex
	steps map[int]map[string][]string // by the number: the keys by topic; "-" before one is a tombstone
}

// write is one transaction, which may leave nothing.
func (h *history) write(ctx context.Context, b *samsa.Broker, rnd *rand.Rand) error {
	var n int
	var wrote map[string][]string
	err := b.Update(ctx, func(tx *samsa.Tx) error {
		n, wrote = 1, map[string][]string{}
		switch last, err := tx.Get([]byte("n")); {
		case err == nil:
			n, _ = strconv.Atoi(string(last))
			n++
		case !errors.Is(err, samsa.ErrKeyNotFound):
			return err
		}
		if err := tx.Set([]byte("n"), []byte(fmt.Sprint(n))); err != nil {
			return err
		}
		for _, topic := range []string{"accounts", "orders"} {
			for range 1 + rnd.IntN(3) {
				key := fmt.Sprint(rnd.IntN(40))
				r := samsa.Record{Topic: topic, Key: []byte(key), Value: []byte(fmt.Sprint(n))}
				if rnd.IntN(4) == 0 {
					r.Value, key = nil, "-"+key
				}
				wrote[topic] = append(wrote[topic], key)
				if err := tx.Produce(r); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err == nil {
		h.mu.Lock()
		h.steps[n] = wrote
		h.mu.Unlock()
	}
	return err
}

// state returns what a topic is after so many transactions.
func (h *history) state(topic string, n int) map[string]string {
	state := map[string]string{}
	for i := 1; i <= n; i++ {
		for _, key := range h.steps[i][topic] {
			if key[0] == '-' {
				delete(state, key[1:])
			} else {
				state[key] = fmt.Sprint(i)
			}
		}
	}
	return state
}

// moment is what a view has shown.
type moment struct {
	n     int
	state map[string]map[string]string
}

func look(ctx context.Context, b *samsa.Broker, tables ...*samsa.Table) (m moment, err error) {
	m.state = map[string]map[string]string{}
	err = b.View(ctx, func(tx *samsa.ReadTx) error {
		all, err := tx.Tables(tables...)
		if err != nil {
			return err
		}
		for _, t := range all {
			state, topic := map[string]string{}, "none"
			for rec, err := range t.Range(samsa.TableRange{}) {
				if err != nil {
					return err
				}
				state[string(rec.Key)], topic = string(rec.Value), rec.Topic
			}
			m.state[topic] = state
		}
		last, err := tx.Get([]byte("n"))
		if errors.Is(err, samsa.ErrKeyNotFound) {
			return nil
		}
		m.n, _ = strconv.Atoi(string(last))
		return err
	})
	return m, err
}

// Whatever others write meanwhile, and though compaction removes what was written, tables in a View and the keys of the application are of
// one moment: each transaction is in all of them or in none.
func TestTablesOfOneMoment(t *testing.T) {
	both(t, func(t *testing.T, name string) {
		const writers, steps, lookers, looks = 3, 60, 2, 25
		k := open(t, "")
		k.create("accounts", samsa.TopicConfig{Partitions: 2, CleanupPolicy: samsa.CleanupCompact})
		k.create("orders", samsa.TopicConfig{Partitions: 1, CleanupPolicy: samsa.CleanupCompact})
		accounts := k.table(samsa.TableOptions{Topic: "accounts", Name: name})
		orders := k.table(samsa.TableOptions{Topic: "orders"})
		h := &history{steps: map[int]map[string][]string{}}
		var wg sync.WaitGroup
		for w := range uint64(writers) {
			wg.Go(func() {
				rnd := rand.New(rand.NewPCG(w, 20))
				for range steps {
					if err := h.write(k.ctx, k.Broker, rnd); err != nil && !errors.Is(err, samsa.ErrConflict) {
						t.Error(err)
						return
					}
					if rnd.IntN(10) == 0 {
						if _, err := k.Sweep(k.ctx); err != nil {
							t.Error(err)
						}
					}
				}
			})
		}
		seen := make([][]moment, lookers)
		for i := range lookers {
			wg.Go(func() {
				for range looks {
					m, err := look(k.ctx, k.Broker, accounts, orders)
					if err != nil {
						t.Error(err)
						return
					}
					seen[i] = append(seen[i], m)
				}
			})
		}
		wg.Wait()
		last, err := look(k.ctx, k.Broker, accounts, orders)
		must(t, err)
		seen = append(seen, []moment{last})
		for _, all := range seen {
			last := 0
			for _, m := range all {
				if m.n < last {
					t.Errorf("a view at %d after one at %d", m.n, last)
				}
				last = m.n
				for topic, got := range m.state {
					if topic == "none" {
						continue
					}
					if want := h.state(topic, m.n); !maps.Equal(got, want) {
						t.Errorf("%s at %d: %v, want %v", topic, m.n, got, want)
					}
				}
			}
		}
	})
}

// A View waits for no transaction that is open, needs no other table to be asked, and refuses what is not of its moment.
func TestTablesInAViewMisused(t *testing.T) {
	t.Parallel()
	k, other := open(t, ""), open(t, "")
	k.create("accounts", samsa.TopicConfig{})
	other.create("accounts", samsa.TopicConfig{})
	k.produce(rec("a", "1"))
	tb, theirs := k.table(samsa.TableOptions{Topic: "accounts"}), other.table(samsa.TableOptions{Topic: "accounts"})
	shared := k.table(samsa.TableOptions{Topic: "accounts", Group: "g"})
	view := func(fn func(tx *samsa.ReadTx) error) error { return k.View(k.ctx, fn) }
	for what, c := range map[string]struct {
		tables []*samsa.Table
		want   error
	}{
		"nil":     {[]*samsa.Table{tb, nil}, samsa.ErrInvalidOption},
		"another": {[]*samsa.Table{tb, theirs}, samsa.ErrInvalidOption},
		"shared":  {[]*samsa.Table{tb, shared}, samsa.ErrUnsupported},
		"twice":   {[]*samsa.Table{tb, tb}, nil},
		"none":    {nil, nil},
	} {
		err := view(func(tx *samsa.ReadTx) error {
			all, err := tx.Tables(c.tables...)
			if err == nil && len(all) != len(c.tables) {
				t.Errorf("%s: %d tables", what, len(all))
			}
			return err
		})
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v", what, err)
		}
	}
	var kept *samsa.ReadTx
	var keptTable *samsa.TableTx
	must(t, view(func(tx *samsa.ReadTx) error {
		all, err := tx.Tables(tb)
		must(t, err)
		k.put(tb, rec("a", "2"), rec("b", "2"))
		row, err := all[0].Get([]byte("a"))
		must(t, err)
		expect(t, "a", string(row.Value), "1")
		if _, err := all[0].Get([]byte("b")); !errors.Is(err, samsa.ErrKeyNotFound) {
			t.Errorf("what came later: %v", err)
		}
		if _, err := tx.Tables(tb); !errors.Is(err, samsa.ErrInvalidOption) {
			t.Errorf("twice: %v", err)
		}
		kept, keptTable = tx, all[0]
		return nil
	}))
	must(t, view(func(tx *samsa.ReadTx) error {
		if _, err := tx.Get([]byte("x")); !errors.Is(err, samsa.ErrKeyNotFound) {
			t.Error(err)
		}
		if _, err := tx.Tables(tb); !errors.Is(err, samsa.ErrInvalidOption) {
			t.Errorf("after a read: %v", err)
		}
		return nil
	}))
	if _, err := kept.Tables(tb); !errors.Is(err, samsa.ErrClosed) {
		t.Errorf("after the view: %v", err)
	}
	if _, err := keptTable.Get([]byte("a")); !errors.Is(err, samsa.ErrClosed) {
		t.Errorf("a table after the view: %v", err)
	}
	must(t, k.Update(k.ctx, func(tx *samsa.Tx) error {
		if _, err := tx.ReadTx.Tables(tb); !errors.Is(err, samsa.ErrInvalidOption) {
			t.Errorf("the reading half of an Update: %v", err)
		}
		all, err := tx.Tables(tb, tb)
		must(t, err)
		_, err = all[1].Get([]byte("b"))
		return err
	}))
	must(t, tb.Close())
	must(t, view(func(tx *samsa.ReadTx) error {
		if _, err := tx.Tables(tb); !errors.Is(err, samsa.ErrClosed) {
			t.Errorf("a closed table: %v", err)
		}
		return nil
	}))
}

// Views that are left, and tables and brokers that are closed, while others are in a View: everybody returns, and a table goes on.
func TestViewsThatEnd(t *testing.T) {
	both(t, func(t *testing.T, name string) {
		k := open(t, "")
		k.create("accounts", samsa.TopicConfig{Partitions: 2})
		tb := k.table(samsa.TableOptions{Topic: "accounts", Name: name})
		closing, err := k.NewTable(k.ctx, samsa.TableOptions{Topic: "accounts"})
		must(t, err)
		ok := func(err error) bool {
			return err == nil || errors.Is(err, context.Canceled) || errors.Is(err, samsa.ErrClosed)
		}
		var wg sync.WaitGroup
		for i := range 4 {
			wg.Go(func() {
				for n := range 50 {
					ctx, cancel := context.WithCancel(k.ctx)
					wg.Go(cancel)
					if _, err := look(ctx, k.Broker, tb, closing); !ok(err) {
						t.Errorf("a view: %v", err)
					}
					if _, err := k.Produce(k.ctx, rec(fmt.Sprint(i, n), "x")); err != nil {
						t.Error(err)
					}
					if i == 0 && n == 25 {
						must(t, closing.Close())
					}
				}
			})
		}
		wg.Wait()
		must(t, tb.WaitFor(k.ctx))
		expect(t, "rows", tb.Len(), 200)
		_, err = look(k.ctx, k.Broker, tb)
		must(t, err)
		for range 4 {
			wg.Go(func() {
				for range 20 {
					if _, err := look(k.ctx, k.Broker, tb); !ok(err) {
						t.Errorf("a view while the broker closes: %v", err)
					}
				}
			})
		}
		must(t, k.Close())
		wg.Wait()
	})
}
