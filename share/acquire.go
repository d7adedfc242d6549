package share

import (
	"bytes"
	"context"
	"fmt"
	"hash/maphash"
	"slices"
	"sort"
	"strconv"
	"time"

	"github.com/samsa-go/samsa/log"
)

// NotBefore is the key of the header that says before when no queue delivers a record: ms since the epoch, as decimal
// digits. What is no such number says nothing. No KIP has it: to other consumers it is a header like others.
const NotBefore = "samsa.not.before"

// AcquireRequest is who wants records.
type AcquireRequest struct {
	Key
	Member     string
	MaxRecords int
	// WholeBatches allows more than MaxRecords, up to the end of a stored batch (KIP-1206's batch_optimized).
	WholeBatches bool
	Client       string // client id, for the test kit
	// Reset is where the group begins if the partition is new to it; nil is where its settings say.
	Reset *Reset
}

// Delivery is a record that was acquired. Its bytes are the caller's.
type Delivery struct {
	Record     log.Record
	Deliveries int       // this is the so manieth
	Until      time.Time // when the lock ends
	Lease      uint64    // of the states it is of: another one when the group begins anew
}

// enter has the turn be the caller's, until leave, and a state be there.
func (c *Coordinator) enter(ctx context.Context, k Key, s Settings) (*entry, error) {
	if c.opts.ReadOnly {
		return nil, fmt.Errorf("%s: %w", k, log.ErrReadOnly)
	}
	en, err := c.find(k, true)
	if err == nil {
		err = en.take(ctx)
	}
	if err != nil {
		return nil, err
	}
	if err := en.begin(ctx, s); err != nil {
		en.turn.Give()
		return nil, err
	}
	return en, nil
}

// settingsFor returns those of the group of a request.
func (c *Coordinator) settingsFor(req *AcquireRequest) Settings {
	s := c.settings(req.Group)
	if req.Reset != nil {
		s.Reset = *req.Reset
	}
	return s
}

// Initialize makes the state of a group in a partition, if there is none: from now on it is about what comes.
func (c *Coordinator) Initialize(ctx context.Context, k Key) error {
	en, err := c.enter(ctx, k, c.settings(k.Group))
	if err == nil {
		en.turn.Give()
	}
	return err
}

// InitializeAt is Initialize that has the group begin where reset says.
func (c *Coordinator) InitializeAt(ctx context.Context, k Key, reset Reset) error {
	s := c.settings(k.Group)
	s.Reset = reset
	en, err := c.enter(ctx, k, s)
	if err == nil {
		en.turn.Give()
	}
	return err
}

// AcquireInto acquires what is available, and gives the stored batches that hold it, whole, in the order of offsets.
// Place is told the length of a batch before it is read, and returns the memory that it shall live in, or false to stop
// before it; the batch stays as it is. Fn gets it with the ranges that were acquired of it, which are records all. For
// a batch of which in the end nothing could be had it is not called, and place is asked again for the next one.
//
// It does not wait: nothing available is nil. A damaged batch is ErrCorruptRecord once, and its records are done: nobody
// can read them.
func (c *Coordinator) AcquireInto(ctx context.Context, req AcquireRequest, place func(length int) ([]byte, bool), fn func(log.StoredBatch, []Range)) error {
	s := c.settingsFor(&req)
	en, err := c.enter(ctx, req.Key, s)
	if err != nil {
		return err
	}
	defer en.tend()
	defer en.turn.Give()
	a := acquiring{en: en, req: req, s: s, r: s.rules(), left: req.MaxRecords}
	for a.left > 0 {
		from, end, ok := a.next()
		if !ok {
			return nil
		}
		seen, refused := from, false
		err := en.part.FetchInto(ctx, req.Client, s.Isolation, from, func(length int) ([]byte, bool) {
			memory, ok := place(length)
			refused = !ok
			return memory, ok
		}, func(sb log.StoredBatch) bool {
			b := scan(sb, s.OrderByKey)
			ranges, more := a.from(b, seen)
			seen = b.last + 1
			if len(ranges) > 0 {
				fn(sb, ranges)
			}
			return more
		})
		if err == nil && !refused && seen == from {
			a.nothing(from, end)
		}
		if err == nil {
			err = a.damaged
		}
		if err != nil {
			return en.wrap(err)
		}
		if refused {
			return nil
		}
	}
	return nil
}

// acquiring is one call that acquires.
type acquiring struct {
	en      *entry
	req     AcquireRequest
	s       Settings
	r       Rules
	left    int    // records still wanted
	lease   uint64 // of the states that from is about
	again   bool   // what is at from was taken in before
	damaged error
}

// next returns where to read on, in a log that ends at end for members; false if there is nothing to be had.
func (a *acquiring) next() (from, end int64, ok bool) {
	en := a.en
	end = en.end(a.s.Isolation)
	en.mu.Lock()
	defer en.mu.Unlock()
	if en.closed || en.states == nil {
		return 0, 0, false
	}
	a.lease = en.lease
	en.states.Reorder(a.s.OrderByKey)
	en.expireLocked(nowMs(), a.r)
	if a.s.MaxInFlight <= en.states.Acquired() {
		en.refuseLocked()
		return 0, 0, false
	}
	from = en.states.FirstReady(0)
	if a.again = from >= 0; a.again {
		return from, end, true
	}
	if from = en.states.Next(); from < end && en.states.Blocked() >= maxBlocked {
		en.refuseLocked()
		return 0, 0, false
	}
	return from, end, from < end
}

// from takes in a batch, and acquires of it. From seen on nothing is known that comes before it. It reports whether the
// next batch is wanted.
func (a *acquiring) from(b scanned, seen int64) (got []Range, more bool) {
	en := a.en
	en.mu.Lock()
	defer en.mu.Unlock()
	if en.closed || en.lease != a.lease {
		return nil, false
	}
	a.takeLocked(b, seen)
	now := soonMs()
	most := min(a.left, a.s.MaxInFlight-en.states.Acquired())
	if a.req.WholeBatches && most == a.left {
		most = a.s.MaxInFlight - en.states.Acquired()
	}
	got = en.states.Acquire(now, a.req.Member, b.base, b.last, most, a.r)
	for _, r := range got {
		n := int(r.Last - r.First + 1)
		a.left -= n
		en.given += int64(n)
	}
	next := en.states.FirstReady(0)
	if next < 0 {
		next = en.states.Next()
	}
	return got, a.left > 0 && next == b.last+1 && en.states.Acquired() < a.s.MaxInFlight && en.states.Blocked() < maxBlocked
}

// takeLocked takes in what is new of a batch.
func (a *acquiring) takeLocked(b scanned, seen int64) {
	en := a.en
	en.states.Gone(seen, b.base-1)
	if b.err != nil {
		a.damaged = b.err
		en.counts.Archived += en.states.Gone(b.base, b.last)
		if open := b.last + 1 - max(en.states.Next(), b.base); open > 0 {
			en.counts.Archived += open
		}
	}
	if b.last >= en.states.Next() {
		en.states.Take(nowMs(), b.last, b.all, b.entries, a.r)
		en.noteLetters(nil)
	}
}

// nothing notes that the log has nothing from one offset up to another.
func (a *acquiring) nothing(from, end int64) {
	en := a.en
	en.mu.Lock()
	defer en.mu.Unlock()
	if en.closed || en.lease != a.lease || end <= from {
		return
	}
	en.states.Gone(from, end-1)
	if end > en.states.Next() {
		en.states.Take(nowMs(), end-1, false, nil, a.r)
	}
}

// scanned is a stored batch as it is taken in.
type scanned struct {
	base, last int64
	all        bool // there is a record at each offset, and nothing is to be said of any
	entries    []Entry
	records    []log.Record
	size       int // in bytes, as stored
	err        error
}

var keySeed = maphash.MakeSeed()

// keyNumber returns what stands for a key, 0 for none.
func keyNumber(key []byte) uint64 {
	if key == nil {
		return 0
	}
	return max(1, maphash.Bytes(keySeed, key))
}

// scan looks what a batch has, without its records.
func scan(sb log.StoredBatch, keys bool) scanned { return look(sb, keys, false) }

// look looks what a batch has.
func look(sb log.StoredBatch, keys, keep bool) (b scanned) {
	b.last = sb.LastOffset
	if sb.Err != nil {
		b.base, b.err = sb.LastOffset, sb.Err
		return b
	}
	b.base, b.size = sb.Batch.BaseOffset(), len(sb.Batch)
	if sb.Aborted || sb.Batch.Control() {
		return b
	}
	raw, ok := sb.Batch.EncodedRecords()
	if !ok {
		var err error
		if raw, err = sb.Batch.AppendRecords(nil); err != nil {
			b.err = err
			return b
		}
	}
	delayed := bytes.Contains(raw, []byte(NotBefore))
	whole := int64(sb.Batch.Records()) == b.last-b.base+1
	b.all = whole && !delayed && !keys
	if b.all && !keep {
		return b
	}
	reader := log.NewRecordReader(sb.Batch, raw)
	if keep {
		b.records = make([]log.Record, 0, sb.Batch.Records())
	}
	for {
		var rec log.Record
		more, err := b.read(&reader, &rec, keep || delayed)
		if err != nil {
			return scanned{base: b.base, last: b.last, err: err}
		}
		if !more {
			return b
		}
		if keep {
			b.records = append(b.records, rec)
		}
		if !b.all {
			e := Entry{Offset: rec.Offset, DueMs: notBefore(rec.Headers)}
			if keys {
				e.Key = keyNumber(rec.Key)
			}
			b.entries = append(b.entries, e)
		}
	}
}

func (b *scanned) read(reader *log.RecordReader, rec *log.Record, headers bool) (more bool, err error) {
	if headers {
		return reader.Next(rec)
	}
	_, more, err = reader.Skim(rec)
	return more, err
}

// notBefore returns what the header of that name says, 0 for nothing.
func notBefore(headers []log.Header) int64 {
	for _, h := range headers {
		if h.Key == NotBefore {
			if ms, err := strconv.ParseInt(string(h.Value), 10, 64); err == nil && ms > 0 {
				return ms
			}
		}
	}
	return 0
}

// readAhead is records that were read and not given to anybody yet.
type readAhead struct {
	batches []scanned // in their order
	failed  error     // to be told, behind the records that were given
}

// bytes returns what the batches take, about.
func (r *readAhead) bytes() (n int) {
	for i := range r.batches {
		n += r.batches[i].size
	}
	return n
}

// add enters a batch. One that has the same records gives way.
func (r *readAhead) add(b scanned) {
	r.batches = slices.DeleteFunc(r.batches, func(old scanned) bool { return old.last >= b.base && old.base <= b.last })
	i := sort.Search(len(r.batches), func(i int) bool { return r.batches[i].base > b.base })
	r.batches = slices.Insert(r.batches, i, b)
}

const (
	readAheadBytes = 128 << 10
	readAheadMost  = 256 // batches
)

// AcquireRecords acquires what is available, and returns it: at most MaxRecords, and none without waiting where there
// is none. Errors are those of AcquireInto; with records there is none.
func (c *Coordinator) AcquireRecords(ctx context.Context, req AcquireRequest) ([]Delivery, error) {
	s := c.settingsFor(&req)
	en, err := c.enter(ctx, req.Key, s)
	if err != nil {
		return nil, err
	}
	defer en.tend()
	defer en.turn.Give()
	a := acquiring{en: en, req: req, s: s, r: s.rules(), left: req.MaxRecords}
	if err := en.ahead.failed; err != nil {
		en.ahead.failed = nil
		return nil, en.wrap(err)
	}
	var got []Delivery
	for a.left > 0 {
		from, end, ok := a.next()
		if !ok {
			break
		}
		var some bool
		if got, some = a.fromAhead(from, got); some {
			continue
		}
		if err := a.readAhead(ctx, from, end); err != nil {
			if len(got) == 0 {
				return nil, en.wrap(err)
			}
			en.ahead.failed = err
			break
		}
	}
	return got, nil
}

// fromAhead acquires of what was read, beginning at from. It reports whether it has acquired something, which may be
// none to give: what the cleaner has taken out meanwhile is done.
func (a *acquiring) fromAhead(from int64, got []Delivery) (all []Delivery, some bool) {
	en := a.en
	ahead := en.ahead.batches
	i := sort.Search(len(ahead), func(i int) bool { return ahead[i].last >= from })
	if i == len(ahead) || ahead[i].base > from {
		return got, false
	}
	b := &ahead[i]
	at := sort.Search(len(b.records), func(i int) bool { return b.records[i].Offset >= from })
	end := at
	for end < len(b.records) && end-at < a.left && b.records[end].Partition >= 0 {
		end++
	}
	if end == at {
		en.ahead.batches = slices.Delete(ahead, i, i+1) // given before, or not there: it is read anew
		return got, false
	}
	en.mu.Lock()
	defer en.mu.Unlock()
	if en.closed || en.lease != a.lease {
		return got, false
	}
	now := soonMs()
	last := b.records[end-1].Offset
	most := min(a.left, a.s.MaxInFlight-en.states.Acquired())
	until := time.UnixMilli(now + a.r.LockMs)
	ranges := en.states.Acquire(now, a.req.Member, from, last, most, a.r)
	for _, r := range ranges {
		for offset := r.First; offset <= r.Last; offset++ {
			for at < end && b.records[at].Offset < offset {
				at++
			}
			some = true
			if at == end || b.records[at].Offset != offset { // the cleaner was there
				en.states.Settle(now, []Ack{{First: offset, Last: offset, Types: []AckType{Gap}}}, a.r)
				continue
			}
			a.left--
			en.given++
			rec := b.records[at]
			rec.Topic, rec.Partition = en.key.Topic, en.key.Partition
			b.records[at] = log.Record{Offset: offset, Partition: -1}
			got = append(got, Delivery{Record: rec, Deliveries: r.Deliveries, Until: until, Lease: a.lease})
		}
	}
	if at >= len(b.records)-1 {
		en.ahead.batches = slices.Delete(ahead, i, i+1)
	}
	return got, some
}

// readAhead reads from an offset on, in a log that ends at end for members.
func (a *acquiring) readAhead(ctx context.Context, from, end int64) error {
	en := a.en
	var read []log.StoredBatch
	size := 0
	err := en.part.FetchInto(ctx, a.req.Client, a.s.Isolation, from, func(length int) ([]byte, bool) {
		size += length
		return nil, len(read) == 0 || size <= readAheadBytes && len(read) < readAheadMost
	}, func(sb log.StoredBatch) bool {
		read = append(read, sb)
		return sb.Err == nil && !a.again // who comes again comes alone, as a rule
	})
	if err != nil {
		return err
	}
	if len(read) == 0 {
		a.nothing(from, end)
		return nil
	}
	if !a.again || len(en.ahead.batches) >= readAheadMost || en.ahead.bytes() > readAheadBytes {
		en.ahead.batches = nil
	}
	seen := from
	for _, sb := range read {
		b := look(sb, a.s.OrderByKey, true)
		en.mu.Lock()
		if !en.closed && en.lease == a.lease {
			a.takeLocked(b, seen)
		}
		en.mu.Unlock()
		seen = b.last + 1
		if len(b.records) > 0 {
			en.ahead.add(b)
		} else if b.err == nil {
			en.mu.Lock()
			if !en.closed && en.lease == a.lease {
				en.states.Gone(b.base, b.last)
			}
			en.mu.Unlock()
		}
	}
	return a.damaged
}
