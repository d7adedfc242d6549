//go:build !windows && (!unix || aix || solaris || illumos)

package vfs

import (
	"errors"
	"math"
	"os"
)

func isNoSpace(error) bool { return false }

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// space: there is no common way to ask.
func space(string) (free, total int64, err error) { return math.MaxInt64, math.MaxInt64, nil }

func mapFile(f *os.File, size int) ([]byte, func() error, error) { return readMap(f, size) }
