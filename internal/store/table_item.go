package store

import (
	"encoding/binary"
	"math"
)

// An item in a table is a key and a value of Badger's, whose other fields are zero. Numbers are
// big endian.
//
//	key      key | 2^64-1 - commit u64
//	meta     1 set, 2 large, 3 delete: as the operations of a frame
//	value    number of the value file uvarint, then
//	  set    the value
//	  large  offset in that file uvarint | length uvarint | CRC-32C u32
//	  delete nothing

// kind is that of the operation that makes the item.
func (i *item) kind() byte {
	switch {
	case i.deleted:
		return opDelete
	case i.large:
		return opLarge
	}
	return opSet
}

// appendEncoded appends what a table has as the value of the item, whose meta byte is its kind.
func (i *item) appendEncoded(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, i.file)
	if !i.large {
		return append(dst, i.value...)
	}
	dst = binary.AppendUvarint(dst, uint64(i.at))
	dst = binary.AppendUvarint(dst, uint64(i.size))
	return binary.BigEndian.AppendUint32(dst, i.crc)
}

// decode reads what appendEncoded has written, and nothing else. A small value is that of b.
func (i *item) decode(meta byte, b []byte) bool {
	var numbers [3]uint64 // file, offset, length
	count := 1
	if meta == opLarge {
		count = 3
	}
	for k := range count {
		v, n := binary.Uvarint(b)
		if n <= 0 || (n > 1 && b[n-1] == 0) {
			return false
		}
		numbers[k], b = v, b[n:]
	}
	*i = item{file: numbers[0]}
	switch meta {
	case opSet:
		i.value = b
		return len(b) > 0 && len(b) < inlineThreshold
	case opDelete:
		i.deleted = true
		return len(b) == 0
	case opLarge:
		at, size := numbers[1], numbers[2]
		if at > math.MaxInt || size < inlineThreshold || size > limitBytes || len(b) != 4 {
			return false
		}
		i.large, i.place = true, place{at: int(at), size: int(size), crc: binary.BigEndian.Uint32(b)}
		return true
	}
	return false
}
