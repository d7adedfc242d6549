package partition

import (
	"sync/atomic"

	"github.com/samsa-go/samsa/log"
)

// Link is a batch that was staged in a partition: a step of its trail, which leads to those that were staged later. Who holds on to a link
// holds on to those, and to none before.
type Link struct {
	End  int64    // the offset behind it
	Keys []string // of its records
	All  bool     // it may have any key
	next atomic.Pointer[Link]
}

// Next returns the link behind l, nil if there is none yet.
func (l *Link) Next() *Link { return l.next.Load() }

// trailBatch is the largest batch, in bytes, of which the keys are found out on the writer's time.
const trailBatch = 64 << 10

// Trail has the partition make a link of each batch that is staged from now on, until the function that it returns was called as often as Trail.
func (p *Partition) Trail() (end func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.trailers++; p.trailers == 1 {
		p.trail.Store(new(Link))
	}
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.trailers--; p.trailers == 0 {
			p.trail.Store(nil)
		}
	}
}

// Last returns the last link of the trail, nil without one. It is for who is called by the writer.
func (p *Partition) Last() *Link { return p.trail.Load() }

// Staged adds a batch, which has its offsets, to the trail, if there is one. It is for the writer.
func (p *Partition) Staged(b log.Batch) {
	last := p.trail.Load()
	if last == nil || b.Control() {
		return
	}
	l := &Link{End: b.LastOffset() + 1, All: len(b) > trailBatch}
	if !l.All {
		l.All = !l.read(b)
	}
	last.next.Store(l)
	p.trail.CompareAndSwap(last, l)
}

// read notes the keys of a batch, and reports whether it could.
func (l *Link) read(b log.Batch) bool {
	records, err := b.AppendRecords(nil)
	if err != nil {
		return false
	}
	reader := log.NewRecordReader(b, records)
	var r log.Record
	for {
		_, more, err := reader.Skim(&r)
		if err != nil || !more {
			return err == nil
		}
		if r.Key != nil {
			l.Keys = append(l.Keys, string(r.Key))
		}
	}
}
