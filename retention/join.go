package retention

import (
	"github.com/samsa-go/samsa/log"
)

const (
	joinBytes = 64 << 10 // of records, uncompressed: what small batches are joined to
	largeSize = joinBytes / 2
)

// filtered is a stored batch of which it is decided which records stay.
type filtered struct {
	source  source
	batch   log.Batch
	records []byte // decompressed
	keep    []bool // by index of the record; nil: all of them
	kept    int
	size    int   // of the records that stay, uncompressed, about
	lost    count // what goes

	tombstones bool  // some stay
	horizon    int64 // and go then, in ms; 0: not decided
	marked     bool  // the batch does not have the horizon yet

	unbound bool // it is of a transaction, and will not be
	forgets bool // it is the marker of an aborted transaction, of which nothing is known then
}

// unchanged reports whether the batch may stay as it is.
func (f *filtered) unchanged() bool { return f.keep == nil && !f.marked && !f.unbound }

// count is what rewrites have removed.
type count struct {
	records, tombstones int64
	aborted             int64 // of the records
	markers             int64 // of transactions
	bytes               int64 // stored, of what was replaced
	newBytes            int64
	batches, newBatches int64
}

func (c *count) add(d count) {
	c.records += d.records
	c.tombstones += d.tombstones
	c.aborted += d.aborted
	c.markers += d.markers
	c.bytes += d.bytes
	c.newBytes += d.newBytes
	c.batches += d.batches
	c.newBatches += d.newBatches
}

// joiner gathers neighbouring batches to be rewritten as one.
//
// Batches are joined while they stay below joinBytes together. A batch that loses
// nothing is left alone if it is large, or has no small neighbour. Where all
// records of a batch go its neighbour is widened to cover the offsets: the one before it,
// or else the one behind it. Only where neither may be touched an empty batch stays.
//
// Batches whose records have the time of the append are joined only if that time is
// the same, and batches with tombstones only if their delete horizon is: these are kept
// once for the whole batch.
//
// A marker of a transaction is not joined, neither as it is nor when it is replaced. Once it goes it is an emptied
// batch.
type joiner struct {
	rewriter *rewriter
	codec    log.Codec
	sealed   count // in the rewriter and not yet flushed

	// The batches gathered. While there is but one, which loses nothing, it is
	// lone: its records are in loneHead and loneRecords and not in the builder.
	sources     []source
	markers     []int64   // of aborted transactions to be forgotten, among the sources
	ready       log.Batch // what takes the place of the one that was gathered, if it is encoded already
	base, last  int64     // the offsets covered
	records     int
	size        int // of the records, uncompressed
	codecOf     log.Codec
	appendTime  bool
	maxTime     int64 // of all sources, or the one append time if there are records
	tombstones  bool
	horizon     int64 // of the tombstones, ms
	stored      count
	lone        bool
	loneHead    log.Batch
	loneRecords []byte
	builder     log.SparseBuilder
}

// entries is how many sources were gathered, and transactions to be forgotten.
func (j *joiner) entries() int { return len(j.sources) + len(j.markers) }

// full reports whether there is no room for one more of each.
func (j *joiner) full() bool { return j.entries()+1 >= j.rewriter.maxSources() }

// must reports whether flush must be called before the next add: the rewriter has no room
// for what was gathered besides what it has, or an emptied stretch has become too long.
func (j *joiner) must() bool {
	size := max(len(j.ready), j.builder.Size()+log.HorizonBytes*j.records)
	return !j.lone && len(j.sources) > 0 && (j.records == 0 && j.full() || !j.rewriter.fits(j.entries(), size))
}

// flush has the rewriter write what it holds. What was gathered stays, unless it is an
// emptied stretch that has become too long: that is stored as an empty batch, and
// goes on from there.
func (j *joiner) flush() error {
	if err := j.rewriter.flush(); err != nil {
		return err
	}
	if j.records > 0 || j.lone || !j.full() {
		return nil
	}
	batch, err := j.seal()
	if err != nil {
		return err
	}
	own := j.submit(batch)
	if err := j.rewriter.flush(); err != nil {
		return err
	}
	j.begin(&filtered{source: own, batch: batch})
	return nil
}

// add gathers f, having closed what was gathered before if f does not go with it.
func (j *joiner) add(f *filtered) error {
	if len(j.sources) > 0 && !j.takes(f) {
		if err := j.close(); err != nil {
			return err
		}
	}
	b := f.batch
	if len(j.sources) == 0 {
		j.begin(f)
		if j.lone {
			return nil
		}
	} else if err := j.unlone(); err != nil {
		return err
	}
	if f.kept > 0 {
		if j.records == 0 {
			j.appendTime, j.maxTime = b.LogAppendTime(), b.MaxTimestamp()
		}
		if err := j.copy(b, f.records, f.keep); err != nil {
			return err
		}
		j.codecOf = b.Codec()
	} else if j.records == 0 {
		j.maxTime = max(j.maxTime, b.MaxTimestamp())
	}
	j.include(f)
	return nil
}

// replace gathers f, having closed what was gathered before, which b will take the place of. The joiner
// keeps b.
func (j *joiner) replace(f *filtered, b log.Batch) error {
	if err := j.close(); err != nil {
		return err
	}
	f.marked, f.kept = true, b.Records()
	j.begin(f)
	j.include(f)
	j.ready = b
	return nil
}

// takes reports whether f goes with what was gathered.
func (j *joiner) takes(f *filtered) bool {
	b := f.batch
	switch {
	case j.ready != nil || b.BaseOffset() != j.last+1 || b.LastOffset()-j.base >= log.MaxSpan || j.full():
		return false
	case f.kept == 0 || j.records == 0:
		return true
	case b.LogAppendTime() != j.appendTime || j.appendTime && b.MaxTimestamp() != j.maxTime:
		return false
	case f.tombstones && j.tombstones && f.horizon != j.horizon:
		return false
	case j.lone && j.size >= largeSize || f.unchanged() && f.size >= largeSize:
		return false
	}
	return j.size+f.size <= joinBytes
}

// begin starts with f, whose records it takes only if f is lone.
func (j *joiner) begin(f *filtered) {
	b := f.batch
	j.base, j.maxTime = b.BaseOffset(), b.MaxTimestamp()
	j.records, j.size, j.appendTime, j.stored = 0, 0, b.LogAppendTime(), count{}
	j.tombstones, j.horizon = false, 0
	j.builder.Reset(j.base)
	if j.lone = f.unchanged(); j.lone {
		j.loneHead = append(j.loneHead[:0], b[:log.BatchHeaderSize]...)
		j.loneRecords = append(j.loneRecords[:0], f.records...)
		j.codecOf = b.Codec()
		j.include(f)
	}
}

// include accounts for f.
func (j *joiner) include(f *filtered) {
	j.sources = append(j.sources, f.source)
	if f.forgets {
		j.markers = append(j.markers, f.source.lastOffset)
	}
	j.last = f.source.lastOffset
	j.records += f.kept
	j.size += f.size
	if f.tombstones {
		j.tombstones, j.horizon = true, f.horizon
	}
	j.stored.add(f.lost)
	j.stored.add(count{bytes: int64(len(f.batch)), batches: 1})
}

// unlone moves the records of a lone batch to the builder.
func (j *joiner) unlone() error {
	if !j.lone {
		return nil
	}
	j.lone = false
	return j.copy(j.loneHead, j.loneRecords, nil)
}

// copy adds the records of b that stay to the builder.
func (j *joiner) copy(b log.Batch, records []byte, keep []bool) error {
	r := log.NewRecordReader(b, records)
	var rec log.Record
	for i := 0; ; i++ {
		more, err := r.Next(&rec)
		if err != nil || !more {
			return err
		}
		if keep != nil && !keep[i] {
			continue
		}
		if err := j.builder.Append(&rec); err != nil {
			return err
		}
	}
}

// close hands what was gathered to the rewriter, unless it is as it was. It writes nothing.
func (j *joiner) close() error {
	if len(j.sources) == 0 || j.lone {
		j.sources = j.sources[:0] // no markers
		return nil
	}
	batch, err := j.seal()
	if err != nil {
		return err
	}
	_ = j.submit(batch)
	return nil
}

// submit hands batch to the rewriter in place of what was gathered, and returns what it is to be.
func (j *joiner) submit(batch log.Batch) source {
	own := j.rewriter.add(j.sources, batch, j.markers...)
	j.sealed.add(j.stored)
	j.sealed.add(count{newBytes: int64(len(batch)), newBatches: 1})
	j.sources, j.markers, j.ready = j.sources[:0], j.markers[:0], nil
	return own
}

// seal encodes the new batch. A large one, which was not joined, keeps its codec: then it
// does not grow.
func (j *joiner) seal() (log.Batch, error) {
	if j.ready != nil {
		return j.ready, nil
	}
	codec := j.codec
	if j.size > joinBytes {
		codec = j.codecOf
	}
	return j.builder.Seal(codec, log.Cover{
		LastOffset: j.last, LogAppendTime: j.appendTime, MaxTimestamp: j.maxTime, DeleteHorizon: j.horizon,
	})
}
