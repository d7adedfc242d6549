package store

import (
	"bytes"
	"encoding/binary"
	"slices"
	"sort"

	"github.com/dgraph-io/badger/v4/fb"
	"github.com/dgraph-io/badger/v4/y"
)

// A table is, in the order of the file:
//
//	block    entries | offset of each entry in the block u32 | their count u32 |
//	         checksum | its length u32
//	index    flatbuffer (package fb) | its length u32 | checksum | its length u32
//
//	entry    length shared with the first key of the block u16 | length of the rest u16 |
//	         rest of the key | meta | 0 | 0 | value
//
// The offsets and the lengths of an entry are as the machine has them, what else is a number is
// big endian. A checksum is field 2 of a protobuf message, CRC-32C of what is before it in the block or the
// index.
//
// Badger's builder writes this. Its reader is not used: bytes that change after they were checked, as
// on a failing device, would be able to end the process there (y.AssertTrue). What follows can at most panic
// on them, which table.caught makes an error.

// tableContent is where things are in a table that was checked. It takes 16 bytes of memory a block, and 4 for 128 of the
// bloom filter. What it reads of the map may have changed since: nothing it says rests on that alone.
type tableContent struct {
	data   []byte
	blocks []blockPlace
	bloom  []byte   // the bits
	probes byte     // how many of them a key has
	sums   []uint32 // of bloomChunk bytes each
}

const bloomChunk = 128

// blockPlace is where a block lies, and its first key, with version.
type blockPlace struct{ at, size, keyAt, keySize uint32 }

// readContent reads the index.
func readContent(data []byte) *tableContent {
	end := len(data)
	last := func(n uint32) []byte {
		end -= int(n)
		return data[end:][:n]
	}
	last(binary.BigEndian.Uint32(last(4))) // the checksum: the hash of the file was the right one
	index := fb.GetRootAsTableIndex(last(binary.BigEndian.Uint32(last(4))), 0)
	bloom := index.BloomFilterBytes()
	bits := len(bloom) - 1
	c := &tableContent{data: data, blocks: make([]blockPlace, index.OffsetsLength()), bloom: bloom[:bits], probes: bloom[bits]}
	for chunk := range slices.Chunk(c.bloom, bloomChunk) {
		c.sums = append(c.sums, crcOf(chunk))
	}
	var block fb.BlockOffset
	for i := range c.blocks {
		index.Offsets(&block, i)
		key := block.KeyBytes()
		c.blocks[i] = blockPlace{block.Offset(), block.Len(), uint32(cap(data) - cap(key)), uint32(len(key))}
	}
	return c
}

// mayHave asks the bloom filter, as y.Filter has it. That a key is not there is said by a bit that still is what it was.
func (c *tableContent) mayHave(key []byte) bool {
	h := y.Hash(key)
	step := h>>17 | h<<15
	for range c.probes {
		bit := int(h % uint32(8*len(c.bloom)))
		if c.bloom[bit/8]&(1<<(bit%8)) == 0 {
			n := bit / 8 / bloomChunk
			if crcOf(c.bloom[n*bloomChunk:min((n+1)*bloomChunk, len(c.bloom))]) != c.sums[n] {
				panic("checksum of the bloom filter")
			}
			return false
		}
		h += step
	}
	return true
}

// find returns the block that holds the first item not below key, or ends before it: the last that does
// not begin behind key. Who has entered it knows whether that is so.
func (c *tableContent) find(key []byte) int {
	return sort.Search(len(c.blocks)-1, func(i int) bool { return c.begins(i+1, key) > 0 })
}

// begins compares the first key of block i with key.
func (c *tableContent) begins(i int, key []byte) int {
	p := c.blocks[i]
	return bytes.Compare(c.data[p.keyAt:][:p.keySize-versionSize], key)
}

const versionSize = 8

// block is a copy of a block, whose checksum is right.
type block struct {
	entries []byte
	offsets []byte
	base    []byte // its first key
}

// block copies block i into memory, which may be grown, and returns both.
func (c *tableContent) block(i int, memory []byte) (block, []byte) {
	p := c.blocks[i]
	memory = append(memory[:0], c.data[p.at:][:p.size]...)
	data := memory
	last := func(n uint32) []byte {
		end := len(data) - int(n)
		b := data[end:]
		data = data[:end]
		return b
	}
	sum := uint64(0)
	if b := last(binary.BigEndian.Uint32(last(4))); len(b) > 0 {
		sum, _ = binary.Uvarint(b[1:])
	}
	if sum != uint64(crcOf(data)) {
		panic("checksum of a block")
	}
	b := block{offsets: last(4 * binary.BigEndian.Uint32(last(4)))}
	b.entries = data
	b.base = b.entries[4:][:binary.NativeEndian.Uint16(b.entries[2:])]
	return b, memory
}

func (b *block) len() int { return len(b.offsets) / 4 }

// entry returns entry i; its key, with version, is appended to dst, and its value is what Badger's ValueStruct has
// encoded.
func (b *block) entry(i int, dst []byte) (key, value []byte) {
	e := b.entries[binary.NativeEndian.Uint32(b.offsets[4*i:]):]
	if i+1 < b.len() {
		e = b.entries[binary.NativeEndian.Uint32(b.offsets[4*i:]):binary.NativeEndian.Uint32(b.offsets[4*i+4:])]
	}
	shared, rest := binary.NativeEndian.Uint16(e), binary.NativeEndian.Uint16(e[2:])
	key = append(append(dst, b.base[:shared]...), e[4:][:rest]...)
	return key, e[4+int(rest):]
}
