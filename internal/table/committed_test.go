package table_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/inside"
	"github.com/samsa-go/samsa/internal/writer"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/txn"
)

// client is a Kafka client with a transactional id, as its broker sees it.
type client struct {
	id   string
	p    txn.Producer
	seq  [2]int32 // of the next record in each partition
	open *outcome
}

// outcome is what has become of a transaction; that of records without one is committed.
type outcome struct{ ended, committed bool }

// written is a record of the log.
type written struct {
	key, value string
	of         *outcome
}

// txns is a topic of two partitions as clients write it.
type txns struct {
	*kit
	in      inside.Broker
	rnd     *rand.Rand
	clients []*client
	logs    [2]map[int64]written
}

// write adds a record, of a client's transaction if c is not nil.
func (k *txns) write(c *client) {
	k.t.Helper()
	w := written{key: fmt.Sprint(k.rnd.IntN(20)), value: fmt.Sprint(k.rnd.Uint32()), of: &outcome{true, true}}
	value := []byte(w.value)
	if k.rnd.IntN(4) == 0 {
		w.value, value = "", nil
	}
	at := int(w.key[len(w.key)-1] % 2)
	var b log.Builder
	b.Append(time.Now().UnixMilli(), []byte(w.key), value, nil)
	batch, err := b.Seal(nil, log.CodecNone)
	must(k.t, err)
	t, err := k.in.Catalogue.Get("accounts")
	must(k.t, err)
	tx := &writer.Tx{Appends: []writer.Append{{Partition: t.Partitions()[at], Batch: batch}}}
	if c != nil {
		if c.open == nil {
			c.open = new(outcome)
		}
		w.of = c.open
		const attributes, transactional = 22, 1 << 4
		batch[attributes] |= transactional
		batch.SetProducer(c.p.ID, c.p.Epoch, c.seq[at])
		c.seq[at]++
		k.in.Txns.Guard(tx, c.id, true)
	}
	must(k.t, k.in.Committer.Do(tx))
	k.logs[at][tx.Appends[0].BaseOffset] = w
}

// end ends a client's transaction.
func (k *txns) end(c *client, commit bool) {
	k.t.Helper()
	if c.open == nil {
		return
	}
	p, err := k.in.Txns.End(k.ctx, c.id, c.p, txn.EndOptions{Commit: commit, Bump: true})
	must(k.t, err)
	*c.open = outcome{true, commit}
	c.p, c.seq, c.open = p, [2]int32{}, nil
}

// rowsOf returns what a table should have.
func (k *txns) rowsOf(iso samsa.Isolation) map[string]string {
	rows := map[string]string{}
	for _, l := range k.logs {
		last := int64(-1)
		for offset := range l {
			last = max(last, offset)
		}
		for offset := int64(0); offset <= last; offset++ {
			w, ok := l[offset]
			if ok && iso == samsa.ReadCommitted && !w.of.ended {
				break // nothing comes from here on
			}
			switch {
			case !ok || iso == samsa.ReadCommitted && !w.of.committed:
			case w.value == "":
				delete(rows, w.key)
			default:
				rows[w.key] = w.value
			}
		}
	}
	return rows
}

// Whatever transactions of Kafka clients are open, committed and aborted in its topic, a table has what is committed before the first that is open, and one
// of ReadUncommitted has all; a View shows the same, waiting for nobody.
func TestTableOfCommittedRecords(t *testing.T) {
	t.Parallel()
	for round := range uint64(6) {
		t.Run(fmt.Sprint(round), func(t *testing.T) {
			t.Parallel()
			k := &txns{kit: open(t, ""), rnd: rand.New(rand.NewPCG(round, 7)), logs: [2]map[int64]written{{}, {}}}
			k.in = inside.Of(k.Broker)
			k.create("accounts", samsa.TopicConfig{Partitions: 2})
			for i := range 3 {
				c := &client{id: fmt.Sprint("client-", i)}
				var err error
				c.p, err = k.in.Txns.Init(context.Background(), c.id, time.Minute, nil)
				must(t, err)
				k.clients = append(k.clients, c)
			}
			tables := map[samsa.Isolation][]*samsa.Table{}
			for _, iso := range []samsa.Isolation{samsa.ReadCommitted, samsa.ReadUncommitted} {
				for _, name := range []string{"", "kept-" + iso.String()} {
					tables[iso] = append(tables[iso], k.table(samsa.TableOptions{Topic: "accounts", Name: name, Isolation: iso}))
				}
			}
			for range 150 {
				switch n := k.rnd.IntN(10); {
				case n < 2:
					k.write(nil)
				case n < 7:
					k.write(k.clients[k.rnd.IntN(3)])
				case n < 9:
					k.end(k.clients[k.rnd.IntN(3)], k.rnd.IntN(2) == 0)
				default:
					k.check(tables)
				}
			}
			for _, c := range k.clients {
				k.end(c, k.rnd.IntN(2) == 0)
			}
			k.check(tables)
		})
	}
}

func (k *txns) check(tables map[samsa.Isolation][]*samsa.Table) {
	k.t.Helper()
	for iso, all := range tables {
		want := k.rowsOf(iso)
		must(k.t, k.View(k.ctx, func(tx *samsa.ReadTx) error { // before anybody has waited for them
			views, err := tx.Tables(all...)
			if err != nil {
				return err
			}
			for _, v := range views {
				got := map[string]string{}
				for rec, err := range v.Range(samsa.TableRange{}) {
					if err != nil {
						return err
					}
					got[string(rec.Key)] = string(rec.Value)
				}
				if !maps.Equal(got, want) {
					k.t.Errorf("a View, %v: %v, want %v", iso, got, want)
				}
			}
			return nil
		}))
		for _, t := range all {
			must(k.t, t.WaitFor(k.ctx))
			expect(k.t, "length", t.Len(), len(want))
		}
	}
}
