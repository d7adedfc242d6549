package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

// Both stores keep the same contract; every sentence of it has a test here.

var constructors = []struct {
	name string
	open func(t testing.TB) Store
}{
	{"badger", func(t testing.TB) Store { return openTemp(t, t.TempDir(), Options{}) }},
	{"memory", func(testing.TB) Store { return OpenMemory() }},
}

func openTemp(t testing.TB, dir string, opts Options) *badgerStore {
	t.Helper()
	s, err := Open(dir, opts)
	if err != nil {
		t.Fatal(err)
	}
	return s.(*badgerStore)
}

// both runs the test with each store, closes it, and looks for what is left running.
func both(t *testing.T, test func(t *testing.T, s Store)) {
	for _, c := range constructors {
		t.Run(c.name, func(t *testing.T) {
			running := goleak.IgnoreCurrent()
			s := c.open(t)
			test(t, s)
			if err := s.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
			goleak.VerifyNone(t, running)
		})
	}
}

func commit(t testing.TB, s Store, b *Batch) {
	t.Helper()
	if err := tryCommit(s, b); err != nil {
		t.Fatalf("Commit: %v", err)
	}
}

func tryCommit(s Store, b *Batch) error {
	result := make(chan error, 1)
	s.Commit(b, func(err error) { result <- err })
	return <-result
}

func set(t testing.TB, s Store, keyValues ...string) {
	t.Helper()
	var b Batch
	for i := 0; i < len(keyValues); i += 2 {
		b.Set([]byte(keyValues[i]), []byte(keyValues[i+1]))
	}
	commit(t, s, &b)
}

func remove(t testing.TB, s Store, keys ...string) {
	t.Helper()
	var b Batch
	for _, k := range keys {
		b.Delete([]byte(k))
	}
	commit(t, s, &b)
}

// dump lists what a scan finds, as key=value.
func dump(t testing.TB, s Store, r Range) string {
	t.Helper()
	var found []string
	err := s.Scan(r, func(e Entry) (bool, error) {
		if r.KeysOnly {
			found = append(found, string(e.Key))
			return true, nil
		}
		v, err := e.AppendValue(nil)
		found = append(found, fmt.Sprintf("%s=%s", e.Key, v))
		return true, err
	})
	if err != nil {
		t.Fatalf("Scan: %v", err)
	}
	return strings.Join(found, " ")
}

func expect(t testing.TB, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s:\n got %q\nwant %q", what, got, want)
	}
}

func expectGet(t testing.TB, s Store, key, want string) {
	t.Helper()
	got, err := s.Get([]byte(key))
	if err != nil {
		t.Errorf("Get(%q): %v", key, err)
		return
	}
	expect(t, "Get "+key, string(got), want)
}

func expectGone(t testing.TB, s Store, key string) {
	t.Helper()
	if v, err := s.Get([]byte(key)); !errors.Is(err, ErrNotFound) {
		t.Errorf("Get(%q) = %q, %v; want ErrNotFound", key, v, err)
	}
}

func TestCommitIsReadBack(t *testing.T) {
	both(t, func(t *testing.T, s Store) {
		big := strings.Repeat("v", 100_000)
		set(t, s, "a", "1", "b", big)
		expectGet(t, s, "a", "1")
		expectGet(t, s, "b", big)
		expectGone(t, s, "c")
		expectGone(t, s, "")

		set(t, s, "a", "2", "b", "small now")
		expectGet(t, s, "a", "2")
		expectGet(t, s, "b", "small now")

		remove(t, s, "a", "never there")
		expectGone(t, s, "a")
		expect(t, "all", dump(t, s, Range{}), "b=small now")
	})
}

func TestCommitOfNothing(t *testing.T) {
	both(t, func(t *testing.T, s Store) {
		commit(t, s, &Batch{})
		expect(t, "all", dump(t, s, Range{}), "")
	})
}

func TestLastOperationWins(t *testing.T) {
	both(t, func(t *testing.T, s Store) {
		var b Batch
		b.Set([]byte("a"), []byte("1"))
		b.Delete([]byte("a"))
		b.Delete([]byte("b"))
		b.Set([]byte("b"), []byte("1"))
		b.Set([]byte("b"), []byte("2"))
		commit(t, s, &b)
		expect(t, "all", dump(t, s, Range{}), "b=2")
	})
}

func TestScanRanges(t *testing.T) {
	both(t, func(t *testing.T, s Store) {
		set(t, s, "b", "1", "ba", "2", "bb", "3", "c", "4", "\x01", "5", "\xff\xff", "6")
		remove(t, s, "bb")
		set(t, s, "bc", "7")
		for _, c := range []struct {
			from, to string
			want     []string
		}{
			{"", "", []string{"\x01", "b", "ba", "bc", "c", "\xff\xff"}},
			{"b", "", []string{"b", "ba", "bc", "c", "\xff\xff"}},
			{"", "c", []string{"\x01", "b", "ba", "bc"}},
			{"b", "c", []string{"b", "ba", "bc"}},
			{"ba", "bc", []string{"ba"}},
			{"ba", "bc\x00", []string{"ba", "bc"}},
			{"bb", "c", []string{"bc"}},
			{"b\x00", "ba", nil},
			{"c", "b", nil},
			{"b", "b", nil},
			{"d", "", []string{"\xff\xff"}},
			{"\xff\xff", "", []string{"\xff\xff"}},
		} {
			r := Range{From: []byte(c.from), To: []byte(c.to), KeysOnly: true}
			expect(t, fmt.Sprintf("%q to %q", c.from, c.to), dump(t, s, r), strings.Join(c.want, " "))
			r.Reverse = true
			slices.Reverse(c.want)
			expect(t, fmt.Sprintf("%q to %q reverse", c.from, c.to), dump(t, s, r), strings.Join(c.want, " "))
		}
		expect(t, "values", dump(t, s, Range{From: []byte("b"), To: []byte("c")}), "b=1 ba=2 bc=7")
		expect(t, "values reverse", dump(t, s, Range{From: []byte("b"), To: []byte("c"), Reverse: true}), "bc=7 ba=2 b=1")
	})
}

func TestScanStops(t *testing.T) {
	both(t, func(t *testing.T, s Store) {
		set(t, s, "a", "1", "b", "2", "c", "3")
		var seen []string
		err := s.Scan(Range{}, func(e Entry) (bool, error) {
			seen = append(seen, string(e.Key))
			return len(seen) < 2, nil
		})
		if err != nil || len(seen) != 2 {
			t.Errorf("saw %q, %v; want two keys and no error", seen, err)
		}
		own := errors.New("caller's own")
		err = s.Scan(Range{}, func(Entry) (bool, error) { return true, own })
		if err != own {
			t.Errorf("Scan returned %v, want the error of fn as it is", err)
		}
	})
}

func TestScanOfKeysGivesNoValue(t *testing.T) {
	both(t, func(t *testing.T, s Store) {
		set(t, s, "a", "1")
		err := s.Scan(Range{KeysOnly: true}, func(e Entry) (bool, error) {
			_, err := e.AppendValue(nil)
			return true, err
		})
		if !errors.Is(err, errKeysOnly) {
			t.Errorf("got %v, want errKeysOnly", err)
		}
	})
}

func TestAppendValueAppends(t *testing.T) {
	both(t, func(t *testing.T, s Store) {
		set(t, s, "a", "1", "b", strings.Repeat("2", 2000))
		var all []byte
		err := s.Scan(Range{}, func(e Entry) (bool, error) {
			var err error
			all, err = e.AppendValue(append(all, e.Key...))
			return true, err
		})
		if err != nil {
			t.Fatal(err)
		}
		expect(t, "appended", string(all), "a1b"+strings.Repeat("2", 2000))
	})
}

// A scan may read from the same store, and writes of others do not disturb it.
func TestScanSeesOneState(t *testing.T) {
	both(t, func(t *testing.T, s Store) {
		set(t, s, "a", "1", "b", "1", "c", "1")
		var seen []string
		err := s.Scan(Range{}, func(e Entry) (bool, error) {
			if len(seen) == 0 {
				written := make(chan struct{})
				go func() {
					defer close(written)
					set(t, s, "b", "2", "bb", "2")
					remove(t, s, "c")
				}()
				<-written
			}
			now, err := s.Get([]byte("b"))
			if err != nil || string(now) != "2" {
				t.Errorf("Get in a scan: %q, %v", now, err)
			}
			v, err := e.AppendValue(nil)
			seen = append(seen, string(e.Key)+string(v))
			return true, err
		})
		if err != nil {
			t.Fatal(err)
		}
		expect(t, "seen", strings.Join(seen, " "), "a1 b1 c1")
	})
}

func TestVersionsRise(t *testing.T) {
	both(t, func(t *testing.T, s Store) {
		versions := func() map[string]uint64 {
			found := map[string]uint64{}
			err := s.Scan(Range{KeysOnly: true}, func(e Entry) (bool, error) {
				found[string(e.Key)] = e.Version
				return true, nil
			})
			if err != nil {
				t.Fatal(err)
			}
			return found
		}
		set(t, s, "a", "1", "b", "1")
		first := versions()
		set(t, s, "b", "2", "c", "2")
		second := versions()
		if first["a"] == 0 || first["a"] != first["b"] {
			t.Errorf("the entries of one commit have versions %v", first)
		}
		if second["a"] != first["a"] || second["b"] <= first["b"] || second["b"] != second["c"] {
			t.Errorf("versions %v and then %v", first, second)
		}
	})
}

// Commit several batches without waiting; each writes the same keys with its number.
func TestCommitsInFlightTakeEffectInOrder(t *testing.T) {
	both(t, func(t *testing.T, s Store) {
		const commits, keys = 400, 20
		var (
			wg    sync.WaitGroup
			order []int
			busy  sync.Mutex
		)
		for i := range commits {
			wg.Add(1)
			b := numbered(i, keys, 30+(i%3)*2000)
			s.Commit(b, func(err error) {
				defer wg.Done()
				if err != nil {
					t.Errorf("commit %d: %v", i, err)
				}
				if !busy.TryLock() {
					t.Error("two done functions at once")
					return
				}
				order = append(order, i)
				busy.Unlock()
			})
		}
		wg.Wait()
		if !slices.IsSorted(order) || len(order) != commits {
			t.Errorf("done in the order %v", order)
		}
		for k := range keys {
			v, err := s.Get(fmt.Appendf(nil, "key%d", k))
			if err != nil || !bytes.HasPrefix(v, fmt.Appendf(nil, "%06d", commits-1)) {
				t.Errorf("key%d is %.10q, %v; want the last commit", k, v, err)
			}
		}
	})
}

func numbered(i, keys, size int) *Batch {
	b := &Batch{}
	for k := range keys {
		v := bytes.Repeat([]byte{'x'}, size)
		copy(v, fmt.Sprintf("%06d", i))
		b.Set(fmt.Appendf(nil, "key%d", k), v)
	}
	return b
}

// Readers run beside commits that each set all keys to one number: whoever sees two
// numbers saw half a commit, and who starts after done sees at least its number.
func TestCommitIsAtomicForReaders(t *testing.T) {
	both(t, func(t *testing.T, s Store) {
		const commits, keys = 300, 30
		commit(t, s, numbered(0, keys, 30))
		var readers sync.WaitGroup
		stop := make(chan struct{})
		var mu sync.Mutex
		stored := 0
		atLeast := func() int { mu.Lock(); defer mu.Unlock(); return stored }
		for reader := range 3 {
			reverse := reader == 1
			readers.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					least := atLeast()
					first, n := "", 0
					err := s.Scan(Range{Reverse: reverse}, func(e Entry) (bool, error) {
						v, err := e.AppendValue(nil)
						if err != nil {
							return false, err
						}
						number := string(v[:6])
						if first == "" {
							first = number
						}
						if number != first {
							t.Errorf("a scan saw commits %s and %s", first, number)
						}
						n++
						return true, nil
					})
					if err != nil || n != keys {
						t.Errorf("scan: %d keys, %v", n, err)
						return
					}
					if first < fmt.Sprintf("%06d", least) {
						t.Errorf("scan saw commit %s after %d was done", first, least)
					}
				}
			})
		}
		var wg sync.WaitGroup
		for i := 1; i <= commits; i++ {
			wg.Add(1)
			s.Commit(numbered(i, keys, 30+i%2*2000), func(err error) {
				defer wg.Done()
				if err != nil {
					t.Errorf("commit: %v", err)
				}
				mu.Lock()
				stored = i
				mu.Unlock()
			})
		}
		wg.Wait()
		close(stop)
		readers.Wait()
	})
}

func TestBytesAreTheCallersAfterDone(t *testing.T) {
	both(t, func(t *testing.T, s Store) {
		key, value, large := []byte("key"), []byte("value"), bytes.Repeat([]byte("x"), 5000)
		var b Batch
		b.Set(key, value)
		b.Set([]byte("large"), large)
		commit(t, s, &b)
		clear(key)
		clear(value)
		clear(large)
		expectGet(t, s, "key", "value")
		expectGet(t, s, "large", strings.Repeat("x", 5000))

		got, err := s.Get([]byte("key"))
		if err != nil {
			t.Fatal(err)
		}
		clear(got)
		expectGet(t, s, "key", "value")

		b.Reset()
		b.Set([]byte("second"), []byte("use"))
		commit(t, s, &b)
		expectGet(t, s, "second", "use")
		expectGet(t, s, "key", "value")
	})
}

func TestBatchBeyondLimits(t *testing.T) {
	both(t, func(t *testing.T, s Store) {
		l := s.Limits()
		large := make([]byte, 1<<20)
		small := make([]byte, 1000)
		for name, fill := range map[string]func(b *Batch, i int){
			"entries": func(b *Batch, i int) { b.Delete(fmt.Appendf(nil, "%d", i)) },
			"bytes":   func(b *Batch, i int) { b.Set(fmt.Appendf(nil, "%d", i), large) },
			"index":   func(b *Batch, i int) { b.Set(fmt.Appendf(nil, "%d", i), small) },
		} {
			var b Batch
			for i := 0; l.Admits(&b); i++ {
				fill(&b, i)
			}
			if err := tryCommit(s, &b); !errors.Is(err, ErrTooLarge) {
				t.Errorf("%s: %v, want ErrTooLarge", name, err)
			}
			expect(t, name+" afterwards", dump(t, s, Range{KeysOnly: true}), "")
		}
		set(t, s, "a", "still works")
		expectGet(t, s, "a", "still works")
	})
}

// What the limits admit is stored, up to the last operation, also when the store adds
// its recovery point to the transaction.
func TestBatchAtLimits(t *testing.T) {
	both(t, func(t *testing.T, s Store) {
		l := s.Limits()
		key := func(i, size int) []byte {
			k := bytes.Repeat([]byte{'k'}, size)
			copy(k, fmt.Sprintf("%05d", i))
			return k
		}
		for name, fill := range map[string]func(b *Batch, i int){
			"most entries":  func(b *Batch, i int) { b.Set(key(i, 5), []byte("x")) },
			"large values":  func(b *Batch, i int) { b.Set(key(i, 10), make([]byte, 1<<20-100)) },
			"largest value": func(b *Batch, i int) { b.Set(key(i, 10), make([]byte, l.Bytes-10)) },
			"at threshold":  func(b *Batch, i int) { b.Set(key(i, 200), make([]byte, inlineThreshold)) },
			"inline":        func(b *Batch, i int) { b.Set(key(i, 100), make([]byte, inlineThreshold-1)) },
			"long keys":     func(b *Batch, i int) { b.Set(key(i, maxKeySize), make([]byte, 1)) },
			"deletions":     func(b *Batch, i int) { b.Delete(key(i, 240)) },
		} {
			var b Batch
			for i := 0; l.Admits(&b); i++ {
				fill(&b, i)
			}
			b.Truncate(b.Len() - 1)
			if !l.Admits(&b) {
				t.Fatalf("%s: Truncate did not take back the last operation", name)
			}
			if err := s.Sync(); err != nil {
				t.Fatal(err)
			}
			if err := tryCommit(s, &b); err != nil {
				t.Errorf("%s (%d operations, %d bytes, %d index): %v", name, b.Len(), b.Bytes(), b.Index(), err)
			}
		}
	})
}

func TestBadArguments(t *testing.T) {
	both(t, func(t *testing.T, s Store) {
		for _, c := range []struct {
			key, value []byte
			want       error
		}{
			{nil, []byte("v"), errKeySize},
			{[]byte{}, []byte("v"), errKeySize},
			{make([]byte, 1025), []byte("v"), errKeySize},
			{[]byte("k"), nil, errEmptyValue},
			{[]byte("k"), []byte{}, errEmptyValue},
			{[]byte("!recovery"), []byte("v"), errReservedKey},
			{[]byte("!badger!x"), []byte("v"), errReservedKey},
		} {
			var b Batch
			b.Set([]byte("good"), []byte("v"))
			b.Set(c.key, c.value)
			if err := tryCommit(s, &b); !errors.Is(err, c.want) {
				t.Errorf("Set(%.20q, %q): %v, want %v", c.key, c.value, err, c.want)
			}
			expectGone(t, s, "good")
		}
		set(t, s, strings.Repeat("k", 1024), "the longest key")
		expectGet(t, s, strings.Repeat("k", 1024), "the longest key")
	})
}

func TestBatchCounts(t *testing.T) {
	var b Batch
	b.Set([]byte("key"), make([]byte, 10))
	b.Delete([]byte("gone"))
	b.Set([]byte("large"), make([]byte, 5000))
	if b.Len() != 3 || b.Bytes() != 13+4+5005 || b.Index() != (3+10+12)+(4+12)+(5+12+12) {
		t.Errorf("Len %d, Bytes %d, Index %d", b.Len(), b.Bytes(), b.Index())
	}
	b.Truncate(5)
	b.Truncate(2)
	if b.Len() != 2 || b.Bytes() != 17 || b.Index() != 25+16 || b.large {
		t.Errorf("truncated: Len %d, Bytes %d, Index %d", b.Len(), b.Bytes(), b.Index())
	}
	b.Reset()
	if b.Len() != 0 || b.Bytes() != 0 || b.Index() != 0 {
		t.Errorf("reset: Len %d, Bytes %d, Index %d", b.Len(), b.Bytes(), b.Index())
	}
}

func TestNewStoreIsClean(t *testing.T) {
	both(t, func(t *testing.T, s Store) {
		if got := s.Recovery(); !got.Clean {
			t.Errorf("Recovery() = %+v, want clean", got)
		}
		if err := s.Room(1<<20, false); err != nil {
			t.Errorf("Room: %v", err)
		}
	})
}

func TestSyncBesideCommits(t *testing.T) {
	both(t, func(t *testing.T, s Store) {
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for range 5 {
					if err := s.Sync(); err != nil {
						t.Errorf("Sync: %v", err)
					}
				}
			})
		}
		for i := range 100 {
			wg.Add(1)
			s.Commit(numbered(i, 3, 2000), func(err error) {
				if err != nil {
					t.Errorf("Commit: %v", err)
				}
				wg.Done()
			})
		}
		wg.Wait()
	})
}

func TestReclaimKeepsWhatIsThere(t *testing.T) {
	both(t, func(t *testing.T, s Store) {
		set(t, s, "a", "1", "b", strings.Repeat("2", 3000), "c", "3")
		remove(t, s, "a")
		if err := s.Reclaim(context.Background()); err != nil {
			t.Fatalf("Reclaim: %v", err)
		}
		expect(t, "all", dump(t, s, Range{}), "b="+strings.Repeat("2", 3000)+" c=3")
		set(t, s, "d", "4")
		expectGet(t, s, "d", "4")

		ended, cancel := context.WithCancel(context.Background())
		cancel()
		if err := s.Reclaim(ended); !errors.Is(err, context.Canceled) {
			t.Errorf("Reclaim with an ended context: %v", err)
		}
	})
}

func TestClosedStore(t *testing.T) {
	both(t, func(t *testing.T, s Store) {
		set(t, s, "a", "1")
		var closers sync.WaitGroup
		for range 4 {
			closers.Go(func() {
				if err := s.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
			})
		}
		closers.Wait()

		var b Batch
		b.Set([]byte("b"), []byte("2"))
		_, getErr := s.Get([]byte("a"))
		_, sizeErr := s.Size()
		for name, err := range map[string]error{
			"Commit":  tryCommit(s, &b),
			"Get":     getErr,
			"Scan":    s.Scan(Range{}, func(Entry) (bool, error) { return true, nil }),
			"Room":    s.Room(1, true),
			"Sync":    s.Sync(),
			"Reclaim": s.Reclaim(context.Background()),
			"Size":    sizeErr,
		} {
			if !errors.Is(err, ErrClosed) {
				t.Errorf("%s after Close: %v, want ErrClosed", name, err)
			}
		}
	})
}

// Close waits for commits in flight and scans; a scan may still read meanwhile, or
// learn that the store is closed, but never hangs.
func TestCloseWaits(t *testing.T) {
	both(t, func(t *testing.T, s Store) {
		set(t, s, "a", "1")
		inScan, goOn, scanned := make(chan struct{}), make(chan struct{}), make(chan struct{})
		go func() {
			defer close(scanned)
			err := s.Scan(Range{}, func(e Entry) (bool, error) {
				close(inScan)
				<-goOn
				if _, err := s.Get(e.Key); err != nil && !errors.Is(err, ErrClosed) {
					t.Errorf("Get in a scan while the store closes: %v", err)
				}
				v, err := e.AppendValue(nil)
				if string(v) != "1" {
					t.Errorf("value %q, %v while the store closes", v, err)
				}
				return true, err
			})
			if err != nil {
				t.Errorf("Scan: %v", err)
			}
		}()
		<-inScan
		var outcomes sync.WaitGroup
		for i := range 50 {
			outcomes.Add(1)
			s.Commit(numbered(i, 3, 2000), func(err error) {
				if err != nil {
					t.Errorf("commit before Close: %v", err)
				}
				outcomes.Done()
			})
		}
		closed := make(chan error)
		go func() { closed <- s.Close() }()
		close(goOn)
		if err := <-closed; err != nil {
			t.Errorf("Close: %v", err)
		}
		outcomes.Wait()
		<-scanned
	})
}
