//go:build !windows && (!unix || aix || solaris || illumos)

package vfs

import "os"

func isNoSpace(error) bool { return false }

func isNoHandle(error) bool { return false }

// space: there is no common way to ask.
func (o *OS) space(string) (free, total int64, err error) { return 0, 0, nil }

func checkLinked(*os.File) error { return nil }

func mapFile(f *os.File, size int) ([]byte, func() error, error) { return readMap(f, size) }
