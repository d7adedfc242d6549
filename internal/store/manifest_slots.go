package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math/bits"
	"path"
	"strconv"

	"github.com/samsa-go/samsa/internal/vfs"
)

// manifests are the two slots of a data directory, MANIFEST.0 and MANIFEST.1, which are written in
// turn. Calls must not overlap.
//
// A write that power cuts short leaves the other slot as it was, and that counts. But what a cut
// leaves looks like a newer manifest that was damaged later: then the other one is of an older state,
// and falling back to it would lose what came in between if what it names was removed, or what
// it does not name was. So a manifest is written to both slots, one after the other, before anything is
// removed on its account. Then two things hold at any time:
//
//   - Both slots have the same manifest, but for its sequence; or nothing was removed yet on account of the
//     newer one. The older one is right in either case: the value files behind its position
//     are all there, and a replay from it ends where the newer would.
//   - So one slot that is torn, damaged or missing never matters, and nobody has to know which
//     of these it is. When neither is whole, it is ErrCorrupt.
//
// A slot has its space, so that a full disk does not matter. When a manifest has become too large for it, a
// greater file takes its name.
//
// The price is a second fsync for each checkpoint. The first manifest is written before the first
// value file is made: a directory that has a value file or a table, but no manifest, has lost it.
type manifests struct {
	fs       vfs.FS
	dir      string
	sizes    [2]int64 // of the slots; 0 of one that is missing
	sequence uint64   // of the newest manifest; 0 when there is none
	flaw     error    // what is wrong with the slot that read had to leave out, if anything; to be told
}

// manifestSlotSize is the least size of a slot: for about a thousand tables.
const manifestSlotSize = 64 << 10

func (s *manifests) path(i int) string     { return path.Join(s.dir, "MANIFEST."+strconv.Itoa(i)) }
func (s *manifests) nextPath(i int) string { return s.path(i) + ".next" }

// read returns the newest whole manifest, nil when there was no checkpoint yet:
// then create must be called before a value file is made.
//
// Nothing that the manifest does not name may be removed before it was written again: the other
// slot may have an older one, or this one may have been read from memory only. Errors are ErrCorrupt,
// which names the slots, ErrNewerFormat, and those of the file system.
func (s *manifests) read() (*manifest, error) {
	for i := range s.sizes {
		if err := s.fs.Remove(s.nextPath(i)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	if err := s.fs.SyncDir(s.dir); err != nil { // a slot may have got its name, and the process ended then
		return nil, err
	}
	var newest *manifest
	var flaws [2]error
	for i := range s.sizes {
		m, err := s.load(i)
		switch {
		case errors.Is(err, errManifest):
			flaws[i] = fmt.Errorf("%s: %w", s.path(i), err)
		case err != nil:
			return nil, fmt.Errorf("%s: %w", s.path(i), err)
		case newest == nil || m.sequence > newest.sequence:
			newest = m
		}
	}
	s.flaw = Join(flaws[:]...)
	if newest == nil {
		return nil, s.checkUnused()
	}
	s.sequence = newest.sequence
	if newest.position == (position{}) && newest.durable == 0 {
		return nil, nil
	}
	return newest, nil
}

// load reads a slot. It is errManifest when it holds nothing whole.
func (s *manifests) load(i int) (*manifest, error) {
	file, err := s.fs.Open(s.path(i))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: the file is missing", errManifest)
	}
	if err != nil {
		return nil, err
	}
	size, err := file.Size()
	b := make([]byte, min(size, maxManifestSize))
	if err == nil {
		_, err = file.ReadAt(b, 0)
	}
	if err = Join(err, file.Close()); err != nil {
		return nil, err
	}
	s.sizes[i] = size
	m, err := decodeManifest(b)
	if err == nil && m.sequence%2 != uint64(i) {
		return nil, fmt.Errorf("%w: number %d belongs to the other slot", errManifest, m.sequence)
	}
	return m, err
}

// checkUnused makes sure that nothing is there that a manifest would name.
func (s *manifests) checkUnused() error {
	for _, sub := range []string{indexName, valuesName} {
		infos, err := s.fs.List(path.Join(s.dir, sub))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if len(infos) > 0 {
			return fmt.Errorf("%w: %w, and there is %s", ErrIndex, s.flaw, path.Join(sub, infos[0].Name))
		}
	}
	s.flaw = nil
	return nil
}

// create makes the slots, unless read has found them.
func (s *manifests) create() error {
	if s.sequence > 0 {
		return nil
	}
	return s.write(&manifest{nextTable: 1, nextFile: 1})
}

// write makes m durable, in both slots, and gives it its sequence. What m does not name may be removed
// from then on. After ErrDiskFull everything is as it was; after any other error the next read finds m or the
// manifest before, and write must not be called again.
func (s *manifests) write(m *manifest) error {
	if err := m.check(); err != nil {
		return err
	}
	b := m.encode()
	if len(b) > maxManifestSize {
		return fmt.Errorf("%w: %d bytes are more than %d", errManifest, len(b), maxManifestSize)
	}
	next, err := s.reserve(int64(len(b)))
	if err != nil {
		return err
	}
	for range next {
		s.sequence++
		m.sequence = s.sequence
		setSequence(b, m.sequence)
		i := int(m.sequence % 2)
		if err := s.put(i, next[i], b); err != nil {
			return fmt.Errorf("%s: %w", s.path(i), err)
		}
	}
	return nil
}

// setSequence changes the sequence of an encoded manifest.
func setSequence(b []byte, sequence uint64) {
	binary.BigEndian.PutUint64(b[manifestHeaderSize:], sequence)
	binary.BigEndian.PutUint64(b[16:], hashWithout(b, 16))
}

// reserve allocates what both slots need for n bytes: next has the sizes of new files, 0 where a slot has room.
// While there is space it is a quarter more, as the disk may be full when the manifest grows. When it fails nothing
// has changed.
func (s *manifests) reserve(n int64) (next [2]int64, err error) {
	ahead := n + n/4
	for i, has := range s.sizes {
		if has >= max(ahead, manifestSlotSize) {
			continue
		}
		size := max(manifestSlotSize, int64(1)<<bits.Len64(uint64(ahead)))
		file, err := s.fs.Create(s.nextPath(i), size)
		if errors.Is(err, vfs.ErrNoSpace) && has >= n {
			continue
		}
		if err == nil {
			next[i], err = size, file.Close()
		}
		if err != nil {
			err = fmt.Errorf("allocate %s: %w", s.nextPath(i), full(err))
			for i := range next {
				if next[i] > 0 {
					err = Join(err, s.fs.Remove(s.nextPath(i)))
				}
			}
			return next, err
		}
	}
	return next, nil
}

// put writes a slot. With a next that is not 0 it does so in the new file of that size, which then takes the
// name of the slot.
func (s *manifests) put(i int, next int64, b []byte) error {
	name := s.path(i)
	if next > 0 {
		name = s.nextPath(i)
	}
	file, err := s.fs.Open(name)
	if err != nil {
		return err
	}
	if err = file.WriteAt(0, b); err == nil {
		err = file.Sync()
	}
	if err = Join(err, file.Close()); err != nil || next == 0 {
		return err
	}
	if err := s.fs.Rename(name, s.path(i)); err != nil {
		return err
	}
	s.sizes[i] = next
	return s.fs.SyncDir(s.dir)
}
