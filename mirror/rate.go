package mirror

import (
	"context"
	"time"
)

// rate bounds bytes a second: who has copied some waits until there is room for more.
type rate struct {
	bytes int64     // a second; 0 is no bound
	free  time.Time // when what was let through has had its time
}

// wait waits until n more bytes may go.
func (r *rate) wait(ctx context.Context, n int) error {
	if r.bytes == 0 {
		return nil
	}
	now := time.Now()
	if r.free.Before(now) {
		r.free = now
	}
	free := r.free
	r.free = free.Add(time.Duration(float64(n) / float64(r.bytes) * float64(time.Second)))
	return pause(ctx, free.Sub(now))
}
