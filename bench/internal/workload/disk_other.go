//go:build !unix

package workload

import "os"

// allocated returns the size of the file: what it takes on disk is not known here.
func allocated(info os.FileInfo) int64 { return info.Size() }
