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
	size int64    // bytes of all links of the trail up to this one
	next atomic.Pointer[Link]
}

// Next returns the link behind l, nil if there is none yet.
func (l *Link) Next() *Link { return l.next.Load() }

// Bounded returns the link to go on with for who is at l, which is not there yet what was staged last: l, or when there is much behind it, another one,
// with a link behind that of All. It is for who has called Trail.
func (p *Partition) Bounded(l *Link) *Link {
	last := p.trail.Load()
	if last == nil || last.size-l.size <= maxTrail {
		return l
	}
	all := &Link{End: last.End, All: true, size: last.size}
	all.next.Store(last)
	start := &Link{End: l.End, size: last.size}
	start.next.Store(all)
	return start
}

// How many bytes, of a batch and decompressed, its keys are found out from on the writer's time; and how long a trail gets behind who does not
// follow it.
const (
	trailBatch   = 64 << 10
	trailRecords = 256 << 10
	maxTrail     = 4 << 20
)

const linkSize = 64 // bytes of memory, about

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
	if !l.All && !l.read(b) {
		l.Keys, l.All = nil, true
	}
	l.size = last.size + linkSize
	for _, key := range l.Keys {
		l.size += int64(len(key)) + linkSize/4
	}
	last.next.Store(l)
	p.trail.CompareAndSwap(last, l)
}

// read notes the keys of a batch, and reports whether it could.
func (l *Link) read(b log.Batch) bool {
	records, err := log.Decompress(nil, b[log.BatchHeaderSize:], b.Codec(), trailRecords)
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
