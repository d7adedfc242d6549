package log

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"github.com/cespare/xxhash/v2"

	"github.com/samsa-go/samsa/internal/store"
)

// Compaction puts one batch in the place of several. Under the key of the last of them,
// that is an overwrite, and after power loss it may be the old value that is gone and the
// new one that never came. So a rewrite is noted in a journal first, in steps:
//
//  0. fsync what the log holds, once before the first round;
//  1. note each rewrite under a key of its own, and fsync;
//  2. store the new batches and delete those they replace, and fsync;
//  3. delete the notes.
//
// RecoverRewrites looks at the notes that a crash left. A note that cannot be read was not
// fsynced, so step 2 had not begun. Where every batch to be replaced is still there, byte
// for byte, and the new one is not, it is not known whether the note was fsynced, but
// nothing is lost either: the note is passed over. Otherwise step 2 had begun, so the
// note was fsynced and is safe to be carried out again.
//
// A note, under store.RewriteKey:
//
//	0        1            9        11                                    11+24n
//	+--------+------------+--------+-------------------------------------+-----------+
//	|version |xxhash64    |n u16   |n replaced batches, in order:        |envelope of|
//	|u8, 1   |u64, of key |        |last offset u64, max timestamp u64,  |the new    |
//	|        |and --->    |        |hash of the envelope u64             |batch      |
//	+--------+------------+--------+-------------------------------------+-----------+
const (
	noteVersion    = 1
	noteHeaderSize = 1 + 8 + 2
	noteSourceSize = 8 + 8 + 8
)

var errNote = fmt.Errorf("%w: note of a rewrite", ErrCorruptRecord)

// What a round of rewrites is kept to, so that those who wait for the committer
// meanwhile do not wait long.
const (
	roundBytes   = 1 << 20
	roundEntries = 2048
)

// Committer is who writes to the store of a log.
type Committer interface {
	// Commit applies b whole or not at all. With synced it returns once b and every
	// commit before it survive power loss. After an error the outcome is known at the
	// next open, unless the error says that nothing was written; then, as after
	// success, b is the caller's again.
	Commit(b *store.Batch, synced bool) error
}

// Source is a stored batch that a rewrite replaces.
type Source struct {
	LastOffset   int64
	MaxTimestamp int64  // of the key
	Hash         uint64 // of the envelope
}

// SourceOf returns the source that sb is.
func SourceOf(sb StoredBatch) Source { return sourceOf(sb.Envelope, sb.MaxTimestamp) }

// sourceOf returns the source that env is, which is finished, when what it holds was appended at
// appendMs.
func sourceOf(env Envelope, appendMs int64) Source {
	b := env.Batch()
	return Source{LastOffset: b.LastOffset(), MaxTimestamp: b.keyTime(appendMs), Hash: binary.BigEndian.Uint64(env[1:])}
}

func (s Source) key(id store.PartitionID) []byte {
	return store.AppendBatchKey(nil, store.BatchKey{PartitionID: id, LastOffset: s.LastOffset, MaxTimestamp: s.MaxTimestamp})
}

// note is one rewrite: the sources, contiguous and in order, give way to one batch that
// covers the same offsets.
type note struct {
	sources []Source
	env     Envelope
}

// own is the new batch as a source of the next rewrite. Without timestamps it is as young as the
// youngest that it replaces.
func (n note) own() Source {
	youngest := n.sources[0].MaxTimestamp
	for _, s := range n.sources {
		youngest = max(youngest, s.MaxTimestamp)
	}
	return sourceOf(n.env, youngest)
}

// key is the key of the journal.
func (n note) key(id store.PartitionID) []byte {
	return store.AppendRewriteKey(nil, store.RewriteKey{PartitionID: id, LastOffset: n.env.Batch().LastOffset()})
}

func (n note) size() int { return noteHeaderSize + len(n.sources)*noteSourceSize + len(n.env) }

// encode returns the value to be stored under key.
func (n note) encode(key []byte) []byte {
	v := make([]byte, noteHeaderSize, n.size())
	v[0] = noteVersion
	binary.BigEndian.PutUint16(v[9:], uint16(len(n.sources)))
	for _, s := range n.sources {
		v = binary.BigEndian.AppendUint64(v, uint64(s.LastOffset))
		v = binary.BigEndian.AppendUint64(v, uint64(s.MaxTimestamp))
		v = binary.BigEndian.AppendUint64(v, s.Hash)
	}
	v = append(v, n.env...)
	binary.BigEndian.PutUint64(v[1:], noteHash(key, v))
	return v
}

func noteHash(key, v []byte) uint64 {
	var d xxhash.Digest
	d.Reset()
	_, _ = d.Write(key)
	_, _ = d.Write(v[9:])
	return d.Sum64()
}

// decodeNote is the inverse of encode, checks everything, and shares v's memory. Every
// failure is ErrCorruptRecord.
func decodeNote(key, v []byte) (store.PartitionID, note, error) {
	k, err := store.ParseRewriteKey(key)
	if err != nil {
		return store.PartitionID{}, note{}, fmt.Errorf("%w: %s", errNote, err.Error())
	}
	if len(v) < noteHeaderSize || v[0] != noteVersion || noteHash(key, v) != binary.BigEndian.Uint64(v[1:]) {
		return k.PartitionID, note{}, fmt.Errorf("%w: short, of another version, or with a hash mismatch", errNote)
	}
	count := int(binary.BigEndian.Uint16(v[9:]))
	rest := v[noteHeaderSize:]
	if count == 0 || len(rest) < count*noteSourceSize {
		return k.PartitionID, note{}, fmt.Errorf("%w: %d sources in %d bytes", errNote, count, len(rest))
	}
	n := note{sources: make([]Source, count)}
	last := int64(-1)
	for i := range n.sources {
		n.sources[i] = Source{
			LastOffset:   int64(binary.BigEndian.Uint64(rest)),
			MaxTimestamp: int64(binary.BigEndian.Uint64(rest[8:])),
			Hash:         binary.BigEndian.Uint64(rest[16:]),
		}
		if n.sources[i].LastOffset <= last {
			return k.PartitionID, note{}, fmt.Errorf("%w: sources out of order", errNote)
		}
		last = n.sources[i].LastOffset
		rest = rest[noteSourceSize:]
	}
	if n.env, err = OpenEnvelope(rest); err != nil {
		return k.PartitionID, note{}, err
	}
	if got := n.env.Batch().LastOffset(); got != k.LastOffset || got != last {
		return k.PartitionID, note{}, fmt.Errorf("%w: batch ends at %d, sources at %d, key at %d", errNote, got, last, k.LastOffset)
	}
	return k.PartitionID, n, nil
}

// carryOut adds step 2 to b: the new batch comes, the sources go.
func (n note) carryOut(b *store.Batch, id store.PartitionID) {
	own := n.own()
	b.Set(own.key(id), n.env)
	for _, s := range n.sources {
		if s.LastOffset != own.LastOffset || s.MaxTimestamp != own.MaxTimestamp {
			b.Delete(s.key(id))
		}
	}
}

// Rewriter replaces batches of one log by others that cover the same offsets, in rounds
// of the three steps above. It is for one goroutine, and nobody else may remove batches
// of the log while a rewrite is added and not yet flushed.
type Rewriter struct {
	log      *Log
	w        Committer
	limits   store.Limits
	notes    []note
	bytes    int  // of notes
	entries  int  // of step 2, at most
	prepared bool // what the log held is fsynced, and no note of an earlier round is there
}

// NewRewriter returns a rewriter of l that writes through w. What it is to replace, and for
// whose sake, is in the log already.
func NewRewriter(l *Log, w Committer) *Rewriter {
	return &Rewriter{log: l, w: w, limits: l.st.Limits()}
}

// MaxSources is the largest number of sources that one rewrite may have.
func (r *Rewriter) MaxSources() int { return min(roundEntries, r.limits.Entries, math.MaxUint16+1) - 1 }

// MaxBytes is the largest envelope that one rewrite may have.
func (r *Rewriter) MaxBytes() int {
	return r.limits.Bytes - noteHeaderSize - (r.MaxSources()+1)*(noteSourceSize+store.BatchKeySize)
}

// Fits reports whether a rewrite of so many sources and such an envelope may be added
// before the next Flush. To an empty round any within MaxSources and MaxBytes fits.
func (r *Rewriter) Fits(sources, size int) bool {
	if len(r.notes) == 0 {
		return true
	}
	noteSize := noteHeaderSize + sources*noteSourceSize + size
	return r.entries+sources+1 <= min(roundEntries, r.limits.Entries) &&
		r.bytes+noteSize <= min(roundBytes, r.MaxBytes())
}

// Add puts a rewrite into the round: env, which covers exactly the offsets of the
// sources, in their place. env belongs to the rewriter from now on; sources are copied. It
// returns the source that env is once it is stored.
func (r *Rewriter) Add(sources []Source, env Envelope) Source {
	n := note{sources: slices.Clone(sources), env: env}
	r.notes = append(r.notes, n)
	r.bytes += n.size()
	r.entries += len(sources) + 1
	return n.own()
}

// Pending reports whether there are rewrites to be flushed.
func (r *Rewriter) Pending() bool { return len(r.notes) > 0 }

// Flush carries out the rewrites that were added. When it returns nil they are done and
// fsynced. After an error each is done or not done, and the log is whole either way, as
// of the next open if the store has failed.
func (r *Rewriter) Flush() error {
	if len(r.notes) == 0 {
		return nil
	}
	if err := r.prepare(); err != nil {
		return err
	}
	r.prepared = false // until all steps are done
	var notes, batches, done store.Batch
	for _, n := range r.notes {
		key := n.key(r.log.id)
		notes.Set(key, n.encode(key))
		n.carryOut(&batches, r.log.id)
		done.Delete(key)
	}
	for _, step := range []struct {
		b      *store.Batch
		synced bool
	}{{&notes, true}, {&batches, true}, {&done, false}} {
		if err := r.w.Commit(step.b, step.synced); err != nil {
			return r.log.wrap(err)
		}
	}
	clear(r.notes)
	r.notes, r.bytes, r.entries, r.prepared = r.notes[:0], 0, 0, true
	return nil
}

// prepare comes before the first note, and before the next one after an error. It has all
// that the log holds fsynced: a note that outlived one of its sources, or a record for
// whose sake another goes, would be taken for one whose step 2 had begun. Then it deletes
// notes that an earlier rewriter left when one of its steps was refused, which must not
// outlive another rewrite of the same batches.
func (r *Rewriter) prepare() error {
	if r.prepared {
		return nil
	}
	var nothing store.Batch // the key is nobody's
	nothing.Delete(store.AppendRewriteKey(nil, store.RewriteKey{PartitionID: r.log.id, LastOffset: math.MaxInt64}))
	if err := r.w.Commit(&nothing, true); err != nil {
		return r.log.wrap(err)
	}
	keys, err := rewriteKeys(r.log.st, store.RewriteRange(r.log.id))
	if err != nil {
		return r.log.wrap(err)
	}
	for chunk := range slices.Chunk(keys, r.limits.Entries/2) {
		var b store.Batch
		for _, key := range chunk {
			b.Delete(key)
		}
		if err := r.w.Commit(&b, false); err != nil {
			return r.log.wrap(err)
		}
	}
	return nil
}
