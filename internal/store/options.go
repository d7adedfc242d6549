package store

import "go.uber.org/zap"

const (
	defaultMinFreeBytes = 64 << 20

	// minReserve is nobody's but the store's own.
	minReserve = 16 << 20

	maxKeySize      = 1024
	inlineThreshold = 1 << 10 // values of this size and more live outside the index

	limitEntries = 4096
	limitBytes   = 32 << 20
)

// Options of a store on disk. The zero value is right for most.
type Options struct {
	// MinFreeBytes is the reserve: Room refuses writes that would leave the file
	// system with less than this. 0 means 64 MiB.
	MinFreeBytes int64
	// Logger receives what the store has to say. Nil means silence.
	Logger *zap.Logger

	fileSize int64    // of a value file; only tests have others than valueFileMin
	boot     [16]byte // what tells this start of the machine from others; Open finds it unless a test has set it
}

func (o Options) withDefaults() Options {
	if o.MinFreeBytes == 0 {
		o.MinFreeBytes = defaultMinFreeBytes
	}
	return o
}

// storeLimits are the same for every implementation, so that what fits the memory
// store in a test fits the disk in production.
func storeLimits() Limits {
	return Limits{Entries: limitEntries, Bytes: limitBytes}
}
