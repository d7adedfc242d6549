//go:build !linux

package vfs

import "os"

// writeAt writes one after the other: there is no call for many.
func writeAt(f *os.File, off int64, buffers [][]byte) error {
	for _, b := range buffers {
		n, err := f.WriteAt(b, off)
		if err != nil {
			return err
		}
		off += int64(n)
	}
	return nil
}

func allocate(f *os.File, size int64) error { return writeZeros(f, size) }

func syncFile(f *os.File) error { return f.Sync() }
