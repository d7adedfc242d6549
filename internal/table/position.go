package table

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/log"
)

func (t *Table) positionKey(i int32) []byte {
	return binary.BigEndian.AppendUint32(append(bytes.Clone(t.prefix), kindPosition), uint32(i))
}

// position is where a table is in a partition, as it is kept.
type position struct {
	next, start int64     // the offset that is read next, and the log start
	seen        time.Time // when the table had all that there was, in ms
	epoch       int32     // of the leader that has stored what was read last
}

const positionSize = 8 + 8 + 8 + 4

func (at position) encoded() []byte {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, positionSize), uint64(at.next))
	b = binary.BigEndian.AppendUint64(b, uint64(at.start))
	b = binary.BigEndian.AppendUint64(b, uint64(at.seen.UnixMilli()))
	return binary.BigEndian.AppendUint32(b, uint32(at.epoch))
}

// position returns where the table is in a partition; without one it is before the first record.
func (t *Table) position(i int32) (position, error) {
	b, err := t.rows.Get(t.positionKey(i))
	switch {
	case errors.Is(err, store.ErrNotFound):
		return position{}, nil
	case err == nil && len(b) != positionSize:
		err = fmt.Errorf("%w: a position of %d bytes", log.ErrCorruptValue, len(b))
	}
	if err != nil {
		return position{}, err
	}
	u := binary.BigEndian.Uint64
	return position{int64(u(b)), int64(u(b[8:])), time.UnixMilli(int64(u(b[16:]))), int32(binary.BigEndian.Uint32(b[24:]))}, nil
}

// resume sets of p what is kept, or reports that it is lost, as it is damaged. A table that was at the end of the log too long ago may have missed
// tombstones, which compaction has removed since.
func (t *Table) resume(p *part) (lost bool, err error) {
	at, err := t.position(p.index)
	if lost = store.Lost(err); err != nil && !lost {
		return false, err
	}
	now := time.Now()
	p.next.Store(at.next)
	p.start, p.seen, p.looked = at.start, now, -1
	if at.next == 0 {
		if here, ok := p.Partition.(Here); ok {
			p.epoch = here.Here().Log().LeaderEpoch()
		}
		return lost, nil
	}
	p.seen, p.epoch = at.seen, at.epoch
	if of, ok := t.topic.(interface{ DeleteRetention() time.Duration }); ok {
		p.away = now.Before(p.seen) || now.Sub(p.seen) >= of.DeleteRetention()
	}
	return false, nil
}

// at notes that the table has all that there was at a time.
func (p *part) at(now time.Time) { p.seen, p.away = now, false }

// whole reports whether batches have a record for each offset from one up to another: else compaction has been there.
func whole(read []opened, from, to int64) bool {
	for i := range read {
		o := &read[i]
		if o.gaps || o.base > from {
			return false
		}
		from = o.end
	}
	return from == to
}
