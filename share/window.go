package share

import (
	"math/bits"
	"slices"
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

// block is blockChunks chunks; nil is one of which nothing is known.
type block struct {
	chunks [blockChunks]*chunk
	ready  uint64 // the chunks in which something is available
}

// window is a deque of blocks.
type window struct {
	first  int64 // the number of blocks[0]
	blocks []*block
}

// place returns where an offset is: the numbers of its block, of its chunk in there, and its index in that.
func place(offset int64) (b int64, c int, i uint8) {
	n := offset / chunkOffsets
	return n / blockChunks, int(n % blockChunks), uint8(offset % chunkOffsets)
}

// at returns the chunk of an offset and the offset's index, nil if nothing is known of it.
func (w *window) at(offset int64) (*chunk, uint8) {
	b, c, i := place(offset)
	if b < w.first || b-w.first >= int64(len(w.blocks)) || w.blocks[b-w.first] == nil {
		return nil, i
	}
	return w.blocks[b-w.first].chunks[c], i
}

// need is at for who changes the chunk, which is made if there is none.
func (w *window) need(offset int64) (*chunk, uint8) {
	b, c, i := place(offset)
	if len(w.blocks) == 0 {
		w.first = b
	}
	for b < w.first {
		w.blocks = slices.Insert(w.blocks, 0, nil)
		w.first--
	}
	for b-w.first >= int64(len(w.blocks)) {
		w.blocks = append(w.blocks, nil)
	}
	blk := w.blocks[b-w.first]
	if blk == nil {
		blk = new(block)
		w.blocks[b-w.first] = blk
	}
	if blk.chunks[c] == nil {
		blk.chunks[c] = new(chunk)
	}
	return blk.chunks[c], i
}

// put puts a chunk in its place.
func (w *window) put(number int64, c *chunk) {
	w.need(number * chunkOffsets)
	b, i, _ := place(number * chunkOffsets)
	w.blocks[b-w.first].chunks[i] = c
}

// note brings what is known of the availability of an offset's chunk up to date.
func (w *window) note(offset int64) {
	b, c, _ := place(offset)
	blk := w.blocks[b-w.first]
	if blk.chunks[c].available() {
		blk.ready |= 1 << c
	} else {
		blk.ready &^= 1 << c
	}
}

// next returns the first offset from one on that can be acquired now, -1 for none.
func (w *window) next(from int64) int64 {
	b, c, i := place(max(from, w.first*blockChunks*chunkOffsets))
	for n := b - w.first; n < int64(len(w.blocks)); n++ {
		blk := w.blocks[n]
		if blk == nil || blk.ready == 0 {
			c, i = 0, 0
			continue
		}
		for ready := blk.ready & (^uint64(0) << c); ready != 0; ready &= ready - 1 {
			at := bits.TrailingZeros64(ready)
			from := 0
			if at == c {
				from = int(i)
			}
			if found := blk.chunks[at].next(from); found >= 0 {
				return ((w.first+n)*blockChunks+int64(at))*chunkOffsets + int64(found)
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
		for c := range blockChunks {
			number := w.first*blockChunks + int64(c)
			if number >= limit {
				return
			}
			if blk != nil && blk.chunks[c] != nil {
				if blk.chunks[c].kept {
					fn(number)
				}
				blk.chunks[c] = nil
				blk.ready &^= 1 << c
			}
		}
		w.blocks[0] = nil
		w.blocks = w.blocks[1:]
		w.first++
	}
}

// each calls fn for every chunk that is there, with its number.
func (w *window) each(fn func(number int64, c *chunk)) {
	for n, blk := range w.blocks {
		if blk == nil {
			continue
		}
		for i, c := range blk.chunks {
			if c != nil {
				fn((w.first+int64(n))*blockChunks+int64(i), c)
			}
		}
	}
}
