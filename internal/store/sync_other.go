//go:build !linux

package store

import (
	"errors"
	"os"
)

// syncFile makes the content of the file durable as far as the system knows of it.
func syncFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// mapsNeedFlush: other systems do not promise that fsync covers what was written
// through a memory map, so DB.Sync flushes Badger's current maps first. What remains
// there: a memtable log retired between a commit and the Sync is synced by path only.
const mapsNeedFlush = true

// holeAtEnd returns a position from which on a file holds zeros only. There is no
// common way to ask.
func holeAtEnd(_ *os.File, size int64) int64 { return size }
