package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/samsa-go/samsa/internal/vfs/vfstest"
)

// TestModel compares a store with a plain map over random lives of it.
func TestModel(t *testing.T) {
	for _, c := range constructors {
		t.Run(c.name, func(t *testing.T) {
			rapid.Check(t, func(rt *rapid.T) {
				m := &model{want: map[string][]byte{}}
				switch c.name {
				case "simulated disk":
					disk := vfstest.NewDisk(0)
					m.reopened = func() (Store, error) { return openDisk(disk, ".", Options{fileSize: 20_000}) }
				case "disk":
					dir, err := os.MkdirTemp("", "model")
					if err != nil {
						rt.Fatal(err)
					}
					defer func() { _ = os.RemoveAll(dir) }()
					m.reopened = func() (Store, error) { return Open(dir, Options{fileSize: 20_000}) }
				}
				m.open(rt)
				defer func() { _ = m.store.Close() }()
				rt.Repeat(map[string]func(*rapid.T){
					"commit":  m.commit,
					"get":     m.get,
					"scan":    m.scan,
					"reopen":  m.reopen,
					"sync":    m.sync,
					"reclaim": m.reclaim,
				})
			})
		})
	}
}

type model struct {
	reopened func() (Store, error) // nil: in memory
	store    Store
	want     map[string][]byte
}

func (m *model) open(t *rapid.T) {
	if m.reopened == nil {
		m.store = OpenMemory()
		return
	}
	s, err := m.reopened()
	if err != nil {
		t.Fatal(err)
	}
	m.store = s
}

// Few keys, so that they meet; some are prefixes of others.
var keys = rapid.StringMatching(`[a-c\xff]{1,3}`)

func (m *model) draw(t *rapid.T) *Batch {
	var b Batch
	for range rapid.IntRange(1, 8).Draw(t, "operations") {
		key := keys.Draw(t, "key")
		if rapid.Bool().Draw(t, "delete") {
			b.Delete([]byte(key))
			delete(m.want, key)
			continue
		}
		size := rapid.SampledFrom([]int{1, 100, 1023, 1024, 1025, 5000}).Draw(t, "size")
		value := bytes.Repeat([]byte{rapid.Byte().Draw(t, "byte")}, size)
		b.Set([]byte(key), value)
		m.want[key] = value
	}
	return &b
}

func (m *model) commit(t *rapid.T) {
	if err := tryCommit(m.store, m.draw(t)); err != nil {
		t.Fatal(err)
	}
}

func (m *model) get(t *rapid.T) {
	key := keys.Draw(t, "key")
	got, err := m.store.Get([]byte(key))
	want, ok := m.want[key]
	if ok != (err == nil) || (err != nil && !errors.Is(err, ErrNotFound)) || !bytes.Equal(got, want) {
		t.Fatalf("Get(%q): %d bytes, %v; want %d bytes, %v", key, len(got), err, len(want), ok)
	}
}

func (m *model) scan(t *rapid.T) {
	bound := rapid.OneOf(rapid.Just(""), keys)
	r := Range{
		From:    []byte(bound.Draw(t, "from")),
		To:      []byte(bound.Draw(t, "to")),
		Reverse: rapid.Bool().Draw(t, "reverse"),
	}
	m.compare(t, r)
}

func (m *model) compare(t *rapid.T, r Range) {
	var want []string
	for key := range m.want {
		if key >= string(r.From) && (len(r.To) == 0 || key < string(r.To)) {
			want = append(want, key)
		}
	}
	slices.Sort(want)
	if r.Reverse {
		slices.Reverse(want)
	}
	var got []string
	err := m.store.Scan(r, func(e Entry) (bool, error) {
		got = append(got, string(e.Key))
		value, err := e.AppendValue(nil)
		if err == nil && !bytes.Equal(value, m.want[string(e.Key)]) {
			err = fmt.Errorf("value of %q has %d bytes", e.Key, len(value))
		}
		return true, err
	})
	if err != nil || !slices.Equal(got, want) {
		t.Fatalf("Scan(%+v): %q, %v; want %q", r, got, err, want)
	}
}

func (m *model) reopen(t *rapid.T) {
	if m.reopened == nil {
		t.Skip("memory does not last")
	}
	if err := m.store.Close(); err != nil {
		t.Fatal(err)
	}
	m.open(t)
	m.compare(t, Range{})
}

func (m *model) sync(t *rapid.T) {
	if err := m.store.Sync(); err != nil {
		t.Fatal(err)
	}
}

func (m *model) reclaim(t *rapid.T) {
	if rapid.IntRange(0, 3).Draw(t, "seldom") > 0 {
		t.Skip("not now")
	}
	if err := m.store.Reclaim(context.Background()); err != nil {
		t.Fatal(err)
	}
	m.compare(t, Range{})
}
