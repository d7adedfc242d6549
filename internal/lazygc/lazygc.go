// Package lazygc has the garbage collector run seldom in tests. Their heaps are of a few megabytes, and it would go through
// one again after every few more that are allocated: a third of the time of those that open many brokers.
package lazygc

import (
	"flag"
	"os"
	"runtime/debug"
)

const (
	percent = 400       // of what is alive may be garbage
	limit   = 512 << 20 // bytes from which on it runs as often as they need
)

// Use has the collector wait, in this process and in none of its children. It is for TestMain. It does nothing when GOGC
// says how often it is to run, and when benchmarks run: they measure it too.
func Use() {
	flag.Parse()
	if bench := flag.Lookup("test.bench"); os.Getenv("GOGC") != "" || bench != nil && bench.Value.String() != "" {
		return
	}
	debug.SetGCPercent(percent)
	debug.SetMemoryLimit(limit)
}
