//go:build unix

package workload

import (
	"os"
	"syscall"
)

// allocated returns the bytes that the file takes on disk: stores preallocate files with holes.
func allocated(info os.FileInfo) int64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return st.Blocks * 512
	}
	return info.Size()
}
