package sweep

import (
	"context"
	"errors"
	"time"

	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/internal/writer"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/partition"
	"github.com/samsa-go/samsa/retention"
	"github.com/samsa-go/samsa/topic"
)

// maxTrims is how many partitions are trimmed together.
const maxTrims = 500

// sweepJob is the sweep of one partition.
type sweepJob struct {
	p     *partition.Partition
	s     *tracked
	look        // what s is to hold
	count bool  // the bytes anew
	start int64 // the log start offset that the policies ask for
}

// trim removes the oldest batches of the jobs' partitions by time, size and consumption.
func (w *Sweeper) trim(ctx context.Context, jobs []*sweepJob) (Removed, error) {
	moves := make([]writer.Move, 0, len(jobs))
	var errs []error
	planned := jobs[:0:0]
	for _, j := range jobs {
		release, err := j.p.Turn(ctx)
		if err != nil {
			return Removed{}, err
		}
		defer release()
		switch err := j.plan(ctx); {
		case err == nil:
		case over(ctx, err):
			return Removed{}, err
		default:
			if j.p.Err() == nil { // else it was deleted meanwhile
				errs = append(errs, err)
			}
			continue
		}
		planned = append(planned, j)
		moves = append(moves, writer.Move{Partition: j.p, Start: j.start})
	}
	trimmed, err := writer.Trim(ctx, w.targets.Committer, moves)
	var sum Removed
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, j := range planned {
		j.s.look, j.s.settled = j.look, err == nil
		sum.add(w.trimmedLocked(j.s, trimmed[i], err))
	}
	return sum, store.Join(append(errs, err)...)
}

// over reports whether err ends a sweep. Else it is about one partition, and the others have their turn.
func over(ctx context.Context, err error) bool {
	return ctx.Err() != nil || errors.Is(err, log.ErrFailed) || errors.Is(err, log.ErrClosed)
}

// trimmedLocked accounts for what was trimmed of a partition, until err.
func (w *Sweeper) trimmedLocked(s *tracked, t writer.Trimmed, err error) Removed {
	removed := Removed{Records: t.Records, Batches: t.Passed.Batches + t.Left.Batches, Bytes: t.Passed.Bytes + t.Left.Bytes}
	s.removed.add(removed)
	s.trimmed(t.Passed.Bytes, err)
	s.shown.trimmed(t.Passed.Bytes, err)
	w.space.removed(removed.Bytes)
	return removed
}

// plan decides what of the partition may go.
func (j *sweepJob) plan(ctx context.Context) error {
	var err error
	batches := func(yield func(retention.Batch) bool) {
		if e := j.p.Log().Batches(func(b retention.Batch) bool { return ctx.Err() == nil && yield(b) }); e != nil {
			err = e
		}
	}
	appended := j.p.Appended()
	live := j.s.at(appended)
	if j.count || !j.s.counted {
		live = retention.Size(batches)
	}
	j.tally = tally{counted: true, live: live, appended: appended}
	old := j.p.LogStart()
	j.start = retention.ByConsumption(batches, old, j.consumed)
	if j.config.CleanupPolicy&topic.Delete != 0 {
		ms := int64(-1)
		if j.config.Retention > 0 {
			ms = j.config.Retention.Milliseconds()
		}
		j.start = max(j.start,
			retention.ByTime(batches, old, time.Now().UnixMilli(), ms),
			retention.BySize(batches, old, live, j.config.RetentionBytes))
		due, dueErr := Due(j.p, j.start, j.config)
		j.due, err = due, store.Join(err, dueErr)
	}
	return store.Join(err, ctx.Err())
}

// DeleteBefore removes by hand the records of p before start. With the error of ctx nothing was removed: once the
// log starts there, batches that ctx leaves are for the next sweep.
func (w *Sweeper) DeleteBefore(ctx context.Context, p *partition.Partition, start int64) error {
	release, err := p.Turn(ctx)
	if err != nil {
		return err
	}
	defer release()
	if err := p.Err(); err != nil {
		return err
	}
	trimmed, err := writer.Trim(ctx, w.targets.Committer, []writer.Move{{Partition: p, Start: start}})
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.trackLocked(p)
	s.settled = false // not everything may have gone
	w.sum.add(w.trimmedLocked(s, trimmed[0], err))
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) && p.LogStart() >= start {
		return nil
	}
	return err
}
