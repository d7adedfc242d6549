package retention

import (
	"bytes"
	"crypto/sha256"
	"hash/maphash"
)

// keyMap is the memory of a cleaning pass: for each key the offset of its latest record.
//
// It holds the keys themselves, and compares them, so that no collision of hashes can
// take one record for the successor of another and lose it. Only of keys longer than
// maxKept it holds the SHA-256 in their place. A key costs about 21 to 43 bytes and its
// own length or 33; while the table grows, by half as much again.
type keyMap struct {
	seed  maphash.Seed
	slots []slot // a power of two; linear probing, at most three quarters full
	used  int
	limit int // bytes
	arena [][]byte
	bytes int // used of arena
}

// slot is one key: its bytes are at pos-1 of the arena, and pos is 0 when there is none.
type slot struct {
	tag    uint32 // of the hash
	pos    uint32
	offset int64
}

const (
	maxKept   = 64
	arenaSize = 64 << 10 // 65536 of them fit the positions, beyond any limit
	slotSize  = 16
	minSlots  = 8

	maxMapBytes = 1 << 30 // so that positions have room
)

func newKeyMap(limit int) *keyMap {
	return &keyMap{seed: maphash.MakeSeed(), limit: min(limit, maxMapBytes)}
}

// reset empties the map and keeps its memory.
func (m *keyMap) reset() {
	clear(m.slots)
	for i := range m.arena {
		m.arena[i] = m.arena[i][:0]
	}
	if len(m.arena) > 1 {
		m.arena = append(m.arena[:0:0], m.arena[0])
	}
	m.used, m.bytes = 0, 0
}

// put notes that the latest record of key is at offset. It returns false, and has not
// done so, when the key is a new one and there is no room; the first few always fit.
func (m *keyMap) put(key []byte, offset int64) bool {
	var digest [sha256.Size]byte
	stored, kind := identity(key, &digest)
	tag := uint32(maphash.Bytes(m.seed, stored))
	if len(m.slots) > 0 {
		if s := m.find(tag, kind, stored); s.pos != 0 {
			s.offset = offset
			return true
		}
	}
	if !m.room(1 + len(stored)) {
		return false
	}
	*m.find(tag, kind, stored) = slot{tag: tag, pos: m.keep(kind, stored), offset: offset}
	m.used++
	return true
}

// get returns the latest offset of key.
func (m *keyMap) get(key []byte) (int64, bool) {
	if m.used == 0 {
		return 0, false
	}
	var digest [sha256.Size]byte
	stored, kind := identity(key, &digest)
	s := m.find(uint32(maphash.Bytes(m.seed, stored)), kind, stored)
	return s.offset, s.pos != 0
}

// identity returns what is kept of key, and a byte before it: its length, or 255 for a
// digest, which is written to digest.
func identity(key []byte, digest *[sha256.Size]byte) ([]byte, byte) {
	if len(key) <= maxKept {
		return key, byte(len(key))
	}
	*digest = sha256.Sum256(key)
	return digest[:], 255
}

// find returns the slot of the key, or the free one where it belongs.
func (m *keyMap) find(tag uint32, kind byte, stored []byte) *slot {
	mask := uint32(len(m.slots) - 1)
	for i := tag & mask; ; i = (i + 1) & mask {
		s := &m.slots[i]
		if s.pos == 0 || s.tag == tag && m.holds(s.pos, kind, stored) {
			return s
		}
	}
}

func (m *keyMap) holds(pos uint32, kind byte, stored []byte) bool {
	at := m.arena[(pos-1)/arenaSize][(pos-1)%arenaSize:]
	return at[0] == kind && bytes.Equal(at[1:1+len(stored)], stored)
}

// keep copies a key to the arena and returns its position.
func (m *keyMap) keep(kind byte, stored []byte) uint32 {
	n := len(m.arena)
	if n == 0 || len(m.arena[n-1])+1+len(stored) > arenaSize {
		m.arena = append(m.arena, make([]byte, 0, arenaSize))
		n++
	}
	chunk := m.arena[n-1]
	pos := (n-1)*arenaSize + len(chunk)
	m.arena[n-1] = append(append(chunk, kind), stored...)
	m.bytes += 1 + len(stored)
	return uint32(pos) + 1
}

// room makes room for one more key of so many bytes, if the limit allows.
func (m *keyMap) room(size int) bool {
	need := m.bytes + size + slotSize*len(m.slots)
	if m.used < len(m.slots)*3/4 {
		return need <= m.limit || m.used < minSlots*3/4
	}
	slots := max(minSlots, 2*len(m.slots))
	if need+slotSize*slots > m.limit && slots > minSlots {
		return false
	}
	old := m.slots
	m.slots = make([]slot, slots)
	mask := uint32(slots - 1)
	for _, s := range old {
		if s.pos == 0 {
			continue
		}
		i := s.tag & mask
		for m.slots[i].pos != 0 {
			i = (i + 1) & mask
		}
		m.slots[i] = s
	}
	return true
}
