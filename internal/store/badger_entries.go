package store

import (
	"encoding/binary"
	"hash/crc32"
	"iter"
)

// A value file and the log of a memtable begin with the number of a key (0: no
// encryption) and an initialisation vector, both unused. Then come entries, as Badger
// writes them (logFile.encodeEntry):
//
//	meta u8 | user meta u8 | key length uvarint | value length uvarint | expiry uvarint | key | value | crc32c u32
//
// The checksum, big endian, covers what precedes it. A key carries its version, 8 bytes.
const (
	logHeaderSize = 8 + 12
	entryChecksum = 4
	maxHeaderSize = 22
	minEntryKey   = 1 + 8
	maxEntryKey   = maxKeySize + 8
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// entryHeader holds the lengths at the start of an entry.
type entryHeader struct {
	size       int // of the header itself
	key, value uint64
	expiry     uint64
}

// parseHeader reads the header at the start of data.
func parseHeader(data []byte) (h entryHeader, ok bool) {
	h.size = 2
	for _, field := range []*uint64{&h.key, &h.value, &h.expiry} {
		if h.size >= len(data) {
			return h, false
		}
		v, n := binary.Uvarint(data[h.size:])
		if n <= 0 {
			return h, false
		}
		*field = v
		h.size += n
	}
	return h, true
}

// plausible reports whether this could be the header of an entry that we wrote.
func (h entryHeader) plausible() bool {
	return h.key >= minEntryKey && h.key <= maxEntryKey && h.value <= limitBytes && h.expiry == 0
}

// entryValueSize returns the length of the value in an entry of the given length, with
// a key of the given length without its version.
func entryValueSize(entry, key int) int {
	key += minEntryKey - 1
	rest := entry - 2 - uvarintSize(key) - 1 - key - entryChecksum // the value and its length
	for n := 1; ; n++ {
		if value := rest - n; uvarintSize(max(value, 0)) <= n {
			return max(value, 0)
		}
	}
}

// wholeEntry returns the length of the entry at the start of data, or 0 when there is
// none that is whole and could be ours.
func wholeEntry(data []byte) int {
	h, ok := parseHeader(data)
	if !ok || !h.plausible() {
		return 0
	}
	end := h.size + int(h.key) + int(h.value)
	if end+entryChecksum > len(data) {
		return 0
	}
	if crc32.Checksum(data[:end], castagnoli) != binary.BigEndian.Uint32(data[end:]) {
		return 0
	}
	return end + entryChecksum
}

// wholeEntries returns the position after the last whole entry of a value file or a
// memtable log, counted from its start up to the first damage.
func wholeEntries(file []byte) int {
	pos := min(logHeaderSize, len(file))
	for {
		n := wholeEntry(file[pos:])
		if n == 0 {
			return pos
		}
		pos += n
	}
}

// entriesOf iterates over the keys, versions and values of the whole entries at the start
// of a value file.
func entriesOf(file []byte) iter.Seq2[stored, []byte] {
	return func(yield func(stored, []byte) bool) {
		for pos := min(logHeaderSize, len(file)); ; {
			n := wholeEntry(file[pos:])
			if n == 0 {
				return
			}
			entry := file[pos : pos+n]
			h, _ := parseHeader(entry)
			at := h.size + int(h.key)
			if !yield(storedUnder(entry[h.size:at]), entry[at:n-entryChecksum]) {
				return
			}
			pos += n
		}
	}
}

// losesEntries reports whether a value file holds whole entries behind a damaged one.
// A torn or missing tail alone is no such damage: nothing follows it.
func losesEntries(file []byte) bool {
	for pos := wholeEntries(file); pos < len(file); pos++ {
		if file[pos] <= maxMeta && wholeEntry(file[pos:]) > 0 {
			return true
		}
	}
	return false
}

// maxMeta bounds the first byte of an entry in a value file: flags, of which commits and
// GC leave the lowest three at most.
const maxMeta = 7
