package writer

import (
	"runtime"
	"time"
)

// yields are how a leader lets others come who are about to. Many callers share few processors: one
// that has found nothing in flight would commit alone, again and again, while the others, who
// were woken together, have not got to run. So it lets them run first, as long as that brings
// companions soon. It is for the leader.
type yields struct {
	pause int // leaders that did not yield after the last that did for nothing
	rest  int // of them, those to come
}

const (
	minYieldPause = 16
	maxYieldPause = 4096
	maxYield      = 200 * time.Microsecond // what takes longer is work of others, who are not about to come
)

// before is called by a leader that has not waited, before it takes what is queued.
func (y *yields) before(c *Committer) {
	if y.rest > 0 {
		y.rest--
		return
	}
	began := time.Now()
	runtime.Gosched()
	took := time.Since(began)
	c.mu.Lock()
	came := len(c.ahead)+len(c.queue) > 1
	c.mu.Unlock()
	if came && took <= maxYield {
		y.pause = 0
		return
	}
	y.pause = min(max(minYieldPause, 2*y.pause), maxYieldPause)
	y.rest = y.pause
}
