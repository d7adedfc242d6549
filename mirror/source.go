package mirror

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/samsa-go/samsa/internal/engine"
	"github.com/samsa-go/samsa/log"
)

const (
	roundBytes = 8 << 20 // of batches that are copied in one transaction, and what the last one has beyond; with a bound of bytes a second no more than these
	trackBytes = 2 << 20 // of these that a partition takes while others have something
	mostPieces = 4000    // batches of a round
)

// round is what is copied in one transaction.
type round struct {
	parts  []part
	bytes  int
	most   int // bytes
	pieces int
	err    error
	hurt   []hurt // what was found damaged when it was stored
}

// hurt is a partition of which no more than was stored can be taken apart.
type hurt struct {
	track *track
	err   error
}

// counts are of a round.
type counts struct{ records, bytes, lost int64 }

func (r *round) counts() (c counts) {
	for i := range r.parts {
		for _, piece := range r.parts[i].pieces {
			c.records += int64(piece.batch.Records())
			c.bytes += int64(len(piece.batch))
		}
		c.lost += r.parts[i].lost
	}
	return c
}

// without takes the part of a track out.
func (r *round) without(t *track) {
	r.parts = slices.DeleteFunc(r.parts, func(p part) bool { return p.track == t })
}

// part is a partition in a round.
type part struct {
	track  *track
	pieces []piece
	end    int64     // up to where the source was read
	lost   int64     // offsets that were gone
	lastMs int64     // the time of what was read last
	caught time.Time // when all there was had been read

	after positionNote // once it is stored
}

// collect reads the next round from the source. With now it returns an empty one when there is nothing, else it waits for something, or
// until topics are to be looked at, or all is read that UntilNow asks for.
func (l *leg) collect(ctx context.Context, now bool) *round {
	r := &round{most: roundBytes}
	if rate := l.m.opts.BytesPerSecond; rate > 0 {
		r.most = int(min(roundBytes, rate))
	}
	for {
		for range roundBytes / trackBytes { // the others first, then those that have more
			progress := false
			for i := range l.tracks {
				t := l.tracks[(l.turn+i)%len(l.tracks)]
				got, err := l.read(ctx, t, r)
				if err != nil {
					r.err = err
					return r
				}
				if progress = progress || got; r.full() {
					l.turn = (l.turn + i + 1) % len(l.tracks)
					return r
				}
			}
			if !progress {
				break
			}
		}
		if len(r.parts) > 0 || now || l.lookDue() || l.m.opts.UntilNow && l.reached() {
			return r
		}
		for _, t := range l.tracks {
			if e, ok := t.source.(engine.Remote); ok {
				e.Await(log.ReadCommitted, t.read)
			}
		}
		timer := time.NewTimer(time.Until(l.looked.Add(l.m.opts.Refresh)))
		select {
		case <-l.wake.C():
			l.due = l.due || l.changed()
		case <-timer.C:
		case <-ctx.Done():
			r.err = ctx.Err()
		}
		timer.Stop()
		if r.err != nil {
			return r
		}
	}
}

func (r *round) full() bool { return r.bytes >= r.most || r.pieces >= mostPieces }

// read reads what there is of a partition, some of it.
func (l *leg) read(ctx context.Context, t *track, r *round) (got bool, err error) {
	if t.damaged != nil && !t.again {
		return false, nil
	}
	t.again = false
	there := t.source.LastStable()
	if t.read == there && t.source.Err() == nil {
		t.caught = time.Now()
		if t.gap { // retention has taken all there was
			t.gap = false
			r.add(part{track: t, end: t.read, caught: t.caught})
			return true, nil
		}
		return false, nil
	}
	p := part{track: t, end: t.read}
	before, size := t.read, 0
	var bad error
	l.buf, err = t.source.Fetch(ctx, l.notesTopic, log.ReadCommitted, t.read, l.buf, func(sb log.StoredBatch) bool {
		if bad = sb.Err; bad != nil {
			return false
		}
		size += len(sb.Batch)
		p.lastMs = sb.MaxTimestamp
		if !sb.Batch.Control() && !sb.Aborted && sb.Batch.Records() > 0 {
			p.pieces = append(p.pieces, clone(t.read, sb.Batch))
			r.bytes += len(sb.Batch)
			r.pieces++
		}
		t.read = sb.LastOffset + 1
		p.end = t.read
		return size < trackBytes && !r.full()
	})
	switch {
	case errors.Is(err, engine.ErrNotYet):
		return false, nil
	case errors.Is(err, log.ErrOffsetOutOfRange) && t.read < t.source.LogStart():
		p.end = t.source.LogStart()
		p.lost = p.end - t.read
		t.read = p.end
		l.told(t, "the source has let records go that were not copied", zap.Int64("offset", before), zap.Int64("offsets", p.lost))
	case errors.Is(err, log.ErrOffsetOutOfRange):
		return false, fmt.Errorf("%w: %w: the source has less than was copied", ErrNotOurs, err)
	case errors.Is(err, log.ErrUnknownTopic):
		l.due = true
		return false, nil
	case err != nil && !damage(err):
		return false, err
	case bad != nil && !damage(bad):
		return false, bad
	case err != nil || bad != nil:
		if l.hurt(t, cmp.Or(err, bad)); t.read == before {
			return false, nil
		}
	case t.read == before && before < there:
		t.read, p.end = there, there // the last offsets have no batches any more
	case t.read == before:
		return false, nil
	}
	if t.read >= there {
		t.caught = time.Now()
	}
	if t.damaged != nil && err == nil && bad == nil {
		t.damaged = nil
		l.m.healed(t.tp)
	}
	p.caught, t.gap = t.caught, false
	r.add(p)
	return true, nil
}

// hurt notes that nothing more can be read of a partition, until the next look: another replica may have what is damaged here.
func (l *leg) hurt(t *track, err error) {
	t.damaged = err
	if l.m.hurt(t.tp, err) {
		l.told(t, "the source is damaged: the partition is copied up to there", zap.Int64("offset", t.read), zap.Error(err))
	}
}

// add adds a part to the one of its track, if there is one.
func (r *round) add(p part) {
	for i := range r.parts {
		if has := &r.parts[i]; has.track == p.track {
			has.pieces = append(has.pieces, p.pieces...)
			has.end, has.lastMs, has.caught = p.end, p.lastMs, p.caught
			has.lost += p.lost
			return
		}
	}
	r.parts = append(r.parts, p)
}

// changed reports whether the topics of the source are others than those that were looked at.
func (l *leg) changed() bool {
	for t, _ := l.changes.Next(); t != nil; t, _ = l.changes.Next() {
		if ok, _ := l.m.opts.wantsTopic(t.Name()); ok {
			l.due = true
		}
	}
	return l.due
}

// lookDue reports whether topics and groups are to be looked at.
func (l *leg) lookDue() bool { return l.due || time.Since(l.looked) >= l.m.opts.Refresh }
