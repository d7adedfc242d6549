package writer

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"slices"
	"testing"

	"go.uber.org/zap"

	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/internal/vfs/vfstest"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/partition"
)

// given is a batch or a marker that a log was given.
type given struct {
	base, last int64
	producer   int64 // -1 for none
	end        bool  // it is a marker
	commit     bool
}

// txLife is a broker's store on a disk, and what its partitions were given.
type txLife struct {
	t    *testing.T
	r    *rand.Rand
	disk *vfstest.Disk
	st   store.Store
	c    *Committer
	ps   []*partition.Partition
	past [][]given // of each partition, in order
}

func (l *txLife) open(rebuild bool) {
	l.t.Helper()
	opts := store.Small{FileBytes: int64(3000 + l.r.IntN(20_000)), TreeEntries: 2 + l.r.IntN(40), TableBytes: 64 << 10}.Options(store.Options{Rebuild: rebuild})
	var err error
	if l.st, err = store.OpenOn(l.disk, ".", opts); err != nil {
		l.t.Fatal(err)
	}
	ids := []store.PartitionID{before, middle}
	owner := func(id store.PartitionID) (log.TopicPartition, log.Ownership) {
		if slices.Contains(ids, id) {
			return log.TopicPartition{Topic: "t", Partition: int32(id.Partition)}, log.Owned
		}
		return log.TopicPartition{}, log.Nobodys
	}
	if rebuild {
		if _, err := log.RemoveDead(l.st, owner); err != nil {
			l.t.Fatal(err)
		}
	}
	l.c, l.ps = NewCommitter(l.st, zap.NewNop()), nil
	for _, id := range ids {
		opened, err := log.OpenLog(l.st, id, log.TopicPartition{Topic: "t", Partition: int32(id.Partition)})
		if err != nil {
			l.t.Fatal(err)
		}
		l.ps = append(l.ps, partition.Open(opened, partition.Rules{MaxMessageBytes: 1 << 20}))
	}
}

// act does one thing.
func (l *txLife) act() {
	id := int64(l.r.IntN(3))
	tx := &Tx{}
	var what []given
	for i, p := range l.ps {
		if l.r.IntN(3) == 0 {
			continue
		}
		g := given{producer: id}
		a := Append{Partition: p}
		switch n := l.r.IntN(8); {
		case n == 0:
			g.producer = -1
			a.Batch, a.Foldable = batch(l.t, "plain"), true
		case n < 3:
			g.end, g.commit = true, n == 1
			a = marker(p, id, 0, g.commit)
		default:
			values := make([]string, 1+l.r.IntN(3))
			a.Batch = inTransaction(l.t, id, int32(p.Log().StoredOf(id)), values...)
		}
		g.base = int64(i) // the partition, for now
		what, tx.Appends = append(what, g), append(tx.Appends, a)
	}
	if len(what) == 0 {
		return
	}
	if err := l.c.Do(tx); err != nil {
		l.t.Fatal(err)
	}
	for i, g := range what {
		p, a := g.base, tx.Appends[i]
		g.base, g.last = a.BaseOffset, a.BaseOffset+int64(a.Batch.Records())-1
		l.past[p] = append(l.past[p], g)
	}
}

func (l *txLife) trim() {
	var moves []Move
	for _, p := range l.ps {
		start := p.LogStart()
		moves = append(moves, Move{p, start + l.r.Int64N(1+p.HighWatermark()-start)})
	}
	if _, err := Trim(l.t.Context(), l.c, moves); err != nil {
		l.t.Fatal(err)
	}
}

// end closes everything, or leaves what a crash leaves: of the process, or of the power.
func (l *txLife) end() {
	left, kind := l.disk.Clone(), l.r.IntN(3)
	if kind == 1 {
		left = l.disk.Cut(l.r.Uint64())
	}
	l.c.Close()
	if err := l.st.Close(); err != nil {
		l.t.Fatal(err)
	}
	if kind < 2 {
		l.disk = left
	}
}

// spoil takes the index away.
func (l *txLife) spoil() {
	tables, err := l.disk.List("index")
	if err != nil {
		l.t.Fatal(err)
	}
	for _, info := range tables {
		if err := l.disk.Remove("index/" + info.Name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			l.t.Fatal(err)
		}
	}
}

// check compares what was found with what was given: of that it is all up to a commit.
func (l *txLife) check(when string) {
	l.t.Helper()
	for i, p := range l.ps {
		found := p.Log()
		l.past[i] = slices.DeleteFunc(l.past[i], func(g given) bool { return g.last >= found.End() })
		open := make(map[int64]int64) // by producer
		var ended []log.AbortedTx
		for _, g := range l.past[i] {
			first, is := open[g.producer]
			switch {
			case g.end && is:
				delete(open, g.producer)
				if !g.commit {
					ended = append(ended, log.AbortedTx{ProducerID: g.producer, First: first, Last: g.last})
				}
			case !g.end && !is && g.producer >= 0:
				open[g.producer] = g.base
			}
		}
		want := found.End()
		for id, first := range open {
			if got := found.OpenSince(id); got != first {
				l.t.Errorf("%s: %s: producer %d has a transaction open since %d, want %d", when, p.TopicPartition(), id, got, first)
			}
			want = min(want, first)
		}
		if want = max(want, found.Start()); found.LastStable() != want {
			l.t.Errorf("%s: %s is stable up to %d, want %d", when, p.TopicPartition(), found.LastStable(), want)
		}
		l.read(when, found, l.past[i], ended)
	}
}

// read compares what readers of what is committed get.
func (l *txLife) read(when string, found *log.Log, past []given, ended []log.AbortedTx) {
	l.t.Helper()
	var want []string
	for _, g := range past {
		if g.last < found.Start() || g.last >= found.LastStable() {
			continue
		}
		was := slices.ContainsFunc(ended, func(tx log.AbortedTx) bool {
			return !g.end && tx.ProducerID == g.producer && tx.First <= g.base && g.last <= tx.Last
		})
		want = append(want, fmt.Sprintf("%d-%d %t", g.base, g.last, was))
	}
	var got []string
	_, err := found.ReadCommitted(found.Start(), nil, func(sb log.StoredBatch) bool {
		if sb.Err != nil {
			l.t.Errorf("%s: %v", when, sb.Err)
			return true
		}
		got = append(got, fmt.Sprintf("%d-%d %t", sb.Batch.BaseOffset(), sb.LastOffset, sb.Aborted))
		return true
	})
	if err != nil || !slices.Equal(got, want) {
		l.t.Errorf("%s: %s has %q, %v, want %q", when, found.TopicPartition(), got, err, want)
	}
	if damaged := found.Damaged(); len(damaged) > 0 {
		l.t.Errorf("%s: damaged: %v", when, damaged)
	}
}

// Whatever ends the process, and whether the index is made anew or not: the markers that are there agree with what is known
// of open and aborted transactions.
func TestTransactionsSurvive(t *testing.T) {
	for seed := range uint64(40) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			l := &txLife{t: t, r: rand.New(rand.NewPCG(seed, 1)), disk: vfstest.NewDisk(0), past: make([][]given, 2)}
			l.open(false)
			for round := range 4 {
				for range 30 {
					switch l.r.IntN(12) {
					case 0:
						l.trim()
					case 1:
						if err := l.st.Sync(); err != nil {
							t.Fatal(err)
						}
					default:
						l.act()
					}
				}
				l.check("before")
				l.end()
				rebuild := l.r.IntN(2) == 0
				if rebuild {
					l.spoil()
				}
				l.open(rebuild)
				l.check(fmt.Sprintf("round %d, rebuilt %t", round, rebuild))
			}
			l.c.Close()
			if err := l.st.Close(); err != nil {
				t.Fatal(err)
			}
		})
	}
}
