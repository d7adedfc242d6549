package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
)

// newManifest returns a manifest with that many tables in each of three runs, and as many files.
func newManifest(r *rand.Rand, tables int) *manifest {
	m := &manifest{nextTable: 1, nextFile: 1, waste: r.Int64N(1 << 26)}
	for range 3 {
		var run []tableInfo
		key := []byte{0}
		for range tables {
			first := append(bytes.Clone(key), 1)
			last := append(bytes.Clone(first), make([]byte, r.IntN(20))...)
			key = []byte{first[0] + byte(len(run)%2), 255, byte(len(run) >> 8), byte(len(run))}
			if bytes.Compare(key, last) < 0 {
				key = append(bytes.Clone(last), 0)
			}
			run = append(run, tableInfo{m.nextTable, 1 + r.Int64N(1<<22), r.Uint64(), 1 + r.IntN(1<<20), first, last})
			m.nextTable++
		}
		if len(run) > 0 {
			m.runs = append(m.runs, run)
		}
	}
	for range 1 + tables {
		m.nextFile += uint64(r.IntN(3))
		m.files = append(m.files, fileInfo{m.nextFile, r.Int64N(1 << 26), r.Uint64(), r.Uint64(), counts{r.Int64N(1 << 26), r.Int64N(1 << 26), r.Int64N(1 << 26)}})
		m.nextFile++
	}
	m.position = position{m.nextFile - 1, r.Int64N(1 << 26), 1 + r.Uint64N(math.MaxUint64), r.Uint64()}
	return m
}

func TestManifestIsReadBack(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for i := range 100 {
		m := newManifest(r, i)
		m.sequence = r.Uint64()
		if err := m.check(); err != nil {
			t.Fatal(err)
		}
		b := m.encode()
		got, err := decodeManifest(append(bytes.Clone(b), "what was longer once"...))
		if err != nil || !reflect.DeepEqual(got, m) {
			t.Fatalf("got %+v, %v, want %+v", got, err, m)
		}
		m.sequence++
		setSequence(b, m.sequence)
		if !bytes.Equal(b, m.encode()) {
			t.Fatal("the sequence is somewhere else")
		}
	}
}

// No flipped bit goes unnoticed, and neither does a missing end.
func TestManifestDamageIsFound(t *testing.T) {
	b := newManifest(rand.New(rand.NewPCG(1, 2)), 3).encode()
	for i := range b {
		for bit := range 8 {
			b[i] ^= 1 << bit
			if _, err := decodeManifest(b); !errors.Is(err, errManifest) {
				t.Errorf("bit %d of byte %d: %v", bit, i, err)
			}
			b[i] ^= 1 << bit
		}
		if _, err := decodeManifest(b[:i]); !errors.Is(err, errManifest) {
			t.Errorf("the first %d bytes: %v", i, err)
		}
	}
}

// sealed gives b the length and the hash that it should have.
func sealed(b []byte) []byte {
	binary.BigEndian.PutUint32(b[12:], uint32(len(b)-manifestHeaderSize))
	binary.BigEndian.PutUint64(b[16:], hashWithout(b, 16))
	return b
}

func TestManifestOfAnotherVersion(t *testing.T) {
	b := newManifest(rand.New(rand.NewPCG(1, 2)), 3).encode()
	b[11] = manifestVersion + 1
	if _, err := decodeManifest(b); !errors.Is(err, errManifest) {
		t.Errorf("damaged: %v", err)
	}
	if _, err := decodeManifest(sealed(append(b, "what it has more"...))); !errors.Is(err, ErrNewerFormat) {
		t.Errorf("newer: %v", err)
	}
	b[11] = 0
	if _, err := decodeManifest(sealed(b)); !errors.Is(err, errManifest) {
		t.Errorf("of no version: %v", err)
	}
}

// What no store can have is neither written nor read.
func TestManifestIsChecked(t *testing.T) {
	for what, change := range map[string]func(m *manifest){
		"no file":               func(m *manifest) { m.position.file = 0 },
		"no commit":             func(m *manifest) { m.position.commit = 0 },
		"a file to come":        func(m *manifest) { m.nextFile = m.position.file },
		"offset":                func(m *manifest) { m.position.offset = -1 },
		"no position":           func(m *manifest) { m.position = position{} },
		"files in disorder":     func(m *manifest) { m.files[0], m.files[1] = m.files[1], m.files[0] },
		"a file twice":          func(m *manifest) { m.files[1].number = m.files[0].number },
		"file 0":                func(m *manifest) { m.files[0].number = 0 },
		"end":                   func(m *manifest) { m.files[0].end = -1 },
		"live":                  func(m *manifest) { m.files[0].live = -1 },
		"tombs":                 func(m *manifest) { m.files[0].tombs = -1 },
		"an empty run":          func(m *manifest) { m.runs[1] = nil },
		"a table to come":       func(m *manifest) { m.nextTable-- },
		"table 0":               func(m *manifest) { m.runs[0][0].number = 0 },
		"a table twice":         func(m *manifest) { m.runs[1][0].number = m.runs[0][0].number },
		"an empty table":        func(m *manifest) { m.runs[0][0].entries = 0 },
		"a table without bytes": func(m *manifest) { m.runs[0][0].size = 0 },
		"no key":                func(m *manifest) { m.runs[0][0].first = nil },
		"keys of a table":       func(m *manifest) { m.runs[0][1].first, m.runs[0][1].last = []byte("b"), []byte("a") },
		"keys of a run":         func(m *manifest) { m.runs[0][1].first = m.runs[0][0].last },
	} {
		m := newManifest(rand.New(rand.NewPCG(1, 2)), 3)
		change(m)
		if err := m.check(); !errors.Is(err, errManifest) {
			t.Errorf("%s: %v", what, err)
		}
		if _, err := decodeManifest(m.encode()); !errors.Is(err, errManifest) {
			t.Errorf("%s: read with %v", what, err)
		}
		if err := new(manifests).write(m); !errors.Is(err, errManifest) {
			t.Errorf("%s: written with %v", what, err)
		}
	}
}

// A number is believed only when what it counts can be there.
func TestManifestAllocatesWhatIsThere(t *testing.T) {
	header := strings.Repeat("\x00", manifestHeaderSize+8) + "\x01\x00\x01" + strings.Repeat("\x00", 8) + "\x01\x02"
	huge := string(binary.AppendUvarint(nil, 1<<40))
	for what, body := range map[string]string{
		"runs": huge, "tables": "\x01" + huge, "files": "\x00" + huge,
		"key": "\x01\x01\x01\x01" + strings.Repeat("\x00", 8) + "\x01" + huge,
	} {
		b := append([]byte(header+body), make([]byte, 100)...)
		copy(b, manifestMagic[:])
		b[11] = manifestVersion
		sealed(b)
		var err error
		if n := testing.AllocsPerRun(10, func() { _, err = decodeManifest(b) }); n > 20 || !errors.Is(err, errManifest) {
			t.Errorf("%s: %v allocations, %v", what, n, err)
		}
	}
}

func FuzzManifest(f *testing.F) {
	r := rand.New(rand.NewPCG(1, 2))
	for i := range 4 {
		f.Add(newManifest(r, i).encode()[manifestHeaderSize:])
	}
	f.Add((&manifest{nextTable: 1, nextFile: 1}).encode()[manifestHeaderSize:])
	f.Fuzz(func(t *testing.T, body []byte) {
		b := append(make([]byte, manifestHeaderSize), body...)
		copy(b, manifestMagic[:])
		b[11] = manifestVersion
		m, err := decodeManifest(sealed(b))
		if err != nil {
			if !errors.Is(err, errManifest) {
				t.Fatal(err)
			}
			return
		}
		if !bytes.Equal(m.encode(), b) { // one manifest is written in one way
			t.Fatalf("%x is read as %+v", b, m)
		}
	})
}
