package store

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestBatchBeyondLimits(t *testing.T) {
	both(t, func(t *testing.T, s Store) {
		l := s.Limits()
		large := make([]byte, 1<<20)
		for name, fill := range map[string]func(b *Batch, i int){
			"entries": func(b *Batch, i int) { b.Delete(fmt.Appendf(nil, "%d", i)) },
			"bytes":   func(b *Batch, i int) { b.Set(fmt.Appendf(nil, "%d", i), large) },
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

// What the limits admit is stored, up to the last operation.
func TestBatchAtLimits(t *testing.T) {
	both(t, func(t *testing.T, s Store) {
		l := s.Limits()
		key := func(i, size int) []byte {
			k := bytes.Repeat([]byte{'k'}, size)
			copy(k, fmt.Sprintf("%05d", i))
			return k
		}
		zeros := make([]byte, l.Bytes)
		for name, fill := range map[string]func(b *Batch, i int){
			"most entries":  func(b *Batch, i int) { b.Set(key(i, 5), []byte("x")) },
			"large values":  func(b *Batch, i int) { b.Set(key(i, 10), zeros[:1<<20-100]) },
			"largest value": func(b *Batch, i int) { b.Set(key(i, 10), zeros[:l.Bytes-10]) },
			"at threshold":  func(b *Batch, i int) { b.Set(key(i, 200), zeros[:inlineThreshold]) },
			"inline":        func(b *Batch, i int) { b.Set(key(i, 100), zeros[:inlineThreshold-1]) },
			"long keys":     func(b *Batch, i int) { b.Set(key(i, maxKeySize), zeros[:1]) },
			"deletions":     func(b *Batch, i int) { b.Delete(key(i, 240)) },
		} {
			var b, more Batch
			fill(&more, 0)
			for i := 0; l.Admits(&more); i++ {
				fill(&b, i)
				fill(&more, i+1)
			}
			if err := s.Sync(); err != nil {
				t.Fatal(err)
			}
			if err := tryCommit(s, &b); err != nil {
				t.Errorf("%s (%d operations, %d bytes): %v", name, b.Len(), b.Bytes(), err)
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
			{[]byte("!"), []byte("v"), errReservedKey},
			{RebuiltKey(), []byte("v"), errReservedKey},
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
	if b.Len() != 3 || b.Bytes() != 13+4+5005 {
		t.Errorf("Len %d, Bytes %d", b.Len(), b.Bytes())
	}
	var all Batch
	all.Set([]byte("first"), []byte("1"))
	all.Append(&b)
	if all.Len() != 4 || all.Bytes() != b.Bytes()+6 {
		t.Errorf("appended: Len %d, Bytes %d", all.Len(), all.Bytes())
	}
	b.Reset()
	if b.Len() != 0 || b.Bytes() != 0 {
		t.Errorf("reset: Len %d, Bytes %d", b.Len(), b.Bytes())
	}
}
