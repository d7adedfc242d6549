package machine

import (
	"fmt"
	"runtime"
	"time"
)

// Others watches how much of the processors others take: measurements beside a busy neighbour
// are worth less.
type Others struct {
	began     time.Time
	busy, own time.Duration
	ok        bool
}

// WatchOthers begins to watch.
func WatchOthers() *Others {
	o := &Others{began: time.Now()}
	o.busy, o.own, o.ok = processorTime()
	return o
}

// Share tells the part of the processors' time that went to neither this process nor its
// children that have ended, since the beginning; "" where the system does not tell.
func (o *Others) Share() string {
	busy, own, ok := processorTime()
	if !ok || !o.ok {
		return ""
	}
	all := time.Since(o.began) * time.Duration(runtime.NumCPU())
	others := max(0, (busy-o.busy)-(own-o.own))
	return fmt.Sprintf("%.0f%%", 100*float64(others)/float64(all))
}
