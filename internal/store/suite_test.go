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

	"github.com/samsa-go/samsa/internal/vfs"
	"github.com/samsa-go/samsa/internal/vfs/vfstest"
)

// Both stores keep the same contract; every sentence of it has a test here.

var constructors = []struct {
	name string
	open func(t testing.TB) Store
}{
	{"memory", func(testing.TB) Store { return OpenMemory() }},
	{"indexed", func(testing.TB) Store { return OpenIndexed() }},
	{"disk", func(t testing.TB) Store { return openTemp(t, t.TempDir(), Options{}) }},
	{"simulated disk", func(t testing.TB) Store { return openNew(t, vfstest.NewDisk(0), ".") }},
}

func openNew(t testing.TB, fs vfs.FS, dir string) *diskStore {
	t.Helper()
	s, err := openDisk(fs, dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func openTemp(t testing.TB, dir string, opts Options) *diskStore {
	t.Helper()
	s, err := Open(dir, opts)
	if err != nil {
		t.Fatal(err)
	}
	return s.(*diskStore)
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

func tryCommit(s Store, b *Batch) error { return s.Commit(b) }

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
		if err != own { //nolint:errorlint // as it is
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

func TestAppendHeadAppendsTheBeginning(t *testing.T) {
	both(t, func(t *testing.T, s Store) {
		set(t, s, "a", "12", "b", strings.Repeat("34", 1000))
		var all []string
		err := s.Scan(Range{}, func(e Entry) (bool, error) {
			for _, n := range []int{0, 1, 3, 2000, 3000} {
				head, err := e.AppendHead(e.Key[:1:1], n)
				if err != nil {
					return false, err
				}
				all = append(all, fmt.Sprintf("%d:%.4s", len(head), head))
			}
			return true, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		expect(t, "appended", fmt.Sprint(all), "[1:a 2:a1 3:a12 3:a12 3:a12 1:b 2:b3 4:b343 2001:b343 2001:b343]")
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

func TestBytesAreTheCallersAfterCommit(t *testing.T) {
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

func TestNewStoreHasRoom(t *testing.T) {
	both(t, func(t *testing.T, s Store) {
		if err := s.Room(1<<20, false); err != nil {
			t.Errorf("Room: %v", err)
		}
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
