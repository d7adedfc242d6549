package log

import "github.com/samsa-go/samsa/internal/store"

// Compaction puts one batch in the place of several, under the key of the last of them or one of
// its own. A round of rewrites is one commit: the new batches come and those they replace go
// together, power loss included. Nothing is fsynced for that. Commits become durable in their
// order, and what is rewritten, and the records for whose sake others go, was committed before:
// so a rewrite is never there without them.

// What a round of rewrites is kept to, so that those who wait for the committer
// meanwhile do not wait long.
const (
	roundBytes   = 1 << 20
	roundEntries = 2048
)

// Committer is who writes to the store of a log.
type Committer interface {
	// Commit applies b whole or not at all, behind every commit before it. After an error
	// the outcome is known at the next open, unless the error says that nothing was written;
	// then, as after success, b is the caller's again.
	Commit(b *store.Batch) error
}

// Source is a stored batch that a rewrite replaces.
type Source struct {
	LastOffset   int64
	MaxTimestamp int64 // of the key
}

// SourceOf returns the source that sb is.
func SourceOf(sb StoredBatch) Source { return Source{sb.LastOffset, sb.MaxTimestamp} }

func (s Source) key(id store.PartitionID) []byte {
	return store.AppendBatchKey(nil, store.BatchKey{PartitionID: id, LastOffset: s.LastOffset, MaxTimestamp: s.MaxTimestamp})
}

// Rewriter replaces batches of one log by others that cover the same offsets, in rounds. It is
// for one goroutine, and nobody else may remove batches of the log while a rewrite is added and
// not yet flushed.
type Rewriter struct {
	log    *Log
	w      Committer
	limits store.Limits // of a round
	round  store.Batch
}

// NewRewriter returns a rewriter of l that writes through w. What it is to replace, and for
// whose sake, is in the log already.
func NewRewriter(l *Log, w Committer) *Rewriter {
	return &Rewriter{log: l, w: w, limits: l.st.Limits()}
}

// MaxSources is the largest number of sources that one rewrite may have.
func (r *Rewriter) MaxSources() int { return min(roundEntries, r.limits.Entries) - 1 }

// MaxBytes is the largest batch, in bytes, that one rewrite may have.
func (r *Rewriter) MaxBytes() int { return r.limits.Bytes - (r.MaxSources()+1)*store.BatchKeySize }

// Fits reports whether a rewrite of so many sources and such a batch may be added
// before the next Flush. To an empty round any within MaxSources and MaxBytes fits.
func (r *Rewriter) Fits(sources, size int) bool {
	if r.round.Len() == 0 {
		return true
	}
	return r.round.Len()+sources+1 <= min(roundEntries, r.limits.Entries) &&
		r.round.Bytes()+(sources+1)*store.BatchKeySize+size <= min(roundBytes, r.limits.Bytes)
}

// Add puts a rewrite into the round: batch, which covers exactly the offsets of the
// sources, contiguous and in order, in their place. batch belongs to the rewriter until Flush. It
// returns the source that batch is once it is stored: without timestamps as young as the youngest
// that it replaces.
func (r *Rewriter) Add(sources []Source, batch Batch) Source {
	youngest := sources[0].MaxTimestamp
	for _, s := range sources {
		youngest = max(youngest, s.MaxTimestamp)
	}
	own := Source{batch.LastOffset(), batch.keyTime(youngest)}
	r.round.Set(own.key(r.log.id), batch)
	for _, s := range sources {
		if s != own {
			r.round.Delete(s.key(r.log.id))
		}
	}
	return own
}

// Flush carries out the rewrites that were added. When it returns nil they are done. After an
// error all of them are done or none, as the store says, and they are no longer added.
func (r *Rewriter) Flush() error {
	if r.round.Len() == 0 {
		return nil
	}
	round := r.round
	r.round = store.Batch{}
	return r.log.wrap(r.w.Commit(&round))
}
