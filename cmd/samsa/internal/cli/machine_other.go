//go:build !linux

package cli

// maxFiles returns how many files this process may have open, and false when that is not known.
func maxFiles() (uint64, bool) { return 0, false }

// fileSystemOf returns what is known of the file system that path is on: nothing, here.
func fileSystemOf(string) (fileSystem, error) {
	return fileSystem{kind: "unknown", free: -1, total: -1}, nil
}
