package workload

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/samsa-go/samsa/bench/internal/peer"
)

const (
	// retentionTimes is how many times what is kept is written, time permitting.
	retentionTimes = 8
	// retentionTime is how many times as long as another workload it may take.
	retentionTime = 4
	// trimParts is how often a Trimmer is asked: each time so much of what is kept came in.
	trimParts = 8
	// diskEvery is how often the directory is looked at.
	diskEvery = 20 * time.Millisecond
)

// steadyState is the workload Retention. Its limits are others, for it must write several
// times what is kept.
func steadyState(r *run) error {
	trimmer, byHand := r.log.(peer.Trimmer)
	if !byHand && !r.peer.Retains {
		return cannot("cannot remove records: it only grows")
	}
	keep := max(1, int(r.limits.KeepBytes)/r.c.Size)
	r.limits.Records = retentionTimes * keep
	r.limits.Time *= retentionTime
	stop, watched := make(chan struct{}), make(chan error, 1)
	var wg sync.WaitGroup
	wg.Go(func() { watched <- r.watchDisk(stop) })
	r.out.Latencies = NewHistogram()
	r.begin()
	n, err := 0, error(nil)
	for next := keep; err == nil && r.more(n); next += max(1, keep/trimParts) {
		at := n
		var added int
		added, err = r.fill(r.out.Latencies, func(n int) bool { return at+n < next && r.more(at+n) })
		if n += added; err == nil && byHand && n > keep {
			err = trimmer.Trim(r.ctx, 0, int64(n-keep))
		}
	}
	r.end(n)
	close(stop)
	wg.Wait()
	return errors.Join(err, <-watched)
}

// watchDisk notes how large the directory gets until stop is closed.
func (r *run) watchDisk(stop <-chan struct{}) error {
	if r.peer.Volatile {
		return nil
	}
	ticker := time.NewTicker(diskEvery)
	defer ticker.Stop()
	for {
		size, err := diskUsage(r.dir)
		if err != nil {
			return fmt.Errorf("disk usage: %w", err)
		}
		r.out.PeakDisk = max(r.out.PeakDisk, size)
		select {
		case <-ticker.C:
		case <-stop:
			return nil
		}
	}
}
