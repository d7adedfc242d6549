package share

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/samsa-go/samsa/log"
)

// What is stored of a group in a partition. Under the key of both, how far the group is:
//
//	+-----------+-------+
//	|version = 1| start |
//	|u8         |uvarint|
//	+-----------+-------+
//
// or, while another start takes the place of one with more chunks than a commit deletes, that these count no more, and where
// the group begins then; 0 is where its settings say:
//
//	+-----------+---------+
//	|version = 2| start+1 |
//	|u8         |uvarint  |
//	+-----------+---------+
//
// and under that with the number of a chunk, of its 256 offsets, runs from the first to the last:
//
//	+-----------+------------+-----------------------+----------------------+
//	|version = 1| n<<2 | kind| deliveries (kind 2, 3)| not before (kind 3)  |  ...
//	|u8         |uvarint     | uvarint               | uvarint, ms of epoch |
//	+-----------+------------+-----------------------+----------------------+
//
// Kinds are 0, nothing is known of these n offsets but what is in the log; 1, they are done; 2, they were delivered so
// often; 3, besides they come not before that time. Who had a record, and delays that the log tells, are not stored. A
// chunk of which nothing is stored is of kind 0.
const (
	storedVersion = 1
	voidVersion   = 2
)

// maxStart bounds where a group begins.
const maxStart = 1 << 62

const (
	runPlain = iota
	runDone
	runDelivered
	runDelayed
)

// maxChunkValue bounds the stored form of a chunk, in bytes.
const maxChunkValue = 1 + chunkOffsets*(1+3+9)

var errStored = fmt.Errorf("%w: state of a share group", log.ErrCorruptValue)

// encodeStart returns the stored form of a start offset.
func encodeStart(start int64) []byte {
	return binary.AppendUvarint([]byte{storedVersion}, uint64(start))
}

// decodeStart undoes encodeStart.
func decodeStart(v []byte) (int64, error) {
	if err := checkVersion(v); err != nil {
		return 0, err
	}
	return decodeOffset(v)
}

func decodeOffset(v []byte) (int64, error) {
	offset, n := binary.Uvarint(v[1:])
	if n <= 0 || n != len(v)-1 || offset > maxStart {
		return 0, fmt.Errorf("%w: %x is not an offset", errStored, v)
	}
	return int64(offset), nil
}

// encodeVoid returns what is stored in the place of a start while chunks are stored that count no more; -1 is none.
func encodeVoid(begins int64) []byte {
	return binary.AppendUvarint([]byte{voidVersion}, uint64(begins+1))
}

// decodeVoid undoes encodeVoid; false if v is a start.
func decodeVoid(v []byte) (begins int64, ok bool, err error) {
	if len(v) == 0 || v[0] != voidVersion {
		return 0, false, nil
	}
	begins, err = decodeOffset(v)
	return begins - 1, true, err
}

func checkVersion(v []byte) error {
	if len(v) == 0 || v[0] != storedVersion {
		return fmt.Errorf("%w: no version %d: %x", errStored, storedVersion, v[:min(len(v), 1)])
	}
	return nil
}

// run is offsets of a chunk that are alike.
type run struct {
	kind, n    int
	deliveries uint16
	untilMs    int64
}

func (r run) like(s run) bool {
	return r.kind == s.kind && r.deliveries == s.deliveries && r.untilMs == s.untilMs
}

func (r run) append(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(r.n)<<2|uint64(r.kind))
	if r.kind >= runDelivered {
		dst = binary.AppendUvarint(dst, uint64(r.deliveries))
	}
	if r.kind == runDelayed {
		dst = binary.AppendUvarint(dst, uint64(r.untilMs))
	}
	return dst
}

// encode returns the stored form of c.
func (c *chunk) encode() []byte {
	dst := append(make([]byte, 0, 32), storedVersion)
	var last run
	open := c.open
	for i := range chunkOffsets {
		now := run{kind: runPlain}
		switch {
		case has(&c.done, uint8(i)):
			now.kind = runDone
		case len(open) > 0 && int(open[0].index) == i:
			now = open[0].run()
		}
		if len(open) > 0 && int(open[0].index) == i {
			open = open[1:]
		}
		if last.n > 0 && !last.like(now) {
			dst = last.append(dst)
			last = run{}
		}
		now.n = last.n + 1
		last = now
	}
	return last.append(dst)
}

func (s *slot) run() run {
	switch {
	case s.deliveries == 0:
		return run{kind: runPlain}
	case s.state == Available && s.untilMs > 0:
		return run{kind: runDelayed, deliveries: s.deliveries, untilMs: s.untilMs}
	}
	return run{kind: runDelivered, deliveries: s.deliveries}
}

var errRun = errors.New("a run that cannot be")

// decodeChunk undoes encode. A value that is not from there is ErrCorruptValue.
func decodeChunk(v []byte) (*chunk, error) {
	if err := checkVersion(v); err != nil {
		return nil, err
	}
	c := &chunk{kept: true}
	at := 0
	for rest := v[1:]; len(rest) > 0; {
		var r run
		var err error
		if r, rest, err = cutRun(rest); err != nil || r.n > chunkOffsets-at {
			return nil, fmt.Errorf("%w: at %d of %d offsets: %w", errStored, at, chunkOffsets, errRun)
		}
		for range r.n {
			switch r.kind {
			case runDone:
				set(&c.done, uint8(at))
			case runDelivered, runDelayed:
				c.open = append(c.open, slot{index: uint8(at), deliveries: r.deliveries, untilMs: r.untilMs, state: Available})
			}
			at++
		}
	}
	if at != chunkOffsets {
		return nil, fmt.Errorf("%w: %d of %d offsets", errStored, at, chunkOffsets)
	}
	return c, nil
}

func cutRun(b []byte) (r run, rest []byte, err error) {
	var fields [3]uint64
	n := 1
	for i := 0; i < n; i++ {
		x, size := binary.Uvarint(b)
		if size <= 0 {
			return r, nil, errRun
		}
		fields[i], b = x, b[size:]
		if i == 0 && x&3 >= runDelivered {
			n = int(x & 3)
		}
	}
	if fields[0]>>2 == 0 || fields[0]>>2 > chunkOffsets || fields[1] > 1<<16-1 || fields[2] > 1<<62 || n >= 2 && fields[1] == 0 {
		return r, nil, errRun
	}
	return run{kind: int(fields[0] & 3), n: int(fields[0] >> 2), deliveries: uint16(fields[1]), untilMs: int64(fields[2])}, b, nil
}

// Change is something to be stored: a chunk, or how far the group is (Chunk -1). A nil Value is a deletion.
type Change struct {
	Chunk int64
	Value []byte
}

// Pending returns how many Changes have to be stored.
func (p *Partition) Pending() int {
	if p.headNew {
		return len(p.dirty) + 1
	}
	return len(p.dirty)
}

// Changes returns what is to be stored, at most so many: the others another time. They count as stored.
func (p *Partition) Changes(most int) []Change {
	all := make([]Change, 0, min(most, p.Pending()+len(p.gone)))
	all = p.appendStart(all)
	n := min(len(p.dirty), max(0, most-len(all)))
	for _, number := range p.dirty[:n] {
		all = p.appendChunk(all, number)
	}
	p.dirty = append(p.dirty[:0], p.dirty[n:]...)
	n = min(len(p.gone), max(0, most-len(all)))
	for _, number := range p.gone[:n] {
		all = append(all, Change{Chunk: number})
	}
	p.gone = append(p.gone[:0], p.gone[n:]...)
	return all
}

// ChangesOf is Changes of what Settle has changed, at most Extent of the same, appended to all.
func (p *Partition) ChangesOf(acks []Ack, all []Change) []Change {
	all = p.appendStart(all)
	for i := range acks {
		for number := max(acks[i].First, p.start) / chunkOffsets; number <= acks[i].Last/chunkOffsets; number++ {
			all = p.appendChunk(all, number)
		}
	}
	return all
}

// Extent returns how many Changes acks make at most.
func Extent(acks []Ack) int {
	n := int64(1)
	for i := range acks {
		n += acks[i].Last/chunkOffsets - acks[i].First/chunkOffsets + 1
	}
	return int(min(n, math.MaxInt32))
}

func (p *Partition) appendStart(all []Change) []Change {
	if !p.headNew {
		return all
	}
	p.headNew = false
	return append(all, Change{Chunk: -1, Value: encodeStart(p.start)})
}

func (p *Partition) appendChunk(all []Change, number int64) []Change {
	c, _ := p.window.at(number * chunkOffsets)
	if c == nil || !c.dirty {
		return all // stored, or behind the start by now
	}
	all = append(all, Change{Chunk: number, Value: c.encode()})
	c.dirty, c.kept = false, true
	if c.whole() {
		p.window.put(number, allDone)
	}
	return all
}

// Kept returns the numbers of the chunks of which something is stored.
func (p *Partition) Kept() []int64 {
	all := slices.Clone(p.gone)
	p.window.each(func(number int64, c *chunk) {
		if c.kept {
			all = append(all, number)
		}
	})
	return all
}

// Restore returns the states of a group from what is stored: how far it is, and the chunks by number, in a log that
// ends at end, behind which a group may begin. What is wrong with it is ErrCorruptValue.
func Restore(start []byte, chunks map[int64][]byte, end int64) (*Partition, error) {
	at, err := decodeStart(start)
	if err != nil {
		return nil, err
	}
	p := NewPartition(at)
	p.headNew = false
	for _, number := range slices.Sorted(maps.Keys(chunks)) {
		c, err := decodeChunk(chunks[number])
		if err == nil && number > max(at, end)/chunkOffsets {
			err = fmt.Errorf("%w: the log ends at %d", errStored, end)
		}
		if err != nil {
			return nil, fmt.Errorf("chunk %d: %w", number, err)
		}
		if (number+1)*chunkOffsets <= at {
			p.gone = append(p.gone, number) // left over from where the group was before
			continue
		}
		if c.whole() {
			c = allDone
		}
		p.window.put(number, c)
	}
	return p, nil
}
