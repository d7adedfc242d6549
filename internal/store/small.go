package store

import "github.com/samsa-go/samsa/internal/vfs"

// Small is how small a store is in tests, so that files end and checkpoints, merges and what gives space back come
// all the time. Zero fields stand for the sizes that Open has.
type Small struct {
	FileBytes   int64    // least size of a value file
	TreeEntries int      // that call for a checkpoint
	TableBytes  int64    // size of a table
	Boot        [16]byte // what tells this start of the machine from others
}

// Options returns opts with those sizes.
func (s Small) Options(opts Options) Options {
	opts.fileSize, opts.treeEntries, opts.tableSize, opts.boot = s.FileBytes, s.TreeEntries, s.TableBytes, s.Boot
	return opts
}

// OpenOn opens the store in dir of fs, which must be there, and which nobody else may open meanwhile. It is for tests.
func OpenOn(fs vfs.FS, dir string, opts Options) (Store, error) {
	s, err := openDisk(fs, dir, opts)
	if err != nil {
		return nil, dirError(err)
	}
	return s, nil
}
