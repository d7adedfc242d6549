package backup

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/inside"
	"github.com/samsa-go/samsa/internal/store"
)

var small = store.Small{FileBytes: 64 << 10, TreeEntries: 60, TableBytes: 16 << 10}

// openSmall opens a broker whose files end, and go, all the time.
func openSmall(t *testing.T, dir string) *samsa.Broker {
	t.Helper()
	st, err := store.Open(dir, small.Options(store.Options{}))
	if err != nil {
		t.Fatal(err)
	}
	b, err := inside.Open[*samsa.Broker](st, samsa.Options{AutoCreateTopics: true})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// past is what a broker had as of a commit.
type past struct {
	at    Mark
	state map[string]string
}

func stateOf(t *testing.T, s interface {
	Scan(store.Range, func(store.Entry) (bool, error)) error
}) map[string]string {
	t.Helper()
	state := map[string]string{}
	err := s.Scan(store.Range{}, func(e store.Entry) (bool, error) {
		v, err := e.AppendValue(nil)
		state[string(e.Key)] = string(v)
		return true, err
	})
	if err != nil {
		t.Fatal(err)
	}
	return state
}

func note(t *testing.T, b *samsa.Broker) past {
	t.Helper()
	st := inside.Of(b).Store.(store.Shipper)
	snap, commit, err := st.SnapshotHeld("test", 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Close()
	if err := st.Unhold("test"); err != nil {
		t.Fatal(err)
	}
	return past{Mark{commit, time.Now()}, stateOf(t, snap)}
}

// use does something with a broker.
func use(t *testing.T, rng *rand.Rand, b *samsa.Broker) {
	t.Helper()
	ctx := t.Context()
	name := fmt.Sprintf("topic%d", rng.IntN(4))
	var err error
	switch rng.IntN(9) {
	case 0:
		err = b.Topics().Delete(ctx, name)
	case 1:
		_, err = b.Sweep(ctx)
	case 2:
		err = b.Topics().DeleteRecords(ctx, name, map[int32]int64{0: int64(rng.IntN(20))})
	case 3:
		err = b.Groups().AlterOffsets(ctx, fmt.Sprintf("g%d", rng.IntN(3)), samsa.To(samsa.Earliest()), samsa.TopicPartition{Topic: name})
	case 4, 5:
		err = b.Update(ctx, func(tx *samsa.Tx) error {
			return errors.Join(tx.Set(fmt.Appendf(nil, "k%d", rng.IntN(30)), make([]byte, 1+rng.IntN(5000))), tx.Delete(fmt.Appendf(nil, "k%d", rng.IntN(30))))
		})
	default:
		var records []samsa.Record
		for range 1 + rng.IntN(5) {
			records = append(records, samsa.Record{Topic: name, Value: make([]byte, rng.IntN(9000))})
		}
		_, err = b.Produce(ctx, records...)
	}
	if err != nil && !errors.Is(err, samsa.ErrUnknown) && !errors.Is(err, samsa.ErrOffsetOutOfRange) {
		t.Fatal(err)
	}
}

// faulty is a target that fails now and then, before or behind what it does.
type faulty struct {
	Target
	rng  *rand.Rand
	kill func() // the process of the backup
}

var errFaulty = errors.New("the target fails")

func (f faulty) fails() error {
	switch f.rng.IntN(40) {
	case 0:
		return errFaulty
	case 1:
		f.kill()
	}
	return nil
}

func (f faulty) Put(ctx context.Context, name string, r io.Reader) error {
	if err := f.fails(); err != nil {
		return err
	}
	return errors.Join(f.Target.Put(ctx, name, r), f.fails())
}

func (f faulty) Delete(ctx context.Context, name string) error {
	return errors.Join(f.fails(), f.Target.Delete(ctx, name), f.fails())
}

// load makes the state of a moment in memory.
func load(t *testing.T, target Target, at Moment) (map[string]string, Restored, error) {
	t.Helper()
	objects, err := target.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	g, bases, err := choose(parse(objects), at)
	if err != nil {
		return nil, Restored{}, err
	}
	a := applier{ctx: t.Context(), target: target, gen: g, at: at}
	a.done = Restored{Last: bases[0].at, Until: g.until(bases[0].at)}
	st := store.OpenMemory()
	defer func() { _ = st.Close() }()
	if err := a.fill(st, bases[0]); err != nil {
		return nil, a.done, err
	}
	return stateOf(t, st), a.done, nil
}

// TestEveryMomentIsRestored uses a broker in all ways, backs it up with a target that fails, kills either side, and
// restores to many moments.
func TestEveryMomentIsRestored(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	dir, target := t.TempDir(), Folder(filepath.Join(t.TempDir(), "backup"))
	b := openSmall(t, dir)
	history := map[uint64]past{}
	var times []past
	kills, anew := 0, 0
	for range 60 {
		for range rng.IntN(12) {
			use(t, rng, b)
			p := note(t, b)
			history[p.at.Commit] = p
			times = append(times, p)
		}
		if rng.IntN(10) == 0 { // the process dies
			_, err := inside.Of(b).Kill(false)
			if err != nil && !errors.Is(err, samsa.ErrClosed) && !errors.Is(err, samsa.ErrFailed) {
				t.Fatal(err)
			}
			kills++
			b = openSmall(t, dir)
		}
		ctx, kill := context.WithCancel(t.Context())
		opts := Options{Every: time.Nanosecond, UntilNow: true, Status: func(s Status) { anew += s.Anew }}
		if rng.IntN(8) == 0 {
			opts.BaseEvery = time.Nanosecond
			opts.Status = func(s Status) {
				if s.Base.Commit == s.Copied.Commit || s.Commits > 0 {
					kill()
				}
			}
		}
		err := Run(ctx, Of(b, SourceOptions{}), faulty{target, rng, kill}, opts)
		kill()
		if err != nil && !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
	if err := Run(t.Context(), Of(b, SourceOptions{}), target, Options{UntilNow: true}); err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	spans, err := List(t.Context(), target)
	if err != nil || len(spans) == 0 || anew > 0 {
		t.Fatal(spans, err, anew)
	}
	span, restored := spans[len(spans)-1], 0
	for _, s := range spans {
		if s.Missing != "" {
			t.Errorf("%+v", s)
		}
	}
	for _, p := range history {
		if p.at.Commit < span.From.Commit || restored > 60 {
			continue
		}
		restored++
		state, done, err := load(t, target, Moment{Commit: p.at.Commit})
		if err != nil || done.Last.Commit != p.at.Commit || !maps.Equal(state, p.state) {
			t.Fatalf("commit %d, in %+v: %v, %+v; %s", p.at.Commit, span, err, done, differ(state, p.state))
		}
	}
	for range 20 {
		p := times[rng.IntN(len(times))]
		if p.at.Time.Before(span.From.Time) {
			continue
		}
		state, done, err := load(t, target, Moment{Time: p.at.Time})
		if err != nil || done.Last.Commit < p.at.Commit || done.Last.Time.After(p.at.Time) && done.Commits > 0 {
			t.Fatalf("time %v: %v, %+v, commit %d", p.at.Time, err, done, p.at.Commit)
		}
		if was, ok := history[done.Last.Commit]; ok && !maps.Equal(state, was.state) {
			t.Fatalf("time %v: %s", p.at.Time, differ(state, was.state))
		}
	}
	if restored == 0 {
		t.Error("no moment was restored")
	}
	t.Logf("%d moments of %d restored from %d generations, %d kills; %d objects", restored, len(history), len(spans), kills, span.Objects)
}

func differ(got, want map[string]string) string {
	var all []string
	for k, v := range want {
		if g, ok := got[k]; !ok || g != v {
			all = append(all, fmt.Sprintf("%q has %d bytes, want %d", k, len(g), len(v)))
		}
	}
	for k := range got {
		if _, ok := want[k]; !ok {
			all = append(all, fmt.Sprintf("%q is there", k))
		}
	}
	slices.Sort(all)
	return strings.Join(all[:min(5, len(all))], "; ")
}

// backedUp returns a target with ten segments, and what the broker was, by commit.
func backedUp(t *testing.T) (Target, string, []past) {
	t.Helper()
	folder := filepath.Join(t.TempDir(), "backup")
	b := openSmall(t, t.TempDir())
	var all []past
	for i := range 10 {
		if _, err := b.Produce(t.Context(), samsa.Record{Topic: "orders", Value: make([]byte, 100*i)}); err != nil {
			t.Fatal(err)
		}
		if err := Run(t.Context(), Of(b, SourceOptions{}), Folder(folder), Options{UntilNow: true}); err != nil {
			t.Fatal(err)
		}
		all = append(all, note(t, b))
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	return Folder(folder), folder, all
}

func TestRestoreTellsWhatIsDamaged(t *testing.T) {
	t.Parallel()
	target, folder, all := backedUp(t)
	segments, err := filepath.Glob(filepath.Join(folder, "*", "seg-*"))
	if err != nil || len(segments) < 9 {
		t.Fatal(segments, err)
	}
	hurt := segments[5]
	data, err := os.ReadFile(hurt)
	if err != nil {
		t.Fatal(err)
	}
	for _, what := range []string{"flipped", "cut", "empty", "missing"} {
		for at := 0; at < len(data); at += 1 + len(data)/40 {
			changed := slices.Clone(data)
			switch what {
			case "flipped":
				changed[at] ^= 4
			case "cut":
				changed = changed[:at]
			case "empty":
				changed = nil
			}
			if err = os.WriteFile(hurt, changed, 0o644); what == "missing" {
				err = os.Remove(hurt)
			}
			if err != nil {
				t.Fatal(err)
			}
			if _, _, err := load(t, target, Moment{}); !errors.Is(err, ErrDamaged) || !errors.Is(err, samsa.ErrCorruptValue) {
				t.Fatalf("%s at %d: %v", what, at, err)
			}
			state, _, err := load(t, target, Moment{Commit: all[2].at.Commit})
			if err != nil || !maps.Equal(state, all[2].state) {
				t.Fatalf("%s at %d, before it: %v", what, at, err)
			}
		}
	}
	if _, done, err := Restore(t.Context(), filepath.Join(t.TempDir(), "data"), target, Moment{}, samsa.Options{}); !errors.Is(err, ErrDamaged) {
		t.Errorf("%v, %+v", err, done)
	}
}

func TestRestore(t *testing.T) {
	t.Parallel()
	target, folder, all := backedUp(t)
	ctx := t.Context()
	dir := filepath.Join(t.TempDir(), "data")
	b, done, err := Restore(ctx, dir, target, Moment{Time: all[4].at.Time}, samsa.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ends, err := b.ListOffsets(ctx, "orders", samsa.Latest())
	if err != nil || ends[0].Offset < 5 || ends[0].Offset > 6 || done.Commits == 0 {
		t.Errorf("%v, %v, %+v", ends, err, done)
	}
	if _, err := b.Produce(ctx, samsa.Record{Topic: "orders"}); err != nil {
		t.Error(err)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	if _, _, err := Restore(ctx, dir, target, Moment{}, samsa.Options{}); !errors.Is(err, fs.ErrExist) {
		t.Errorf("there is something: %v", err)
	}
	memory, done, err := Restore(ctx, "", target, Moment{}, samsa.Options{InMemory: true})
	if err != nil || done.Last.Commit < all[9].at.Commit-1 {
		t.Fatal(err, done)
	}
	if err := memory.Close(); err != nil {
		t.Error(err)
	}
	for _, at := range []Moment{{Time: all[0].at.Time.Add(-time.Hour)}, {Commit: 1}, {Commit: 1 << 40}, {Generation: "g7"}} {
		if _, _, err := Restore(ctx, "", target, at, samsa.Options{InMemory: true}); !errors.Is(err, ErrNoMoment) || !errors.Is(err, samsa.ErrUnknown) {
			t.Errorf("%+v: %v", at, err)
		}
	}
	if _, _, err := Restore(ctx, "", target, Moment{Commit: 3, Time: time.Now()}, samsa.Options{InMemory: true}); !errors.Is(err, samsa.ErrInvalidOption) {
		t.Errorf("both: %v", err)
	}
	if _, _, err := Restore(ctx, "", Folder(filepath.Join(folder, "nothing")), Moment{}, samsa.Options{InMemory: true}); !errors.Is(err, ErrNoMoment) {
		t.Errorf("nothing: %v", err)
	}
}

// TestBackupBeginsAnew writes more than is held while no backup runs.
func TestBackupBeginsAnew(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	target := Folder(filepath.Join(t.TempDir(), "backup"))
	b := openSmall(t, t.TempDir())
	defer func() { _ = b.Close() }()
	src := Of(b, SourceOptions{MaxHeld: 256 << 10})
	if err := Run(ctx, src, target, Options{UntilNow: true}); err != nil {
		t.Fatal(err)
	}
	for range 200 {
		err := b.Update(ctx, func(tx *samsa.Tx) error { return tx.Set([]byte("k"), make([]byte, 20_000)) })
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := b.Sweep(ctx); err != nil {
		t.Fatal(err)
	}
	between := time.Now()
	if err := inside.Of(b).Store.Reclaim(ctx); err != nil {
		t.Fatal(err)
	}
	if err := Run(ctx, src, target, Options{UntilNow: true}); err != nil {
		t.Fatal(err)
	}
	spans, err := List(ctx, target)
	if err != nil || len(spans) != 2 {
		t.Fatalf("%+v, %v", spans, err)
	}
	if _, _, err := load(t, target, Moment{Time: between}); !errors.Is(err, ErrNoMoment) {
		t.Errorf("a moment that nobody knows: %v", err)
	}
	state, _, err := load(t, target, Moment{})
	if err != nil || len(state["ak"]) != 20_001 {
		t.Errorf("the newest: %v, %d bytes", err, len(state["ak"]))
	}
}

func TestBackupOfMemoryAndReadOnly(t *testing.T) {
	t.Parallel()
	memory, err := samsa.Open("", samsa.Options{InMemory: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = memory.Close() }()
	target := Folder(t.TempDir())
	if err := Run(t.Context(), Of(memory, SourceOptions{}), target, Options{UntilNow: true}); !errors.Is(err, samsa.ErrInvalidOption) {
		t.Errorf("in memory: %v", err)
	}
	b := openSmall(t, t.TempDir())
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if err := Run(t.Context(), Of(b, SourceOptions{}), target, Options{UntilNow: true}); !errors.Is(err, samsa.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}

// TestPruneKeepsWhatIsNeeded removes what only old moments need.
func TestPruneKeepsWhatIsNeeded(t *testing.T) {
	t.Parallel()
	at := func(commit uint64, hours int) Mark { return Mark{commit, time.UnixMilli(int64(hours) * 3_600_000)} }
	var objects []Object
	add := func(name string) { objects = append(objects, Object{Name: name}) }
	add("g00000001-0123abcd/begin.json")
	add(baseName("g00000001-0123abcd", at(5, 1)))
	add(segmentName("g00000001-0123abcd", 6, at(9, 2), 0))
	add("g00000002-0123abcd/begin.json")
	add(baseName("g00000002-0123abcd", at(10, 10)))
	add(baseName("g00000002-0123abcd", at(20, 20)))
	add(baseName("g00000002-0123abcd", at(30, 30)))
	add(segmentName("g00000002-0123abcd", 11, at(15, 15), 1))
	add(segmentName("g00000002-0123abcd", 11, at(12, 15), 0))
	add(segmentName("g00000002-0123abcd", 16, at(25, 25), 0))
	add(segmentName("g00000002-0123abcd", 26, at(35, 35), 0))
	add("something else")
	slices.SortFunc(objects, func(a, b Object) int { return strings.Compare(a.Name, b.Name) })
	now := at(0, 40).Time
	since := func(hours int) []string {
		from, _ := PruneOptions{Keep: now.Sub(at(0, hours).Time)}.oldest(parse(objects), now)
		return prunable(parse(objects), from)
	}
	want := []string{
		objects[0].Name, objects[2].Name, objects[1].Name, // the first generation
		segmentName("g00000002-0123abcd", 11, at(12, 15), 0), baseName("g00000002-0123abcd", at(10, 10)), segmentName("g00000002-0123abcd", 11, at(15, 15), 1),
	}
	if got := since(25); !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if got := since(0); len(got) != 1 {
		t.Errorf("nothing is old: %q", got)
	}
	for _, c := range []struct {
		keep PruneOptions
		from place
	}{
		{PruneOptions{Bases: 1}, place{1, 2}}, {PruneOptions{Bases: 2}, place{1, 1}}, {PruneOptions{Bases: 4}, place{0, 0}}, {PruneOptions{Bases: 9}, place{0, 0}},
		{PruneOptions{Keep: time.Hour}, place{1, 2}}, {PruneOptions{Keep: 15 * time.Hour, Bases: 1}, place{1, 1}}, {PruneOptions{Keep: time.Hour, Bases: 3}, place{1, 0}},
	} {
		if got, ok := c.keep.oldest(parse(objects), now); got != c.from || !ok {
			t.Errorf("%+v keeps from %v on, want %v", c.keep, got, c.from)
		}
	}
}

// TestPrune counts what it removes, and leaves what can be restored; a dry run leaves all.
func TestPrune(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	target := Folder(filepath.Join(t.TempDir(), "backup"))
	b := openSmall(t, t.TempDir())
	defer func() { _ = b.Close() }()
	for range 3 { // a base each
		if _, err := b.Produce(ctx, samsa.Record{Topic: "orders", Value: make([]byte, 1000)}); err != nil {
			t.Fatal(err)
		}
		stop, cancel := context.WithCancel(ctx)
		err := Run(stop, Of(b, SourceOptions{}), target, Options{BaseEvery: time.Nanosecond, Status: func(s Status) {
			if s.Base.Commit > 0 && s.BaseBytes == 0 {
				cancel()
			}
		}})
		if !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
	want := note(t, b)
	if err := Run(ctx, Of(b, SourceOptions{}), target, Options{UntilNow: true}); err != nil {
		t.Fatal(err)
	}
	for _, o := range []PruneOptions{{}, {Keep: -1}, {Bases: -1}} {
		if _, err := Prune(ctx, target, o); !errors.Is(err, samsa.ErrInvalidOption) {
			t.Errorf("%+v: %v", o, err)
		}
	}
	before, err := target.List(ctx)
	if err != nil {
		t.Fatal(err)
	}
	would, err := Prune(ctx, target, PruneOptions{Bases: 1, DryRun: true})
	if after, _ := target.List(ctx); err != nil || would.Objects == 0 || would.Bytes == 0 || !slices.Equal(after, before) {
		t.Fatalf("%+v, %v", would, err)
	}
	done, err := Prune(ctx, target, PruneOptions{Bases: 1})
	if err != nil || done != would {
		t.Errorf("%+v, %v, want %+v", done, err, would)
	}
	spans, err := List(ctx, target)
	if err != nil || len(spans) != 1 || len(spans[0].Bases) != 1 || spans[0].From != done.From {
		t.Errorf("%+v, %v", spans, err)
	}
	if state, _, err := load(t, target, Moment{}); err != nil || !maps.Equal(state, want.state) {
		t.Errorf("%v: %s", err, differ(state, want.state))
	}
}

// TestManySegmentsBecomeFew ships many times.
func TestManySegmentsBecomeFew(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	folder := filepath.Join(t.TempDir(), "backup")
	b := openSmall(t, t.TempDir())
	defer func() { _ = b.Close() }()
	for range 150 {
		if _, err := b.Produce(ctx, samsa.Record{Topic: "orders", Value: []byte("v")}); err != nil {
			t.Fatal(err)
		}
		if err := Run(ctx, Of(b, SourceOptions{}), Folder(folder), Options{UntilNow: true}); err != nil {
			t.Fatal(err)
		}
	}
	want := note(t, b)
	objects, err := Folder(folder).List(ctx)
	if err != nil || len(objects) > 70 {
		t.Errorf("%d objects, %v", len(objects), err)
	}
	state, done, err := load(t, Folder(folder), Moment{})
	if err != nil || !maps.Equal(state, want.state) {
		t.Errorf("%v, %+v: %s", err, done, differ(state, want.state))
	}
}

func TestFolderKeepsWithin(t *testing.T) {
	t.Parallel()
	f := Folder(t.TempDir())
	if err := f.Put(t.Context(), "../x", bytes.NewReader(nil)); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("a name that leads out: %v", err)
	}
	if _, err := f.Get(t.Context(), "x"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what is not there: %v", err)
	}
	if err := f.Delete(t.Context(), "x"); err != nil {
		t.Errorf("what is not there: %v", err)
	}
}

// meeting is a target at which those who begin wait for one another.
type meeting struct {
	Target
	wait func()
}

func (m meeting) List(ctx context.Context) ([]Object, error) {
	all, err := m.Target.List(ctx)
	m.wait()
	return all, err
}

// Two brokers that begin in one target at the same moment, by mistake, have a generation each: what is restored is one of them, and no mixture.
func TestTwoBrokersBeginAtOnce(t *testing.T) {
	ctx := t.Context()
	folder := Folder(t.TempDir())
	var met sync.WaitGroup
	met.Add(2)
	states := map[string]map[string]string{}
	var brokers []*samsa.Broker
	var runs sync.WaitGroup
	var mu sync.Mutex
	for i := range 2 {
		b := openSmall(t, filepath.Join(t.TempDir(), "data"))
		defer func() { _ = b.Close() }()
		brokers = append(brokers, b)
		rng := rand.New(rand.NewPCG(uint64(i), 1))
		for range 20 {
			use(t, rng, b)
		}
		arrive := sync.OnceFunc(func() { met.Done(); met.Wait() })
		runs.Go(func() {
			generation := ""
			o := Options{UntilNow: true, Status: func(s Status) { generation = s.Generation }}
			if err := Run(ctx, Of(b, SourceOptions{}), meeting{folder, arrive}, o); err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			states[generation] = note(t, b).state
		})
	}
	runs.Wait()
	// Whoever begins again goes on in the generation that is its own, and what the one needs no longer the other may still need.
	for i, b := range brokers {
		for range 2 {
			if _, err := b.Produce(ctx, samsa.Record{Topic: "orders", Value: []byte("later")}); err != nil {
				t.Fatal(err)
			}
			var s Status
			o := Options{UntilNow: true, BaseEvery: time.Nanosecond, Status: func(now Status) { s = now }}
			if i == 0 {
				o.BaseEvery = 0
			}
			runOnce(t, b, folder, o)
			if states[s.Generation] == nil || s.Anew > 0 {
				t.Fatalf("it goes on in %+v", s)
			}
			states[s.Generation] = note(t, b).state
		}
	}
	if _, err := Prune(ctx, folder, PruneOptions{Bases: 1}); err != nil {
		t.Fatal(err)
	}
	spans, err := List(ctx, folder)
	if err != nil || len(states) != 2 {
		t.Fatalf("%d generations, %v", len(states), err)
	}
	for _, s := range spans {
		want := states[s.Generation]
		b, _, err := Restore(ctx, "", folder, Moment{Commit: s.Until.Commit, Generation: s.Generation}, samsa.Options{InMemory: true})
		if err != nil {
			t.Fatal(err)
		}
		got := stateOf(t, inside.Of(b).Store)
		for _, state := range []map[string]string{got, want} {
			maps.DeleteFunc(state, func(k, _ string) bool { return k[0] == 'i' }) // ids of producers leap
		}
		if !maps.Equal(got, want) {
			t.Errorf("%s: %d keys, want %d", s.Generation, len(got), len(want))
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}
}

// runOnce brings a backup up to date; with BaseEvery so small that there is always another base, until there is one and all is copied.
func runOnce(t *testing.T, b *samsa.Broker, target Target, o Options) {
	t.Helper()
	ctx, end := context.WithCancel(t.Context())
	defer end()
	tell, based := o.Status, o.BaseEvery == 0
	o.Status = func(now Status) {
		tell(now)
		if !based && now.Base.Commit > 0 {
			based = true
			end()
		}
	}
	if err := Run(ctx, Of(b, SourceOptions{}), target, o); err != nil && !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if o.BaseEvery > 0 {
		o.BaseEvery = 0
		if err := Run(t.Context(), Of(b, SourceOptions{}), target, o); err != nil {
			t.Fatal(err)
		}
	}
}

// endless is a target whose segments have no end.
type endless struct{ Target }

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func (e endless) Get(ctx context.Context, name string) (io.ReadCloser, error) {
	body, err := e.Target.Get(ctx, name)
	if err != nil || !strings.HasSuffix(name, ".seg") {
		return body, err
	}
	return struct {
		io.Reader
		io.Closer
	}{io.MultiReader(body, zeros{}), body}, nil
}

// An object that has grown is damaged, however large it is.
func TestEndlessSegment(t *testing.T) {
	ctx := t.Context()
	b := openSmall(t, filepath.Join(t.TempDir(), "data"))
	defer func() { _ = b.Close() }()
	folder, once := Folder(t.TempDir()), Options{UntilNow: true}
	rng := rand.New(rand.NewPCG(1, 1))
	for range 2 {
		for range 10 {
			use(t, rng, b)
		}
		if err := Run(ctx, Of(b, SourceOptions{}), folder, once); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := Restore(ctx, "", endless{folder}, Moment{}, samsa.Options{InMemory: true}); !errors.Is(err, ErrDamaged) {
		t.Errorf("got %v", err)
	}
}

// A folder may be named in any way: what is put there is found, and each Put ends.
func TestFolderByAnyName(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, name := range []string{"", ".", "./", "copy//", "./copy/../again", "/../" + t.TempDir() + "/"} {
		target := Folder(name)
		if err := target.Put(t.Context(), "a/b", strings.NewReader("text")); err != nil {
			t.Fatal(err)
		}
		if all, err := target.List(t.Context()); err != nil || !slices.Contains(all, Object{"a/b", 4}) {
			t.Errorf("%q has %v, error %v", name, all, err)
		}
	}
}
