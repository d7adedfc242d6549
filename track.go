package samsa

import (
	"fmt"

	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/partition"
)

// track is a partition as one consumer reads it. Its fields are guarded by the
// consumer's mutex.
//
// position <= next: the records between them were read ahead and are in chunks, in
// order. A seek throws them away and raises epoch, so that a read which is under way
// is thrown away too.
type track struct {
	tp        TopicPartition
	partition *partition.Partition
	position  int64 // of the next record that Poll returns
	next      int64 // of the next record to be read ahead
	epoch     int
	paused    bool
	stuck     bool // its error waits for Poll: not read until then, or until a seek
	unplaced  bool // has no position until a seek: an error comes in its place
	chunks    []chunk

	// For a consumer of a group:
	base  int64 // the lowest offset that it may have read since it was given the partition
	done  int64 // the position when Poll was called last: what came before is processed
	saved int64 // committed last; -1 for nothing, and after a seek back
}

// chunk is one batch that was read ahead, or the error in its place.
type chunk struct {
	reader log.RecordReader
	left   int   // records not yet taken, at most
	end    int64 // offset behind the batch
	bytes  int   // that it counts for
	err    error
}

// available returns how many records, at most, can be taken without waiting; an error
// counts for one.
func (tr *track) available() int {
	n := 0
	for i := range tr.chunks {
		n += max(1, tr.chunks[i].left)
	}
	return n
}

// take appends records to dst until the quota is spent or no more are ready. An error
// comes instead of the first record it stands in the way of.
func (tr *track) take(c *Consumer, dst []Record, q *quota) ([]Record, error) {
	for len(tr.chunks) > 0 && !q.spent() {
		ch := &tr.chunks[0]
		if ch.err != nil {
			err := ch.err
			tr.pop(c)
			return dst, err
		}
		var more bool
		var err error
		if dst, more, err = ch.take(tr, dst, q); err != nil {
			err = fmt.Errorf("%s: offset %d: %w", tr.tp, tr.position, err)
			tr.pop(c)
			return dst, err
		}
		if !more {
			tr.pop(c)
		}
	}
	return dst, nil
}

// take appends records of ch to dst; more tells that it may have further ones.
func (ch *chunk) take(tr *track, dst []Record, q *quota) (_ []Record, more bool, err error) {
	for !q.spent() {
		n := len(dst)
		if n < cap(dst) {
			dst = dst[:n+1]
		} else {
			dst = append(dst, Record{})
		}
		r := &dst[n]
		more, err := ch.reader.Next(r)
		if err != nil || !more {
			dst[n] = Record{}
			return dst[:n], false, err
		}
		if r.Offset < tr.position {
			dst = dst[:n]
			continue
		}
		r.Topic, r.Partition = tr.tp.Topic, tr.tp.Partition
		tr.position = r.Offset + 1
		ch.left--
		q.records--
		q.bytes -= recordBytes(r)
	}
	return dst, true, nil
}

func recordBytes(r *Record) int {
	n := len(r.Key) + len(r.Value)
	for i := range r.Headers {
		n += len(r.Headers[i].Key) + len(r.Headers[i].Value)
	}
	return max(1, n)
}

// pop ends the first chunk: the position is behind it now.
func (tr *track) pop(c *Consumer) {
	ch := &tr.chunks[0]
	tr.position = max(tr.position, ch.end)
	c.fetched -= ch.bytes
	tr.chunks[0] = chunk{}
	tr.chunks = tr.chunks[1:]
	if len(tr.chunks) == 0 {
		tr.chunks = nil
	}
}

// seek moves the position and forgets what was read ahead; it returns the bytes of that.
func (tr *track) seek(offset int64) (forgotten int) {
	for i := range tr.chunks {
		forgotten += tr.chunks[i].bytes
	}
	tr.chunks = nil
	tr.position, tr.next = offset, offset
	tr.base = min(tr.base, offset)
	tr.done = min(tr.done, offset)
	if offset < tr.saved {
		tr.saved = -1
	}
	tr.epoch++
	tr.stuck, tr.unplaced = false, false
	return forgotten
}
