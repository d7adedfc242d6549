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
// The price is a second fsync for each checkpoint. The first manifest is written before the first
// value file is made: a directory that has a value file or a table, but no manifest, has lost it.
type manifests struct {
	fs       vfs.FS
	dir      string
	slots    [2]slot
	sequence uint64 // of the newest manifest; 0 when there is none
	flaw     error  // what is wrong with the slot that read had to leave out, if anything; to be told
}

// slot is one of the two files. It has its space, so that a full disk does not matter; when a manifest
// has become too large, a greater file takes its name.
type slot struct {
	file vfs.File // nil when it is missing
	size int64
	next vfs.File // empty, allocated, to take the name with the next write; nil mostly
}

// manifestSlotSize is the least size of a slot: for about a thousand tables.
const manifestSlotSize = 64 << 10

func (s *manifests) path(i int) string     { return path.Join(s.dir, "MANIFEST."+strconv.Itoa(i)) }
func (s *manifests) nextPath(i int) string { return s.path(i) + ".next" }

// read opens the slots and returns the newest whole manifest, nil when there was no checkpoint yet:
// then create must be called before a value file is made.
//
// Nothing that the manifest does not name may be removed before it was written again: the other
// slot may have an older one, or this one may have been read from memory only. Errors are ErrCorrupt,
// which names the slots, ErrNewerFormat, and those of the file system.
func (s *manifests) read() (*manifest, error) {
	for i := range s.slots {
		if err := s.fs.Remove(s.nextPath(i)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	if err := s.fs.SyncDir(s.dir); err != nil { // a slot may have got its name, and the process ended then
		return nil, err
	}
	var newest *manifest
	var flaws [2]error
	for i := range s.slots {
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
	s.flaw = errors.Join(flaws[:]...)
	if newest == nil {
		return nil, s.checkUnused()
	}
	s.sequence = newest.sequence
	if newest.position == (position{}) && newest.durable == 0 {
		return nil, nil
	}
	return newest, nil
}

// load opens a slot and reads it. It is errManifest when it holds nothing whole.
func (s *manifests) load(i int) (*manifest, error) {
	err := s.slots[i].open(s.fs, s.path(i))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: the file is missing", errManifest)
	}
	if err != nil {
		return nil, err
	}
	b, err := s.slots[i].read(manifestHeaderSize)
	if err != nil {
		return nil, err
	}
	if len(b) == manifestHeaderSize {
		n, err := manifestLength(b)
		if err != nil {
			return nil, err
		}
		if b, err = s.slots[i].read(n); err != nil {
			return nil, err
		}
	}
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
			return fmt.Errorf("%w: %w: %w, and there is %s", ErrCorrupt, errIndex, s.flaw, path.Join(sub, infos[0].Name))
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
	if err := s.reserve(int64(len(b))); err != nil {
		return err
	}
	for range s.slots {
		s.sequence++
		m.sequence = s.sequence
		setSequence(b, m.sequence)
		if err := s.put(int(m.sequence%2), b); err != nil {
			return fmt.Errorf("%s: %w", s.path(int(m.sequence%2)), err)
		}
	}
	return nil
}

// setSequence changes the sequence of an encoded manifest.
func setSequence(b []byte, sequence uint64) {
	binary.BigEndian.PutUint64(b[manifestHeaderSize:], sequence)
	binary.BigEndian.PutUint64(b[16:], hashManifest(b))
}

// reserve allocates what both slots need for n bytes. When it fails nothing has changed.
func (s *manifests) reserve(n int64) error {
	for i := range s.slots {
		sl := &s.slots[i]
		if sl.file != nil && sl.size >= max(n, manifestSlotSize) {
			continue
		}
		size := max(manifestSlotSize, int64(1)<<bits.Len64(uint64(n)))
		var err error
		if sl.next, err = s.fs.Create(s.nextPath(i), size); err != nil {
			err = errors.Join(err, s.unreserve())
			if errors.Is(err, vfs.ErrNoSpace) {
				err = fmt.Errorf("%w: %w", ErrDiskFull, err)
			}
			return fmt.Errorf("allocate %s: %w", s.nextPath(i), err)
		}
	}
	return nil
}

// unreserve gives back what is allocated and not written.
func (s *manifests) unreserve() error {
	var errs []error
	for i := range s.slots {
		if sl := &s.slots[i]; sl.next != nil {
			errs = append(errs, sl.next.Close(), s.fs.Remove(s.nextPath(i)))
			sl.next = nil
		}
	}
	return errors.Join(errs...)
}

// put writes a slot.
func (s *manifests) put(i int, b []byte) error {
	sl := &s.slots[i]
	if sl.next == nil {
		if err := sl.file.WriteAt(0, b); err != nil {
			return err
		}
		return sl.file.Sync()
	}
	next := sl.next
	sl.next = nil
	err := next.WriteAt(0, b)
	if err == nil {
		err = next.Sync()
	}
	if err = errors.Join(err, next.Close(), sl.close()); err != nil { // closed, as some systems rename no others
		return err
	}
	if err := s.fs.Rename(s.nextPath(i), s.path(i)); err != nil {
		return err
	}
	if err := s.fs.SyncDir(s.dir); err != nil {
		return err
	}
	return sl.open(s.fs, s.path(i))
}

func (sl *slot) open(fs vfs.FS, name string) (err error) {
	if sl.file, err = fs.Open(name); err == nil {
		sl.size, err = sl.file.Size()
	}
	return err
}

// read returns the first n bytes, or all when there are fewer.
func (sl *slot) read(n int) ([]byte, error) {
	b := make([]byte, min(sl.size, int64(n)))
	_, err := sl.file.ReadAt(b, 0)
	return b, err
}

func (sl *slot) close() error {
	if sl.file == nil {
		return nil
	}
	file := sl.file
	sl.file = nil
	return file.Close()
}

// close closes the slots. What was reserved goes with the next read.
func (s *manifests) close() error {
	var errs []error
	for i := range s.slots {
		sl := &s.slots[i]
		errs = append(errs, sl.close())
		if sl.next != nil {
			errs = append(errs, sl.next.Close())
		}
	}
	return errors.Join(errs...)
}
