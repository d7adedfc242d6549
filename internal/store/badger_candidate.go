package store

import (
	"cmp"
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"

	"go.uber.org/zap"
)

// candidate returns the value file to be rewritten next, if any, with its content in
// r.file.
func (r *reclaim) candidate() (garbage, bool, error) {
	newest, err := newestValueFile(r.values())
	if err != nil {
		return garbage{}, false, err
	}
	all, err := readGarbage(r.values())
	if err != nil {
		return garbage{}, false, err
	}
	slices.SortStableFunc(all, func(a, b garbage) int { return cmp.Compare(b.bytes, a.bytes) })
	for _, g := range all {
		info, err := os.Stat(valueFile(r.values(), g.file))
		if errors.Is(err, fs.ErrNotExist) {
			delete(r.rewritten, g.file)
			continue
		}
		if err != nil {
			return g, false, err
		}
		// The newest file is being written to, and one that was rewritten waits for a
		// scan to end.
		if r.rewritten[g.file] || r.tried[g.file] || g.file >= newest || float64(g.bytes) < garbageShare*float64(info.Size()) {
			continue
		}
		r.tried[g.file] = true
		damaged, err := r.load(g)
		if err != nil {
			return g, false, err
		}
		if !damaged {
			return g, true, r.roomFor(info.Size(), g)
		}
		if r.log != nil {
			r.log.Warn("value file is damaged and cannot be reclaimed", zap.String("file", valueFile(r.values(), g.file)))
		}
	}
	return garbage{}, false, nil
}

// roomFor asks for room for what is alive in the file, which GC copies through a memory
// map: without room that would kill the process.
func (r *reclaim) roomFor(size int64, g garbage) error {
	alive := size
	if g.bytes <= uint64(size) { // else nobody knows, see condemn
		alive -= int64(g.bytes)
	}
	return r.Room(int(alive), true)
}

// load reads the file and reports whether it holds whole entries behind a damaged one.
// GC would stop at the damage, or panic over it, and then delete the file with all that
// follows. Such a file stays as it is; its space is lost.
func (r *reclaim) load(g garbage) (damaged bool, err error) {
	f, err := os.Open(valueFile(r.values(), g.file))
	if err != nil {
		return false, err
	}
	info, err := f.Stat()
	if err == nil {
		r.file = slices.Grow(r.file[:0], int(info.Size()))[:info.Size()]
		_, err = io.ReadFull(f, r.file)
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return false, err
	}
	return losesEntries(r.file), nil
}

// condemned is a count of garbage that is higher than any real one.
const condemned = 1 << 62

var errWrongFile = errors.New("another value file was rewritten than the one that was prepared")

// condemn makes sure that Badger picks the file of g, and no other that compaction finds
// more garbage in by then. If GC does not get to it, the file will be looked at again
// later, each entry of it, so a count that is too high does no harm.
func (r *reclaim) condemn(g garbage) error {
	return writeGarbage(r.values(), g, condemned)
}

// rewroteOnly checks that GC has rewritten the file of g: then its count is 0, or what
// compaction found since. Compaction may have moved the counts in the file while
// condemn wrote to it.
func (r *reclaim) rewroteOnly(g garbage) error {
	all, err := readGarbage(r.values())
	if err != nil {
		return err
	}
	for _, now := range all {
		if now.bytes >= condemned || now.file == g.file && now.bytes >= g.bytes && g.bytes > 0 {
			return errWrongFile
		}
	}
	return nil
}

// newestValueFile returns the number of the value file that is written to, or 0.
func newestValueFile(dir string) (uint32, error) {
	names, err := listDir(dir)
	if err != nil {
		return 0, err
	}
	var newest int64
	for _, name := range names {
		newest = max(newest, fileNumber(name, valueSuffix))
	}
	return uint32(newest), nil
}
