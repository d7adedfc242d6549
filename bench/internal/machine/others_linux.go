package machine

import (
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// processorTime returns how long the processors have worked since the system began, time
// stolen by a hypervisor included, and how long for this process and its children.
func processorTime() (busy, own time.Duration, ok bool) {
	busy, ok = busyTime(read("/proc/stat"))
	for _, who := range []int{unix.RUSAGE_SELF, unix.RUSAGE_CHILDREN} {
		var u unix.Rusage
		if unix.Getrusage(who, &u) != nil {
			return 0, 0, false
		}
		own += time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	return busy, own, ok
}

// busyTime reads the first line of /proc/stat, in hundredths of a second: "cpu user nice system
// idle iowait irq softirq steal ..." (proc(5)).
func busyTime(stat string) (time.Duration, bool) {
	const idle, iowait, fields = 4, 5, 9
	line, _, _ := strings.Cut(stat, "\n")
	words := strings.Fields(line)
	if len(words) < fields || words[0] != "cpu" {
		return 0, false
	}
	var total int64
	for i, word := range words[:fields] {
		if i == 0 || i == idle || i == iowait {
			continue
		}
		n, err := strconv.ParseInt(word, 10, 64)
		if err != nil {
			return 0, false
		}
		total += n
	}
	return time.Duration(total) * 10 * time.Millisecond, true
}
