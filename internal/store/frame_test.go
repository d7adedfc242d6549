package store

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/samsa-go/samsa/internal/vfs/vfstest"
)

// flat returns a frame as it is written.
func flat(f *frame) []byte { return slices.Concat(f.buffers...) }

func newFrame(ops ...op) *frame {
	f := new(frame)
	f.begin()
	for _, o := range ops {
		f.add(o)
	}
	f.end(7, 1000, 5, 42)
	return f
}

func TestFrameIsReadBack(t *testing.T) {
	large := bytes.Repeat([]byte("L"), inlineThreshold)
	small := large[:inlineThreshold-1]
	ops := []op{
		{key: []byte("a"), value: []byte("1")}, {key: []byte("large"), value: large}, {key: []byte("gone"), remove: true},
		{key: bytes.Repeat([]byte("k"), maxKeySize), value: small}, {key: []byte("large too"), value: append(large, 'x')},
	}
	f := newFrame(ops...)
	b := append(flat(f), "what is behind it"...)
	if f.size() != f.length || f.length != len(b)-17 {
		t.Errorf("size %d, length %d, of %d bytes", f.size(), f.length, len(b)-17)
	}
	h, err := checkFrame(b)
	if err != nil || h.commit != 7 || h.ms != 1000 || h.synced != 5 || h.before != 42 || h.length != f.length {
		t.Fatalf("header %+v, %v", h, err)
	}
	n := 0
	err = readOps(b, h, func(kind byte, i *item) error {
		value := i.value
		if i.large {
			value = b[i.at : i.at+i.size]
		}
		if !sameItem(i, f.items[n]) {
			t.Errorf("operation %d is %+v, written as %+v", n, i, f.items[n])
		}
		if !bytes.Equal(i.key, ops[n].key) || !bytes.Equal(value, ops[n].value) || (kind == opDelete) != ops[n].remove {
			t.Errorf("operation %d is %d of %.10q", n, kind, i.key)
		}
		n++
		return nil
	})
	if err != nil || n != len(ops) {
		t.Errorf("%d operations, %v", n, err)
	}
	before := h.hash
	if after := rechain(b, h, 43); after == before {
		t.Error("another frame before it does not change the hash")
	}
	if h, err = checkFrame(b); err != nil || h.before != 43 {
		t.Errorf("after another chain: %+v, %v", h, err)
	}
}

// No flipped bit of a frame goes unnoticed, and neither does a missing end.
func TestFrameDamageIsFound(t *testing.T) {
	b := flat(newFrame(op{key: []byte("a"), value: []byte("1")}, op{key: []byte("b"), value: make([]byte, 2000)}, op{key: []byte("c"), remove: true}))
	for i := range b {
		for bit := range 8 {
			b[i] ^= 1 << bit
			if h, err := checkFrame(b); err == nil {
				t.Errorf("bit %d of byte %d: %+v", bit, i, h)
			}
			b[i] ^= 1 << bit
		}
		if _, err := checkFrame(b[:i]); err == nil {
			t.Errorf("the first %d bytes are whole", i)
		}
	}
}

func TestFileHeader(t *testing.T) {
	want := fileHeader{rank: 3, first: 100, seed: 77}
	b := want.append(nil)
	if got, ok := parseFileHeader(b); !ok || got != want || len(b) != fileHeaderSize {
		t.Errorf("got %+v, %t", got, ok)
	}
	for i := range b {
		b[i]++
		if _, ok := parseFileHeader(b); ok {
			t.Errorf("byte %d is not checked", i)
		}
		b[i]--
	}
}

// The largest batch makes a frame that is believed.
func TestLargestFrame(t *testing.T) {
	f := new(frame)
	f.begin()
	l := storeLimits()
	var b Batch
	for i := 0; ; i++ {
		o := op{key: fmt.Appendf(nil, "%05d", i), value: make([]byte, l.Bytes/l.Entries-5)}
		b.add(o)
		if !l.Admits(&b) {
			break
		}
		f.add(o)
	}
	f.end(1, 1, 0, 0)
	if _, err := checkFrame(flat(f)); err != nil || f.length > maxFrameSize {
		t.Errorf("a frame of %d bytes: %v", f.length, err)
	}
}

func FuzzFrame(f *testing.F) {
	f.Add(flat(newFrame(op{key: []byte("a"), value: []byte("1")}, op{key: []byte("b"), value: make([]byte, 2000)})), true)
	f.Add(flat(newFrame(op{key: []byte("c"), remove: true})), false)
	f.Fuzz(func(t *testing.T, b []byte, seal bool) {
		if h, err := parseFrameHeader(b); seal && err == nil && len(b) >= frameHeaderSize+h.ops {
			rechain(b, h, h.before) // so that what is behind the hash is reached
		}
		h, err := checkFrame(b)
		if err != nil {
			return
		}
		made := new(frame)
		made.begin()
		err = readOps(b, h, func(kind byte, i *item) error {
			switch kind {
			case opDelete:
				made.add(op{key: i.key, remove: true})
			case opSet:
				made.add(op{key: i.key, value: i.value})
			case opLarge:
				made.add(op{key: i.key, value: b[i.at : i.at+i.size]})
			case opBegin:
				made.addBegin([bootSize]byte(i.value))
			case opEnd:
				made.addEnd()
			}
			return nil
		})
		if err != nil {
			t.Fatalf("a frame that is whole cannot be read: %v", err)
		}
		made.end(h.commit, h.ms, h.synced, h.before)
		if again, err := checkFrame(flat(made)); err != nil || again.commit != h.commit {
			t.Errorf("written anew it is %+v, %v", again, err)
		}
	})
}

// Frames are read one after the other whatever their size, and wherever the ends of what is read at once lie.
func TestEachFrame(t *testing.T) {
	s := openNew(t, vfstest.NewDisk(0), ".")
	defer closeStore(t, s)
	var want []int
	for i, size := range []int{1, readAhead - 200, 100, readAhead, 3 * readAhead, 5, 2000, 2*readAhead - 48, 1} {
		var b Batch
		b.Set([]byte{'k', byte(i)}, bytes.Repeat([]byte{byte(i + 1)}, size))
		if err := s.Commit(&b); err != nil {
			t.Fatal(err)
		}
		want = append(want, size)
	}
	var got []int
	for _, f := range s.version.files {
		err := f.each(func(_ int64, frame []byte, h frameHeader) error {
			return readOps(frame, h, func(kind byte, i *item) error {
				if kind == opSet || kind == opLarge {
					got = append(got, i.valueSize())
				}
				return nil
			})
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	expect(t, "sizes", fmt.Sprint(got), fmt.Sprint(want))
}
