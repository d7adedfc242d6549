package store

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// A manifest says what of the directory counts. Fixed numbers are big endian, the others uvarints
// of the least length:
//
//	magic "samsa/m\n" | version u32 = 1 | length of the body u32 | hash u64 | body
//
//	body     sequence u64 | boot 16 |
//	         position: file, offset, commit, chain u64 | durable |
//	         next table, next file |
//	         bytes of the tables that count no more |
//	         runs: number, for each: tables: number, for each:
//	           number, size, hash u64, entries, length of first, first, length of last, last |
//	         files: number, for each: number, end, rank, first, live, tombs, dead
//
// The hash (xxhash64) covers everything but itself. It has the same place in all versions: so what
// a newer version wrote is told from what is damaged.
const (
	manifestHeaderSize = 24
	manifestVersion    = 1

	// maxManifestSize is enough for 100,000 tables whose keys are of the greatest length.
	maxManifestSize = 256 << 20

	minTableInfo = 1 + 1 + 8 + 1 + 1 + 1 + 1 + 1 // bytes that one takes
	minRun       = 1 + minTableInfo
	minFileInfo  = 7
)

var manifestMagic = [8]byte{'s', 'a', 'm', 's', 'a', '/', 'm', '\n'}

// manifest is what a checkpoint makes durable. A zero position is that of a store without a
// checkpoint.
type manifest struct {
	boot      [16]byte      // of the machine that wrote it, see opBegin
	sequence  uint64        // rises by one with every write; odd ones are in MANIFEST.1
	position  position      // frames before it are in the runs, or dead
	durable   uint64        // commits up to it were, when it was written
	waste     int64         // see version
	runs      [][]tableInfo // newest first; the tables of one in the order of their keys
	nextTable uint64        // number that no table has had
	files     []fileInfo    // value files that count, by number, up to the position's
	nextFile  uint64        // number that no value file has had
}

// fileInfo is what the manifest says of a value file.
type fileInfo struct {
	number uint64
	end    int64  // behind the last frame before the position
	rank   uint64 // see fileHeader
	first  uint64 // first commit
	counts
}

// errManifest: a slot holds no whole manifest.
var errManifest = errors.New("no whole manifest")

// check tells whether m is one that a store can have. What fails it is neither written nor
// believed.
func (m *manifest) check() error {
	p := m.position
	none := p == (position{}) && len(m.runs)+len(m.files) == 0
	if m.waste < 0 || !none && (p.file == 0 || p.file >= m.nextFile || p.offset < 0 || p.commit == 0) {
		return fmt.Errorf("%w: position %+v, next file %d, waste %d", errManifest, p, m.nextFile, m.waste)
	}
	last := uint64(0)
	for _, f := range m.files {
		if f.number <= last || f.number >= m.nextFile || f.end < 0 || f.live < 0 || f.tombs < 0 || f.dead < 0 {
			return fmt.Errorf("%w: file %+v behind file %d, next file %d", errManifest, f, last, m.nextFile)
		}
		last = f.number
	}
	known := map[uint64]bool{}
	for _, run := range m.runs {
		if len(run) == 0 {
			return fmt.Errorf("%w: a run without tables", errManifest)
		}
		var before []byte
		for _, t := range run {
			if t.number == 0 || t.number >= m.nextTable || known[t.number] {
				return fmt.Errorf("%w: number %d of a table, next table %d", errManifest, t.number, m.nextTable)
			}
			if t.size <= 0 || t.entries <= 0 || bytes.Compare(before, t.first) >= 0 || bytes.Compare(t.first, t.last) > 0 {
				return fmt.Errorf("%w: table %d: %d bytes, %d entries, keys from %q to %q behind %q", errManifest, t.number, t.size, t.entries, t.first, t.last, before)
			}
			known[t.number] = true
			before = t.last
		}
	}
	return nil
}

// encode returns m as it is written.
func (m *manifest) encode() []byte {
	b := make([]byte, manifestHeaderSize, 1<<10)
	copy(b, manifestMagic[:])
	b = binary.BigEndian.AppendUint64(b, m.sequence)
	b = append(b, m.boot[:]...)
	b = binary.AppendUvarint(b, m.position.file)
	b = binary.AppendUvarint(b, uint64(m.position.offset))
	b = binary.AppendUvarint(b, m.position.commit)
	b = binary.BigEndian.AppendUint64(b, m.position.chain)
	b = binary.AppendUvarint(b, m.durable)
	b = binary.AppendUvarint(b, m.nextTable)
	b = binary.AppendUvarint(b, m.nextFile)
	b = binary.AppendUvarint(b, uint64(m.waste))
	b = binary.AppendUvarint(b, uint64(len(m.runs)))
	for _, run := range m.runs {
		b = binary.AppendUvarint(b, uint64(len(run)))
		for _, t := range run {
			b = t.append(b)
		}
	}
	b = binary.AppendUvarint(b, uint64(len(m.files)))
	for _, f := range m.files {
		b = binary.AppendUvarint(b, f.number)
		b = binary.AppendUvarint(b, uint64(f.end))
		b = binary.AppendUvarint(b, f.rank)
		b = binary.AppendUvarint(b, f.first)
		b = binary.AppendUvarint(b, uint64(f.live))
		b = binary.AppendUvarint(b, uint64(f.tombs))
		b = binary.AppendUvarint(b, uint64(f.dead))
	}
	binary.BigEndian.PutUint32(b[8:], manifestVersion)
	binary.BigEndian.PutUint32(b[12:], uint32(len(b)-manifestHeaderSize))
	binary.BigEndian.PutUint64(b[16:], hashWithout(b, 16))
	return b
}

func (t *tableInfo) append(b []byte) []byte {
	b = binary.AppendUvarint(b, t.number)
	b = binary.AppendUvarint(b, uint64(t.size))
	b = binary.BigEndian.AppendUint64(b, t.hash)
	b = binary.AppendUvarint(b, uint64(t.entries))
	b = append(binary.AppendUvarint(b, uint64(len(t.first))), t.first...)
	return append(binary.AppendUvarint(b, uint64(len(t.last))), t.last...)
}

// decodeManifest reads the manifest that b begins with, and keeps b. Its errors are errManifest and
// ErrNewerFormat.
func decodeManifest(b []byte) (*manifest, error) {
	if len(b) < manifestHeaderSize || [8]byte(b) != manifestMagic {
		return nil, fmt.Errorf("%w: %d bytes, header %x", errManifest, len(b), b[:min(len(b), 16)])
	}
	n := manifestHeaderSize + int64(binary.BigEndian.Uint32(b[12:]))
	if n > int64(len(b)) {
		return nil, fmt.Errorf("%w: %d bytes of %d", errManifest, len(b), n)
	}
	b = b[:n:n]
	if hashWithout(b, 16) != binary.BigEndian.Uint64(b[16:]) {
		return nil, fmt.Errorf("%w: its hash", errManifest)
	}
	switch v := binary.BigEndian.Uint32(b[8:]); {
	case v > manifestVersion:
		return nil, fmt.Errorf("%w: manifest of version %d", ErrNewerFormat, v)
	case v < manifestVersion:
		return nil, fmt.Errorf("%w: version %d", errManifest, v)
	}
	r := manifestReader{b: b[manifestHeaderSize:]}
	m := r.manifest()
	if r.bad || len(r.b) > 0 {
		return nil, fmt.Errorf("%w: its body", errManifest)
	}
	return m, m.check()
}

// manifestReader reads the body of a manifest.
type manifestReader struct {
	b   []byte // that was not read yet
	bad bool   // something was not what it must be; all that follows is zero
}

func (r *manifestReader) manifest() *manifest {
	m := &manifest{sequence: r.fixed()}
	copy(m.boot[:], r.take(16))
	m.position = position{file: r.uvarint(), offset: r.int(), commit: r.uvarint(), chain: r.fixed()}
	m.durable = r.uvarint()
	m.nextTable, m.nextFile = r.uvarint(), r.uvarint()
	m.waste = r.int()
	for range r.count(minRun) {
		var run []tableInfo
		for range r.count(minTableInfo) {
			run = append(run, tableInfo{number: r.uvarint(), size: r.int(), hash: r.fixed(), entries: r.count(0), first: r.bytes(), last: r.bytes()})
		}
		m.runs = append(m.runs, run)
	}
	for range r.count(minFileInfo) {
		m.files = append(m.files, fileInfo{number: r.uvarint(), end: r.int(), rank: r.uvarint(), first: r.uvarint(), counts: counts{live: r.int(), tombs: r.int(), dead: r.int()}})
	}
	return m
}

// take returns the next n bytes, nil when there are fewer.
func (r *manifestReader) take(n int) []byte {
	if r.bad = r.bad || n > len(r.b); r.bad {
		r.b = nil
		return nil
	}
	b := r.b[:n:n]
	r.b = r.b[n:]
	return b
}

func (r *manifestReader) fixed() uint64 {
	if b := r.take(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

func (r *manifestReader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 || n > 1 && r.b[n-1] == 0 {
		r.bad = true
	}
	if r.take(n); r.bad {
		return 0
	}
	return v
}

func (r *manifestReader) int() int64 {
	v := r.uvarint()
	if v > math.MaxInt64 {
		r.bad = true
		return 0
	}
	return int64(v)
}

// count returns a number of things that take size bytes each, which must be there.
func (r *manifestReader) count(size int) int {
	n := r.int()
	if n > math.MaxInt || size > 0 && n > int64(len(r.b)/cmp.Or(size, 1)) {
		r.bad = true
		return 0
	}
	return int(n)
}

func (r *manifestReader) bytes() []byte { return r.take(r.count(1)) }

// rank returns that of the position's file.
func (m *manifest) rank() uint64 {
	for _, f := range m.files {
		if f.number == m.position.file {
			return f.rank
		}
	}
	return 0
}
