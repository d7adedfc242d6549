package retention

import (
	"context"
	"math"

	"github.com/samsa-go/samsa/log"
)

// DefaultMaxMapBytes is what a Cleaner without MaxMapBytes remembers keys in: some
// 700,000 of 20 bytes.
const DefaultMaxMapBytes = 32 << 20

// Cleaner compacts logs by key (cleanup.policy=compact). It keeps no state between calls
// and may be used by several goroutines, on different logs.
//
// What it cleans is the section of the log from its start up to, and without, the first
// dirty batch that holds a record younger than MinLagMs, never the newest batch, and nothing from the last stable offset
// on, where transactions are open.
// Afterwards the section holds, at their old offsets with their old times and headers:
//
//   - of each key the latest record in the section, unless it is a tombstone whose delete
//     horizon has come: that goes too. The horizon is DeleteRetentionMs after the first Clean
//     that keeps the tombstone when all earlier records of its key are gone, whatever its own
//     timestamp, and stands in the header of its batch (KIP-534);
//   - every record without a key;
//   - batches that cannot be rewritten, as they were: damaged ones, single ones too large for a store transaction
//     twice over, and those of transactions of which nobody can tell any more whether they were aborted. A tombstone behind
//     such a batch stays, for its key may be in there.
//
// Of records of a transaction that was aborted none is left, and they supersede nothing. Those of one that was
// committed are like others, and not of a transaction any more: their batches have no producer. The marker of a
// transaction of which no batch is left, or none that was not rewritten, gets a delete horizon, as a tombstone does,
// and goes when that has come. What the log knows of an aborted transaction goes in the same commit. So at each
// moment a reader of committed records, and one of all, sees what he saw before, without what may go.
//
// The batches still cover all offsets without gaps. Small neighbours are joined.
type Cleaner struct {
	// MaxMapBytes bounds the memory for the keys of a pass; 0 means DefaultMaxMapBytes.
	// When the keys of what is dirty need more, there are several passes, each of
	// which reads the log from its start.
	MaxMapBytes int
	// Codec compresses the batches that are joined.
	Codec log.Codec
	// Pace, if set, is called between steps with the number of bytes that were read and
	// written since the last call, and may wait. Its error ends Clean.
	Pace func(ctx context.Context, bytes int64) error
}

// CleanOptions say what a Clean may remove. Times are in milliseconds.
type CleanOptions struct {
	NowMs             int64 // since the epoch
	DeleteRetentionMs int64 // a tombstone that is the last of its key stays so long, and a marker without records
	MinLagMs          int64 // nothing younger than this is cleaned
	// From is where the dirty part begins: NextDirty of an earlier Clean of this log,
	// and 0 the first time. It is too much, not too little, that does harm: tombstones
	// below it are taken to have no predecessors.
	From int64
}

// Cleaned says what a Clean has done.
type Cleaned struct {
	Records    int64 // removed, tombstones and those of aborted transactions included
	Tombstones int64 // removed because their time was over
	Aborted    int64 // removed because their transaction was aborted
	Markers    int64 // of transactions, removed; they are no records

	// Stored batches that were replaced, and those that replaced them. What several
	// passes replaced one after the other counts each time.
	BytesBefore, BytesAfter     int64
	BatchesBefore, BatchesAfter int64

	// NextDirty is the offset up to which all is clean: From of the next Clean.
	NextDirty int64
	// NextTombstoneMs is when the first of the tombstones and markers that stayed may go, in ms since
	// the epoch, and MaxInt64 if none is waiting.
	NextTombstoneMs int64
	// Keyless is the number of records without a key, and Pinned that of batches that
	// could not be rewritten, in what was cleaned.
	Keyless, Pinned int64
}

// Clean compacts l, writing through w, and returns what was done, also beside an error.
//
// Ended by ctx, which it looks at every few MB, by an error or by a crash, it leaves the log
// whole with a part of the work done; NextDirty then says how far the passes got that were
// completed. What it did becomes durable like any other commit: after power loss records may be
// back, and never be missing.
//
// Readers and appends go on meanwhile. Nobody else may remove batches of l.
func (c *Cleaner) Clean(ctx context.Context, l *log.Log, w Committer, opts CleanOptions) (Cleaned, error) {
	limit := c.MaxMapBytes
	if limit == 0 {
		limit = DefaultMaxMapBytes
	}
	p := &pass{cleaner: c, log: l, opts: opts, keys: newKeyMap(limit)}
	p.join = joiner{rewriter: newRewriter(l, w), codec: c.Codec}
	s, err := findSection(l, opts)
	if err != nil {
		return Cleaned{NextDirty: opts.From, NextTombstoneMs: never}, err
	}
	p.done.NextDirty, p.done.NextTombstoneMs = s.dirty, never
	for {
		to, err := p.run(ctx, s)
		if err != nil {
			return p.done, err
		}
		p.done.NextDirty = to
		if to == s.end {
			return p.done, nil
		}
		s.dirty = to
	}
}

// section is what a Clean is about: offsets [start, end), those from dirty on for the
// first time.
type section struct{ start, dirty, end int64 }

// findSection reads the keys of the log.
func findSection(l *log.Log, opts CleanOptions) (section, error) {
	start, newest := l.Start(), min(l.End()-1, l.LastStable())
	s := section{start: start, dirty: max(start, opts.From), end: start}
	youngest := int64(math.MaxInt64)
	if opts.MinLagMs > 0 {
		youngest = opts.NowMs - opts.MinLagMs
	}
	err := l.Batches(func(b Batch) bool {
		isDirty := b.LastOffset >= s.dirty
		if b.LastOffset >= newest || isDirty && b.MaxTimestamp > youngest {
			return false
		}
		s.end = b.LastOffset + 1
		return true
	})
	s.dirty = min(s.dirty, s.end)
	return s, err
}
