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

// free: there is no common way to ask.
func free(string) (int64, error) { return math.MaxInt64, nil }
