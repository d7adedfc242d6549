package store

import (
	"encoding/binary"
	"hash/crc32"
)

// An entry of a value file, as Badger writes it (logFile.encodeEntry):
//
//	meta u8 | user meta u8 | key length uvarint | value length uvarint | expiry uvarint | key | value | crc32c u32
//
// The checksum, big endian, covers what precedes it. A key carries its version, 8 bytes.
const (
	entryChecksum = 4
	minEntryKey   = 1 + 8
	maxEntryKey   = maxKeySize + 8
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// wholeEntry returns the length of the entry at the start of data, or 0 when there is
// none that is whole and could be ours.
func wholeEntry(data []byte) int {
	if len(data) < 2 {
		return 0
	}
	n := 2
	var fields [3]uint64
	for i := range fields {
		v, size := binary.Uvarint(data[n:])
		if size <= 0 {
			return 0
		}
		fields[i] = v
		n += size
	}
	key, value, expiry := fields[0], fields[1], fields[2]
	if key < minEntryKey || key > maxEntryKey || value == 0 || value > limitBytes || expiry != 0 {
		return 0
	}
	end := n + int(key) + int(value)
	if end+entryChecksum > len(data) {
		return 0
	}
	if crc32.Checksum(data[:end], castagnoli) != binary.BigEndian.Uint32(data[end:]) {
		return 0
	}
	return end + entryChecksum
}

// losesEntries reports whether a value file holds whole entries behind a damaged one.
// A torn or missing tail alone is no such damage: nothing follows it.
func losesEntries(file []byte) bool {
	pos := min(valueFileHeader, len(file))
	for {
		n := wholeEntry(file[pos:])
		if n == 0 {
			break
		}
		pos += n
	}
	for ; pos < len(file); pos++ {
		if file[pos] <= maxMeta && wholeEntry(file[pos:]) > 0 {
			return true
		}
	}
	return false
}

// maxMeta bounds the first byte of an entry: flags of which GC and commits leave the
// lowest three at most.
const maxMeta = 7
