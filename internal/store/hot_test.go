package store

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"testing"

	"pgregory.net/rapid"
)

// Snapshots of any age read the application's keys as they were, whatever was written, read
// by others and kept in memory since.
func TestHotKeysProperty(t *testing.T) {
	s := openTemp(t, t.TempDir(), Options{})
	defer closeStore(t, s)
	run := 0
	rapid.Check(t, func(t *rapid.T) {
		run++
		key := func(n int) []byte { return fmt.Appendf(nil, "a/%d/%d", run, n) }
		type view struct {
			Snapshot
			want map[int][]byte
		}
		now := make(map[int][]byte)
		var views []view
		defer func() {
			for _, v := range views {
				v.Close()
			}
		}()
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			n := rapid.IntRange(0, 3).Draw(t, "key")
			switch what := rapid.SampledFrom([]string{"set", "delete", "view", "get", "get"}).Draw(t, "what"); what {
			case "set", "delete":
				var b Batch
				if what == "set" {
					now[n] = bytes.Repeat([]byte{byte(len(views))}, rapid.SampledFrom([]int{1, 9, 1500}).Draw(t, "size"))
					b.Set(key(n), now[n])
				} else {
					delete(now, n)
					b.Delete(key(n))
				}
				done := make(chan error, 1)
				s.Commit(&b, func(err error) { done <- err })
				if err := <-done; err != nil {
					t.Fatal(err)
				}
			case "view":
				v, err := s.Snapshot()
				if err != nil {
					t.Fatal(err)
				}
				views = append(views, view{v, maps.Clone(now)})
			case "get":
				if len(views) == 0 {
					continue
				}
				v := views[rapid.IntRange(0, len(views)-1).Draw(t, "view")]
				got, err := v.Get(key(n))
				if want, ok := v.want[n]; ok != (err == nil) || !bytes.Equal(got, want) || err != nil && !errors.Is(err, ErrNotFound) {
					t.Fatalf("key %d is %.10q, %v; want %.10q", n, got, err, want)
				}
				clear(got) // it is ours
			}
		}
	})
}

func TestHotStaysWithinItsBounds(t *testing.T) {
	var h hot
	for i := range 30_000 {
		var b Batch
		b.Set(fmt.Appendf(nil, "a%d", i), bytes.Repeat([]byte{1}, i%1000+1))
		b.Set(fmt.Appendf(nil, "b%d", i), []byte{1}) // nobody's but ours
		h.apply(&b, uint64(i))
		if i%3 == 0 {
			b.Reset()
			b.Delete(fmt.Appendf(nil, "a%d", i))
			h.apply(&b, uint64(i))
		}
	}
	bytes := 0
	for key, e := range h.entries {
		if key[0] != 'a' {
			t.Fatalf("%q is kept", key)
		}
		bytes += len(key) + len(e.value) + hotOverhead
	}
	if bytes != h.bytes || bytes > hotBytes || bytes < hotBytes/2 {
		t.Errorf("%d bytes are kept, %d are counted, at most %d may be", bytes, h.bytes, hotBytes)
	}
}

// What was read before a commit, and is learnt after it, is old.
func TestHotLearnsNothingOld(t *testing.T) {
	var h hot
	var b Batch
	b.Set([]byte("a"), []byte("new"))
	h.apply(&b, 7)
	h.learn([]byte("a"), []byte("old"), 6)
	h.learn([]byte("ab"), []byte("old"), 6)
	if v, known, err := h.get([]byte("a"), 7); string(v) != "new" || !known || err != nil {
		t.Errorf("got %q, %v, %v", v, known, err)
	}
	if _, known, _ := h.get([]byte("a"), 6); known {
		t.Error("it is known as of before it was written")
	}
	if _, known, _ := h.get([]byte("ab"), 7); known {
		t.Error("what may have been changed since was learnt")
	}
	h.learn([]byte("ab"), nil, 7)
	if _, known, err := h.get([]byte("ab"), 9); !known || !errors.Is(err, ErrNotFound) {
		t.Errorf("got %v, %v", known, err)
	}
}
