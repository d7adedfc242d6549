package store

import "go.uber.org/zap"

const (
	defaultMinFreeBytes = 64 << 20

	maxKeySize      = 1024
	inlineThreshold = 1 << 10 // values of this size and more live outside the index

	limitEntries = 16384
	limitBytes   = 32 << 20
)

// Options of a store on disk. The zero value is right for most.
type Options struct {
	// MinFreeBytes is what is left to others: while the file system has less free, Room refuses
	// all that is not essential. 0 means 64 MiB, or a sixteenth of a smaller file system.
	MinFreeBytes int64
	// MustExist has Open fail with ErrNotExist where it would create the store, and leave everything as it is.
	MustExist bool
	// ReadOnly opens a store that nobody has open to write, whatever state it is in, for as many as like to
	// read it, and changes nothing in its directory: see readonly.go. It must exist.
	ReadOnly bool
	// Rebuild has Open make the index anew from the value files, whatever is left of it. What is found
	// then holds all that was there; of batches, those too that were superseded or
	// removed, as long as the file with them is there: package log knows which. As long as they may be
	// there RebuiltKey is, from the first Open on that finds the new index.
	Rebuild bool
	// Rebuilding, if it is there, is told with each commit that Rebuild reads how many bytes of value files were read of how
	// many. An error of it ends that, with everything as it was.
	Rebuilding func(done, total int64) error
	// Logger receives what the store has to say. Nil means silence.
	Logger *zap.Logger

	fileSize    int64 // least size of a value file; tests have smaller ones than valueFileMin
	treeEntries int   // see dueLocked; likewise
	tableSize   int64
	boot        [16]byte // what tells this start of the machine from others; Open finds it unless a test has set it
}

// storeLimits are the same for every implementation, so that what fits the memory
// store in a test fits the disk in production.
func storeLimits() Limits {
	return Limits{Entries: limitEntries, Bytes: limitBytes}
}
