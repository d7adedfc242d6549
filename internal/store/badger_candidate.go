package store

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"slices"

	"github.com/dgraph-io/ristretto/v2/z"
	"go.uber.org/zap"
)

// choose returns the value files to be rewritten next, if any: those with the most
// garbage, as many as do not hold too much that is alive.
func (r *reclaim) choose() (files []garbage, err error) {
	all, err := r.candidates()
	if err != nil {
		return nil, err
	}
	var alive int64
	for _, g := range all {
		if len(files) == maxRewritten || len(files) > 0 && alive+g.alive() > maxCopied {
			break
		}
		r.tried[g.file] = true
		found, err := r.inspect(g)
		if err != nil {
			return nil, err
		}
		if found != damage {
			files = append(files, g)
			alive += g.alive()
		} else if r.log != nil {
			r.log.Warn("value file is damaged and cannot be reclaimed", zap.String("file", valueFile(r.values(), g.file)))
		}
	}
	if len(files) == 0 {
		return nil, nil
	}
	// GC copies through a memory map: without room that would kill the process.
	return files, r.Room(int(alive), true)
}

// candidates returns the value files that have enough garbage and were not tried yet,
// those with the most garbage first.
func (r *reclaim) candidates() ([]garbage, error) {
	newest, err := newestValueFile(r.values())
	if err != nil {
		return nil, err
	}
	all, err := readGarbage(r.values())
	if err != nil {
		return nil, err
	}
	worth := all[:0]
	for _, g := range all {
		info, err := os.Stat(valueFile(r.values(), g.file))
		if errors.Is(err, fs.ErrNotExist) {
			delete(r.rewritten, g.file)
			continue
		}
		if err != nil {
			return nil, err
		}
		g.size = info.Size()
		// The newest file is being written to, and one that was rewritten waits for a
		// scan to end.
		if r.rewritten[g.file] || r.tried[g.file] || g.file >= newest || float64(g.bytes) < r.share*float64(g.size) {
			continue
		}
		worth = append(worth, g)
	}
	slices.SortStableFunc(worth, func(a, b garbage) int { return cmp.Compare(b.bytes, a.bytes) })
	return worth, nil
}

// content is what there is in a value file.
type content int

const (
	nothing content = iota // that the index knows of
	something
	// damage: there are whole entries behind a damaged one. GC would stop there, or panic,
	// and then delete the file with all that follows. Such a file stays as it is; its
	// space is lost.
	damage
)

// inspect reads the file of g. It does not look for more behind something.
func (r *reclaim) inspect(g garbage) (found content, err error) {
	err = readMapped(valueFile(r.values(), g.file), func(data []byte) error {
		if losesEntries(data) {
			found = damage
			return nil
		}
		for e := range entriesOf(data) {
			item, txn, err := r.exactly(e)
			if err != nil {
				return err
			}
			txn.Discard()
			if item != nil {
				found = something
				return nil
			}
		}
		return nil
	})
	return found, err
}

// knownIn appends to all the entries of the file of g that the index knows.
func (r *reclaim) knownIn(g garbage, all []stored) ([]stored, error) {
	err := readMapped(valueFile(r.values(), g.file), func(data []byte) (err error) {
		all, err = r.known(data, all)
		return err
	})
	return all, err
}

// readMapped has fn read a file, which nobody changes meanwhile.
func readMapped(path string, fn func(data []byte) error) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // it was only read
	info, err := f.Stat()
	if err != nil || info.Size() == 0 {
		return err
	}
	data, err := z.Mmap(f, false, info.Size())
	if err != nil {
		return err
	}
	return errors.Join(fn(data), z.Munmap(data))
}

// condemned is a count of garbage that is higher than any real one.
const condemned = 1 << 62

var errWrongFile = errors.New("another value file was rewritten than the one that was prepared")

// condemn makes sure that Badger picks the file of g, and no other that compaction finds
// more garbage in by then. If GC does not get to it, the file will be looked at again
// later, each entry of it, so a count that is too high does no harm.
//
// The counts are sorted by file: since g was read compaction may have moved them, by
// finding the first garbage of an older file.
func (r *reclaim) condemn(g garbage) error {
	all, err := readGarbage(r.values())
	if err != nil {
		return err
	}
	i := slices.IndexFunc(all, func(now garbage) bool { return now.file == g.file })
	if i < 0 {
		return errWrongFile
	}
	return writeGarbage(r.values(), all[i], condemned)
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
