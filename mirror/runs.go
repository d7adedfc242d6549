package mirror

import "sort"

// run is offsets of the source that became offsets of the target one by one.
type run struct {
	from, to int64 // the first of the source, and of the target
	n        int64
}

// block is the runs of one note.
type block struct {
	from int64 // the least offset of the source; the key of the note
	runs []run // by offset, not empty
}

// end returns the offset of the source behind the block.
func (b *block) end() int64 {
	last := b.runs[len(b.runs)-1]
	return last.from + last.n
}

// maxRuns bounds the runs that are remembered of a partition.
const maxRuns = 1 << 16

// ranges are the runs of a partition, by offset.
type ranges struct {
	blocks []block
	n      int // runs
}

// add adds a block behind the others.
func (r *ranges) add(b block) {
	r.blocks = append(r.blocks, b)
	r.n += len(b.runs)
}

// forget takes out blocks that end by the offset before, and the oldest beyond the bound. It returns the offsets they begin at.
func (r *ranges) forget(before int64) (gone []int64) {
	for len(r.blocks) > 1 && (r.blocks[0].end() <= before || r.n > maxRuns) {
		gone = append(gone, r.blocks[0].from)
		r.n -= len(r.blocks[0].runs)
		r.blocks = r.blocks[1:]
	}
	return gone
}

// translate returns where a reader goes on in the target who has read all before offset: at the first record that is not before it,
// or at end.
func (r *ranges) translate(offset, end int64) int64 {
	at := sort.Search(len(r.blocks), func(i int) bool { return r.blocks[i].end() > offset })
	if at == len(r.blocks) {
		return end
	}
	runs := r.blocks[at].runs
	k := sort.Search(len(runs), func(i int) bool { return runs[i].from+runs[i].n > offset })
	return runs[k].to + max(0, offset-runs[k].from)
}

// join adds a run to others, to the last one if it goes on there.
func join(runs []run, r run) []run {
	if n := len(runs); n > 0 {
		last := &runs[n-1]
		if last.from+last.n == r.from && last.to+last.n == r.to {
			last.n += r.n
			return runs
		}
	}
	return append(runs, r)
}

// inverse returns the runs the other way round, in blocks.
func (r *ranges) inverse() (inv ranges) {
	var b block
	for i := range r.blocks {
		for _, x := range r.blocks[i].runs {
			b.runs = append(b.runs, run{from: x.to, to: x.from, n: x.n})
			if len(b.runs) == blockRuns {
				b.from = b.runs[0].from
				inv.add(b)
				b = block{}
			}
		}
	}
	if len(b.runs) > 0 {
		b.from = b.runs[0].from
		inv.add(b)
	}
	return inv
}

// blockRuns is how many runs a note has at most, but for what one transaction makes.
const blockRuns = 1000
