package store

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// everything is what a store holds, as text.
func everything(t testing.TB, s interface {
	Scan(Range, func(Entry) (bool, error)) error
}) string {
	t.Helper()
	var all strings.Builder
	err := s.Scan(Range{}, func(e Entry) (bool, error) {
		v, err := e.AppendValue(nil)
		fmt.Fprintf(&all, "%x=%x\n", e.Key, v)
		return true, err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}

func stream(t testing.TB, st Store) []byte {
	t.Helper()
	snap, err := st.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Close()
	var w bytes.Buffer
	if err := WriteStream(context.Background(), &w, snap); err != nil {
		t.Fatal(err)
	}
	return w.Bytes()
}

func setValue(t testing.TB, st Store, key string, value []byte) {
	t.Helper()
	var b Batch
	b.Set([]byte(key), value)
	if err := commitNow(st, &b); err != nil {
		t.Fatal(err)
	}
}

// filled has few and many, small and large values; large and many are more than one block
// and more than one commit hold.
func filled(t testing.TB, st Store, large, many int) {
	t.Helper()
	noise := rand.New(rand.NewPCG(1, 2))
	big := make([]byte, large)
	for i := range big {
		big[i] = byte(noise.Uint32())
	}
	setValue(t, st, "big", big)
	setValue(t, st, strings.Repeat("k", maxKeySize), []byte{0})
	for i := range many {
		setValue(t, st, fmt.Sprintf("many/%06d", i), fmt.Appendf(nil, "value %d", i))
	}
}

func TestStreamsGoFromStoreToStore(t *testing.T) {
	disk := func() Store {
		st, err := Open(filepath.Join(t.TempDir(), "data"), Options{})
		if err != nil {
			t.Fatal(err)
		}
		return st
	}
	kinds := map[string]func() Store{"disk": disk, "memory": OpenMemory}
	for from, open := range kinds {
		for to, reopen := range kinds {
			t.Run(from+" to "+to, func(t *testing.T) {
				src, dst := open(), reopen()
				defer func() { _ = src.Close(); _ = dst.Close() }()
				filled(t, src, 3*streamBlock, 20_000)
				if err := ReadStream(context.Background(), bytes.NewReader(stream(t, src)), dst); err != nil {
					t.Fatal(err)
				}
				if everything(t, dst) != everything(t, src) {
					t.Error("what was restored differs")
				}
			})
		}
	}
}

// The stream of version 2 in testdata is to stay the same for ever.
func TestStreamFormat(t *testing.T) {
	st := OpenMemory()
	defer func() { _ = st.Close() }()
	setValue(t, st, "a", []byte("one"))
	setValue(t, st, "ab", []byte("two"))
	want, err := os.ReadFile(filepath.Join("testdata", "stream-v2.hex"))
	if err != nil {
		t.Fatal(err)
	}
	got := hex.Dump(stream(t, st))
	if got != string(want) {
		t.Errorf("the format has changed:\n%s\nwant\n%s", got, want)
	}
}

// undump is the inverse of hex.Dump.
func undump(t testing.TB, dump string) []byte {
	t.Helper()
	var all []byte
	for line := range strings.Lines(dump) {
		line, _, _ = strings.Cut(line[min(len(line), 8):], "|")
		b, err := hex.DecodeString(strings.Join(strings.Fields(line), ""))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, b...)
	}
	return all
}

func TestGoldenStreamsAreRead(t *testing.T) {
	for _, name := range []string{"stream-v1.hex", "stream-v2.hex"} {
		t.Run(name, func(t *testing.T) { testGoldenStream(t, name) })
	}
}

func testGoldenStream(t *testing.T, name string) {
	dump, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	st := OpenMemory()
	defer func() { _ = st.Close() }()
	r := bytes.NewReader(append(undump(t, string(dump)), "what follows"...))
	if err := ReadStream(context.Background(), r, st); err != nil {
		t.Fatal(err)
	}
	if got := everything(t, st); got != "61=6f6e65\n6162=74776f\n" {
		t.Errorf("read\n%s", got)
	}
	if rest, _ := io.ReadAll(r); string(rest) != "what follows" {
		t.Errorf("left to read: %q", rest)
	}
}

// No byte of a stream can be lost or changed unnoticed.
func TestDamagedStreams(t *testing.T) {
	src := OpenMemory()
	defer func() { _ = src.Close() }()
	filled(t, src, 100, 10)
	whole := stream(t, src)
	read := func(b []byte) error {
		st := OpenMemory()
		defer func() { _ = st.Close() }()
		return ReadStream(context.Background(), bytes.NewReader(b), st)
	}
	for n := range len(whole) {
		if err := read(whole[:n]); !errors.Is(err, ErrBadStream) {
			t.Fatalf("cut after %d bytes: %v", n, err)
		}
		for _, mask := range []byte{0x01, 0x80} {
			bad := bytes.Clone(whole)
			bad[n] ^= mask
			if err := read(bad); !errors.Is(err, ErrBadStream) && !errors.Is(err, ErrNewerFormat) {
				t.Fatalf("byte %d changed: %v", n, err)
			}
		}
	}
	newer := bytes.Clone(whole)
	newer[len(streamMagic)+3] = streamVersion + 1
	if err := read(newer); !errors.Is(err, ErrNewerFormat) {
		t.Errorf("a newer version: %v", err)
	}
}

// A stream that says it is long does not make its reader take memory for what does not come.
func TestLongBlocksAreNotBelieved(t *testing.T) {
	head := append([]byte(streamMagic), 0, 0, 0, 1)
	for _, length := range [][]byte{{0, 0xff, 0, 0}, {0xff, 0xff, 0xff, 0xff}} {
		b := append(append(bytes.Clone(head), length...), make([]byte, 8)...)
		st := OpenMemory()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if err := ReadStream(context.Background(), bytes.NewReader(b), st); !errors.Is(err, ErrBadStream) {
			t.Error(err)
		}
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 {
			t.Errorf("%d bytes were allocated", n)
		}
		_ = st.Close()
	}
}

func TestRestoreIntoADirectory(t *testing.T) {
	src := OpenMemory()
	defer func() { _ = src.Close() }()
	filled(t, src, 2000, 100)
	whole := stream(t, src)
	fine := func(string) error { return nil }
	for name, tc := range map[string]struct {
		bytes   []byte
		prepare func(dir string) error
		check   func(dir string) error
		want    error
	}{
		"into nothing":        {whole, func(string) error { return nil }, fine, nil},
		"into deep nothing":   {whole, func(dir string) error { return os.RemoveAll(filepath.Dir(dir)) }, fine, nil},
		"into an empty one":   {whole, func(dir string) error { return os.Mkdir(dir, 0o755) }, fine, nil},
		"cut off":             {whole[:len(whole)/2], func(string) error { return nil }, fine, ErrBadStream},
		"refused by check":    {whole, func(string) error { return nil }, func(string) error { return ErrNotFound }, ErrNotFound},
		"onto a file":         {whole, func(dir string) error { return os.WriteFile(dir, nil, 0o644) }, fine, ErrNotDirectory},
		"into one that is":    {whole, func(dir string) error { return os.MkdirAll(filepath.Join(dir, "x"), 0o755) }, fine, fs.ErrExist},
		"cut off, into empty": {whole[:9], func(dir string) error { return os.Mkdir(dir, 0o755) }, fine, ErrBadStream},
	} {
		t.Run(name, func(t *testing.T) {
			parent := filepath.Join(t.TempDir(), "parent")
			dir := filepath.Join(parent, "data")
			if err := os.Mkdir(parent, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := tc.prepare(dir); err != nil {
				t.Fatal(err)
			}
			before, _ := os.ReadDir(parent)
			err := Restore(context.Background(), dir, bytes.NewReader(tc.bytes), Options{}, tc.check)
			if !errors.Is(err, tc.want) {
				t.Fatalf("%v, want %v", err, tc.want)
			}
			after, _ := os.ReadDir(parent)
			if tc.want != nil {
				if len(after) != len(before) {
					t.Errorf("it left %v", after)
				}
				return
			}
			if len(after) != 1 {
				t.Errorf("it left %v", after)
			}
			st, err := Open(dir, Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = st.Close() }()
			if everything(t, st) != everything(t, src) {
				t.Error("what was restored differs")
			}
		})
	}
}

func FuzzReadStream(f *testing.F) {
	src := OpenMemory()
	defer func() { _ = src.Close() }()
	filled(f, src, 100, 3)
	f.Add(stream(f, src))
	f.Add([]byte(streamMagic))
	f.Fuzz(func(t *testing.T, b []byte) {
		st := OpenMemory()
		defer func() { _ = st.Close() }()
		r := bytes.NewReader(b)
		err := ReadStream(context.Background(), r, st)
		switch {
		case errors.Is(err, ErrBadStream), errors.Is(err, ErrNewerFormat):
		case err != nil:
			t.Errorf("an error of no kind: %v", err)
		default: // what was read is what is written again, but for the blocks
			again := OpenMemory()
			defer func() { _ = again.Close() }()
			if err := ReadStream(context.Background(), bytes.NewReader(stream(t, st)), again); err != nil {
				t.Error(err)
			}
			if everything(t, again) != everything(t, st) {
				t.Error("it comes back as something else")
			}
		}
	})
}

// What a restore has left whose process was killed goes with the next one to the same directory. What others have or do stays.
func TestRestoreRemovesWhatWasKilled(t *testing.T) {
	parent := t.TempDir()
	for _, dir := range []string{"data.restore-17/data/values", "data.restore-18", "data.restore-19/data", "data.restore-20/else", "data.restore-x/data", "data2.restore-17/data"} {
		if err := os.MkdirAll(filepath.Join(parent, filepath.FromSlash(dir)), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	working, err := lockDir(filepath.Join(parent, "data.restore-19"), false)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = working.Close() }()
	err = Restore(context.Background(), filepath.Join(parent, "data"), bytes.NewReader(nil), Options{}, nil)
	if !errors.Is(err, ErrBadStream) {
		t.Errorf("got %v", err)
	}
	entries, err := os.ReadDir(parent)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if want := []string{"data.restore-19", "data.restore-20", "data.restore-x", "data2.restore-17"}; err != nil || !slices.Equal(names, want) {
		t.Errorf("there is %q, want %q; %v", names, want, err)
	}
}
