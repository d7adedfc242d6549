package kafka

import (
	"encoding/binary"
	"fmt"
)

// A decoded Produce request has a place for every topic and every partition that it names, and
// the codec makes as many places as an array claims to have elements, before it looks for
// them. Frames of Produce are large: a hundred megabytes of nothing but claims would become
// gigabytes. So a request is walked first, which takes no memory: everything must be there,
// and what is named must be worth its bytes.
const (
	// The memory that each takes, at most, until it is answered.
	topicPlace     = 128
	partitionPlace = 448
	tagPlace       = 64

	// All of it may be as much as this, and as many times the frame. The smallest batch makes
	// a topic of one partition take 85 bytes of the frame, of a partition more 78.
	placesSlack = 512 << 10
	placesRatio = 8

	compactProduce = 9          // the first version with compact lengths and tags (KIP-482)
	topicIDProduce = 13         // and with ids in place of names
	nullLength     = ^uint64(0) // of a string, bytes or an array
)

// produceSize walks the body of a Produce request, without the header and its tags, and returns
// what it takes to carry it out, but for its frame and the records. It fails with errMalformed
// when the request is not whole, and when it names more than a frame of its length has batches
// for, or more than most bytes are needed for.
func produceSize(body []byte, version int16, most int) (int, error) {
	w := walker{b: body, compact: version >= compactProduce}
	if version >= 3 {
		w.skip(w.length(2)) // transactional id
	}
	w.skip(2 + 4) // acks, timeout
	for topics := w.count(); topics > 0 && !w.short; topics-- {
		w.memory += topicPlace
		if version >= topicIDProduce {
			w.skip(16)
		} else {
			w.skip(w.length(2))
		}
		for partitions := w.count(); partitions > 0 && !w.short; partitions-- {
			w.memory += partitionPlace
			w.skip(4)
			w.skip(w.length(4))
			w.tags()
		}
		w.tags()
	}
	w.tags()
	if w.short {
		return 0, fmt.Errorf("%w: Produce %d ends in the middle", errMalformed, version)
	}
	if most = min(most, placesSlack+placesRatio*len(body)); w.memory > most {
		return 0, fmt.Errorf("%w: Produce %d of %d bytes names topics and partitions worth %d bytes of memory, at most %d are given",
			errMalformed, version, len(body), w.memory, most)
	}
	return w.memory, nil
}

// walker goes over the fields of a request or its header. Once something is not there it is short and
// takes nothing any more.
type walker struct {
	b       []byte
	compact bool
	short   bool
	memory  int // that what was walked over takes
}

// take takes n bytes, none for nullLength.
func (w *walker) take(n uint64) (taken []byte) {
	if n == nullLength {
		return nil
	}
	if w.short || n > uint64(len(w.b)) {
		w.short = true
		return nil
	}
	taken, w.b = w.b[:n], w.b[n:]
	return taken
}

func (w *walker) skip(n uint64) { w.take(n) }

// length reads the length of a string or of bytes, of size bytes unless it is compact.
func (w *walker) length(size int) uint64 {
	switch {
	case w.short:
		return 0
	case w.compact:
		return w.uvarint() - 1 // 0 becomes nullLength
	case len(w.b) < size:
		w.short = true
		return 0
	}
	n := int64(int16(binary.BigEndian.Uint16(w.b)))
	if size == 4 {
		n = int64(int32(binary.BigEndian.Uint32(w.b)))
	}
	w.b = w.b[size:]
	w.short = n < -1
	return uint64(n) // -1 becomes nullLength
}

// count reads the length of an array.
func (w *walker) count() uint64 {
	n := w.length(4)
	if n == nullLength {
		return 0
	}
	return n
}

func (w *walker) uvarint() uint64 {
	x, n := binary.Uvarint(w.b)
	if n <= 0 {
		w.short = true
		return 1
	}
	w.b = w.b[n:]
	return x
}

func (w *walker) tags() {
	if !w.compact || w.short {
		return
	}
	for n := w.uvarint(); n > 0 && !w.short; n-- {
		w.memory += tagPlace
		w.uvarint()
		w.skip(w.uvarint())
	}
}
