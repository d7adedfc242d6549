package share

import (
	"math/bits"
	"slices"
	"sort"
)

// The window of a partition is the offsets from its start on of which anything is known. It consists of chunks, which
// are what is stored, and these of blocks, so that the next record that is available is found with a few words.
const (
	chunkOffsets = 256
	chunkWords   = chunkOffsets / 64
	blockChunks  = 64
)

// slot is a record of which more is known than that it is available or done.
type slot struct {
	untilMs    int64  // the end of the lock, or of the delay; 0 for none
	owner      uint32 // of one that is acquired
	deliveries uint16
	state      State
	index      uint8 // in its chunk
}

// chunk is what is known of chunkOffsets offsets. Done, ready and the indices of open exclude each other, but for
// records that have been delivered and are ready again, which are in open too.
type chunk struct {
	done  [chunkWords]uint64
	ready [chunkWords]uint64 // can be acquired now
	open  []slot             // by index
	dirty bool               // what is stored of it is out of date
	kept  bool               // something is stored of it
}

func has(words *[chunkWords]uint64, i uint8) bool { return words[i/64]&(1<<(i%64)) != 0 }
func set(words *[chunkWords]uint64, i uint8)      { words[i/64] |= 1 << (i % 64) }
func unset(words *[chunkWords]uint64, i uint8)    { words[i/64] &^= 1 << (i % 64) }

// search returns the place of an index in c.open, and whether it is there.
func (c *chunk) search(i uint8) (int, bool) {
	n := len(c.open)
	if n == 0 || c.open[n-1].index < i { // records come in their order, as a rule
		return n, false
	}
	if c.open[0].index >= i {
		return 0, c.open[0].index == i
	}
	return slices.BinarySearchFunc(c.open, i, func(s slot, i uint8) int { return int(s.index) - int(i) })
}

// slot returns the slot of an index, nil if it has none. It is valid until the next change of the chunk.
func (c *chunk) slot(i uint8) *slot {
	if at, ok := c.search(i); ok {
		return &c.open[at]
	}
	return nil
}

// add returns the slot of an index, which it makes if there is none.
func (c *chunk) add(i uint8) *slot {
	at, ok := c.search(i)
	if !ok {
		c.open = slices.Insert(c.open, at, slot{index: i})
	}
	return &c.open[at]
}

// finish makes an index done.
func (c *chunk) finish(i uint8) {
	set(&c.done, i)
	unset(&c.ready, i)
	if at, ok := c.search(i); ok {
		c.open = slices.Delete(c.open, at, at+1)
		if len(c.open) == 0 {
			c.open = nil
		}
	}
}

// whole reports whether all offsets of c are done.
func (c *chunk) whole() bool {
	return c.done[0]&c.done[1]&c.done[2]&c.done[3] == ^uint64(0)
}

// available reports whether any offset of c can be acquired now.
func (c *chunk) available() bool { return c.ready[0]|c.ready[1]|c.ready[2]|c.ready[3] != 0 }

// next returns the first index from i on that can be acquired now, -1 for none.
func (c *chunk) next(i int) int {
	for w := i / 64; w < chunkWords; w++ {
		word := c.ready[w]
		if w == i/64 {
			word &= ^uint64(0) << (i % 64)
		}
		if word != 0 {
			return w*64 + bits.TrailingZeros64(word)
		}
	}
	return -1
}

// nextOpen returns the first index from i on that is not done, chunkOffsets if all are.
func (c *chunk) nextOpen(i int) int {
	for w := i / 64; w < chunkWords; w++ {
		word := ^c.done[w]
		if w == i/64 {
			word &= ^uint64(0) << (i % 64)
		}
		if word != 0 {
			return w*64 + bits.TrailingZeros64(word)
		}
	}
	return chunkOffsets
}

// allDone stands for every chunk of which all is done, and stored as it is to be; nothing for one of which the log has
// nothing, and of which nothing need be stored. They do not change.
var (
	allDone = &chunk{done: [chunkWords]uint64{^uint64(0), ^uint64(0), ^uint64(0), ^uint64(0)}, kept: true}
	nothing = &chunk{done: allDone.done}
)

// block is blockChunks chunks, or, of a gap in the log, many times as many of which the log has nothing.
type block struct {
	number int64 // of the block, or of the first one that it stands for
	span   int64 // how many it stands for; more than 1 of a gap
	chunks [blockChunks]*chunk
	ready  uint64 // the chunks in which something is available
}

// gap is what the chunks of a gap are.
var gap = func() (all [blockChunks]*chunk) {
	for i := range all {
		all[i] = nothing
	}
	return all
}()

// window is blocks by their numbers. Of one that is not there nothing is known.
type window struct {
	blocks []*block
}

// place returns where an offset is: the numbers of its block, of its chunk in there, and its index in that.
func place(offset int64) (b int64, c int, i uint8) {
	n := offset / chunkOffsets
	return n / blockChunks, int(n % blockChunks), uint8(offset % chunkOffsets)
}

// search returns the index of the first block that reaches to one or farther, and whether that one is within it.
func (w *window) search(b int64) (int, bool) {
	if len(w.blocks) == 0 {
		return 0, false
	}
	if n := b - w.blocks[0].number; n >= 0 && n < int64(len(w.blocks)) && w.blocks[n].number == b { // as a rule
		return int(n), true
	}
	n := sort.Search(len(w.blocks), func(n int) bool { return w.blocks[n].number+w.blocks[n].span > b })
	return n, n < len(w.blocks) && w.blocks[n].number <= b
}

// at returns the chunk of an offset and the offset's index, nil if nothing is known of it.
func (w *window) at(offset int64) (*chunk, uint8) {
	b, c, i := place(offset)
	if n, ok := w.search(b); ok {
		return w.blocks[n].chunks[c], i
	}
	return nil, i
}

// need is at for who changes the chunk, which is made if there is none.
func (w *window) need(offset int64) (*chunk, uint8) {
	b, c, i := place(offset)
	n, ok := w.search(b)
	if !ok {
		w.blocks = slices.Insert(w.blocks, n, &block{number: b, span: 1})
	}
	blk := w.blocks[n]
	if blk.chunks[c] == nil {
		blk.chunks[c] = new(chunk)
	}
	return blk.chunks[c], i
}

// put puts a chunk in its place, which is in no gap.
func (w *window) put(number int64, c *chunk) {
	w.need(number * chunkOffsets)
	b, i, _ := place(number * chunkOffsets)
	n, _ := w.search(b)
	w.blocks[n].chunks[i] = c
}

// skip notes that the log has nothing from an offset up to another one, as far as that is whole blocks of which nothing is known, and returns up
// to where that is.
func (w *window) skip(from, to int64) int64 {
	b, c, i := place(from)
	last, _, _ := place(to)
	n, there := w.search(b)
	if c != 0 || i != 0 || there {
		return from
	}
	if n < len(w.blocks) {
		last = min(last, w.blocks[n].number)
	}
	if last <= b {
		return from
	}
	w.blocks = slices.Insert(w.blocks, n, &block{number: b, span: last - b, chunks: gap})
	return last * blockChunks * chunkOffsets
}

// past returns the offset behind those from one on that are done: as far as its chunk, or its gap, goes.
func (w *window) past(offset int64) int64 {
	b, c, i := place(offset)
	n, ok := w.search(b)
	if !ok || w.blocks[n].chunks[c] == nil {
		return offset
	}
	if blk := w.blocks[n]; blk.span > 1 {
		return (blk.number + blk.span) * blockChunks * chunkOffsets
	}
	return offset - int64(i) + int64(w.blocks[n].chunks[c].nextOpen(int(i)))
}

// note brings what is known of the availability of an offset's chunk up to date.
func (w *window) note(offset int64) {
	b, c, _ := place(offset)
	n, _ := w.search(b)
	blk := w.blocks[n]
	if blk.chunks[c].available() {
		blk.ready |= 1 << c
	} else {
		blk.ready &^= 1 << c
	}
}

// next returns the first offset from one on that can be acquired now, -1 for none.
func (w *window) next(from int64) int64 {
	b, c, i := place(max(from, 0))
	n, there := w.search(b)
	if !there {
		c, i = 0, 0
	}
	for ; n < len(w.blocks); n++ {
		blk := w.blocks[n]
		for ready := blk.ready & (^uint64(0) << c); ready != 0; ready &= ready - 1 {
			at := bits.TrailingZeros64(ready)
			from := 0
			if at == c {
				from = int(i)
			}
			if found := blk.chunks[at].next(from); found >= 0 {
				return (blk.number*blockChunks+int64(at))*chunkOffsets + int64(found)
			}
		}
		c, i = 0, 0
	}
	return -1
}

// dropBefore forgets the chunks that are whole before an offset, and calls fn with the numbers of those that are stored.
func (w *window) dropBefore(offset int64, fn func(number int64)) {
	limit := offset / chunkOffsets
	for len(w.blocks) > 0 {
		blk := w.blocks[0]
		if blk.span > 1 { // nothing of it is stored
			if whole := min(limit/blockChunks-blk.number, blk.span); whole < blk.span {
				blk.number, blk.span = blk.number+max(0, whole), blk.span-max(0, whole)
				return
			}
		} else {
			for c := range blockChunks {
				number := blk.number*blockChunks + int64(c)
				if number >= limit {
					return
				}
				if blk.chunks[c] != nil {
					if blk.chunks[c].kept {
						fn(number)
					}
					blk.chunks[c] = nil
					blk.ready &^= 1 << c
				}
			}
		}
		w.blocks[0] = nil
		w.blocks = w.blocks[1:]
	}
}

// each calls fn for every chunk of which something is known but that the log has nothing of it, with its number.
func (w *window) each(fn func(number int64, c *chunk)) {
	for _, blk := range w.blocks {
		for i, c := range blk.chunks {
			if c != nil && c != nothing {
				fn(blk.number*blockChunks+int64(i), c)
			}
		}
	}
}
