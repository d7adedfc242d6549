// Package machine tells where a measurement ran, and what the process took there.
package machine

import (
	"os"
	"runtime"
)

// Info describes a machine. What could not be found out is "".
type Info struct {
	CPU        string `json:"cpu"`
	Cores      int    `json:"cores"`
	Memory     int64  `json:"memory"` // bytes
	System     string `json:"system"` // with the version of the kernel
	Arch       string `json:"arch"`
	Disk       string `json:"disk"`
	Filesystem string `json:"filesystem"` // with its mount options
	Load       string `json:"load"`       // average of the last minute when the run began
	// Others is the part of the processors' time that others took during the run; kernel
	// threads that write to the disk are others too.
	Others string `json:"others"`
	Go     string `json:"go"`
}

// Look describes this machine, and the disk that dir is on.
func Look(dir string) Info {
	info := Info{Cores: runtime.NumCPU(), System: runtime.GOOS, Arch: runtime.GOARCH, Go: runtime.Version()}
	info.look(dir)
	return info
}

// Usage is what the process has taken so far; a field is -1 where the system does not tell.
type Usage struct {
	// PeakRSS is the most memory that was resident, in bytes, memory-mapped files included.
	PeakRSS int64
	// DiskWritten is the bytes that the process has caused to be written to disk: the pages
	// it has made dirty, each time that one became dirty.
	DiskWritten int64
}

// Used returns what this process has taken.
func Used() Usage {
	u := Usage{PeakRSS: -1, DiskWritten: -1}
	u.look()
	return u
}

// read returns what a file of the system says, or "".
func read(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return string(b)
}
