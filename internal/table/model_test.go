package table_test

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/samsatest"
)

// model is a topic as a map, which is what the log says, beside tables of it.
type model struct {
	*kit
	rnd     *rand.Rand
	kept    *samsa.Table
	version int
	told    map[string]string // by a watcher of kept
	next    func() (samsa.TableChange, error, bool)
	stop    func()
	marks   int // keys that end what a watcher has to tell
}

// A table is the map that the log makes, whatever happens: crashes and power cuts, compaction, records that are deleted, partitions
// that are added, another version; and what a watcher was told adds up to it, however slow it is.
func TestTableIsAMap(t *testing.T) {
	t.Parallel()
	for round := range uint64(4) {
		t.Run(fmt.Sprint(round), func(t *testing.T) {
			t.Parallel()
			m := &model{rnd: rand.New(rand.NewPCG(round, 1)), stop: func() {}}
			b := samsatest.New(t, samsatest.TopicWith("accounts", samsa.TopicConfig{Partitions: 2, CleanupPolicy: samsa.CleanupCompact}))
			m.kit = &kit{b, t, context.Background()}
			must(t, b.Sync(m.ctx))
			defer func() { m.stop() }()
			m.begin()
			for range 60 {
				m.step()
			}
			m.stop()
			must(t, m.kept.Close())
		})
	}
}

// begin opens the kept table, and watches it.
func (m *model) begin() {
	t, err := m.NewTable(m.ctx, samsa.TableOptions{Topic: "accounts", Name: "kept", Version: m.version})
	must(m.t, err)
	m.kept, m.told = t, map[string]string{}
	next, stop := iter.Pull2(m.kept.Watch(m.ctx))
	m.next, m.stop = next, stop
	for m.tell() != "" { // the mark is a change without a key
	}
}

// tell takes one change from the watcher, and returns its key.
func (m *model) tell() string {
	c, err, _ := m.next()
	must(m.t, err)
	key := string(c.Record.Key)
	if c.Record.Value == nil {
		delete(m.told, key)
	} else {
		m.told[key] = string(c.Record.Value)
	}
	return key
}

func (m *model) step() {
	switch n := m.rnd.IntN(20); {
	case n < 10:
		m.write(1 + m.rnd.IntN(30))
	case n == 10:
		m.write(3000) // more than is remembered for a watcher
	case n < 13:
		_, err := m.Sweep(m.ctx)
		must(m.t, err)
	case n == 13:
		must(m.t, m.Topics().DeleteRecords(m.ctx, "accounts", map[int32]int64{int32(m.rnd.IntN(2)): -1}))
	case n == 14:
		m.version++
		m.stop()
		must(m.t, m.kept.Close())
		m.begin()
	case n < 17:
		m.crash(n == 15)
	default:
		m.check()
	}
}

func (m *model) write(n int) {
	records := make([]samsa.Record, n)
	for i := range records {
		records[i] = rec(fmt.Sprint(m.rnd.IntN(4*n)), fmt.Sprint(m.rnd.Uint64()))
		if m.rnd.IntN(3) == 0 {
			records[i].Value = nil
		}
	}
	m.produce(records...)
}

func (m *model) crash(power bool) {
	m.t.(*testing.T).Helper()
	m.stop()
	if power {
		samsatest.CutPower(m.t, m.Broker)
	} else {
		samsatest.Crash(m.t, m.Broker)
	}
	m.Broker = samsatest.Restart(m.t, m.Broker)
	m.begin()
	m.check()
}

// check compares tables with the log.
func (m *model) check() {
	m.marks++
	mark := fmt.Sprintf("~%d", m.marks)
	must(m.t, m.kept.WaitFor(m.ctx))
	m.produce(rec(mark, "mark"))
	want := m.log()
	must(m.t, m.kept.WaitFor(m.ctx))
	compare(m.t, "kept", m.all(m.kept), want)
	expect(m.t, "length", m.kept.Len(), len(want))
	fresh := m.table(samsa.TableOptions{Topic: "accounts"})
	compare(m.t, "in memory", m.all(fresh), want)
	must(m.t, fresh.Close())
	for m.tell() != mark {
	}
	compare(m.t, "watched", m.told, want)
}

// log returns the latest value of each key, as the log has it.
func (m *model) log() map[string]string {
	want := make(map[string]string)
	c, err := m.NewConsumer(m.ctx, samsa.ConsumerOptions{Topics: []string{"accounts"}})
	must(m.t, err)
	for r, err := range c.RecordsUntil(m.ctx) {
		must(m.t, err)
		if r.Value == nil {
			delete(want, string(r.Key))
		} else {
			want[string(r.Key)] = string(r.Value)
		}
	}
	must(m.t, c.Close())
	return want
}

func (m *model) all(t *samsa.Table) map[string]string {
	all := make(map[string]string)
	for r, err := range t.Range(samsa.TableRange{}) {
		must(m.t, err)
		all[string(r.Key)] = string(r.Value)
	}
	return all
}

func compare(t testing.TB, what string, got, want map[string]string) {
	t.Helper()
	if maps.Equal(got, want) {
		return
	}
	for _, key := range slices.Sorted(maps.Keys(want)) {
		if got[key] != want[key] {
			t.Errorf("%s: %q is %q, want %q", what, key, got[key], want[key])
		}
	}
	for key := range got {
		if _, ok := want[key]; !ok {
			t.Errorf("%s: %q is there", what, key)
		}
	}
	t.FailNow()
}
