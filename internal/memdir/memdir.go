// Package memdir has tests keep their files in memory, where a file system of the machine is there for that: tests that open
// hundreds of brokers on disk wait for its fsyncs else. What a disk does is for the drills of .ci/run, which are on one.
package memdir

import (
	"flag"
	"os"
)

// leastBytes is the free room from which on the memory is used.
const leastBytes = 8 << 30

// Use has os.TempDir and t.TempDir, also of child processes, be in memory if there is much room. It is for TestMain. It does nothing
// when TMPDIR says where the files are to be, and when benchmarks run: they measure the disk.
func Use() {
	flag.Parse()
	if bench := flag.Lookup("test.bench"); os.Getenv("TMPDIR") != "" || bench != nil && bench.Value.String() != "" {
		return
	}
	if dir := inMemory(); dir != "" {
		_ = os.Setenv("TMPDIR", dir) // without it they are on the disk
	}
}
