// Package producers gives ids to idempotent producers, and remembers whose names have which. Users
// import the module root.
package producers

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/internal/turns"
	"github.com/samsa-go/samsa/internal/writer"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/partition"
)

// How long an idempotent producer is remembered after its last batch: one that only has an
// id, by default, as long as Kafka does, one with a name as long as a group's offsets are.
const (
	IDExpiry   = 24 * time.Hour
	NameExpiry = 7 * 24 * time.Hour

	noteEvery = time.Hour // has it noted that a name is used still
)

// MaxName is the longest name of a producer, in bytes.
const MaxName = 512

// Registry gives ids to idempotent producers, which are never given twice, and remembers
// those of producers with a name. Its methods may be called by anybody at any time.
type Registry struct {
	st     store.Store
	c      *writer.Committer
	expiry time.Duration // of ids without a name

	turn     turns.Turn // held by whoever changes what is stored, until it is; guards the next two
	next     int64      // id
	reserved int64      // ids before it are accounted for in the store

	names sync.Mutex // guards live
	live  map[string]*writer.Identity
}

// An id is given when a block of ids is reserved in the store, durably: one given twice
// would make the batches of one producer look like those of another.
const idBlock = 1000

const (
	nextIDKey   = "n"
	nameKey     = "p"
	nameVersion = 1
	nameSize    = 1 + 8 + 8
)

// Open reads where the ids have got to. damaged is what of their names and ids is
// damaged: each is an ErrCorruptValue. A name of which that is so cannot be claimed. Without the
// next id, ids go on far behind all that are known, in the given partitions, which are all there
// are, and by name. Producers without a name are forgotten after expiry; 0 means IDExpiry.
func Open(st store.Store, c *writer.Committer, partitions []*partition.Partition, expiry time.Duration) (ps *Registry, damaged []error, err error) {
	ps = &Registry{st: st, c: c, turn: turns.New(), expiry: cmp.Or(expiry, IDExpiry), live: make(map[string]*writer.Identity)}
	names, damaged, err := ps.readNames(time.Now())
	if err != nil {
		return nil, nil, err
	}
	v, err := st.Get(store.NamesKey(nextIDKey))
	if errors.Is(err, store.ErrNotFound) {
		return ps, damaged, nil
	}
	if err == nil {
		ps.next, err = store.ParseOffset(v)
	}
	if store.Lost(err) {
		damaged = append(damaged, fmt.Errorf("next producer id: %w", err))
		ps.next, err = lastID(names, partitions)+idLeap, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("next producer id: %w", err)
	}
	ps.reserved = ps.next
	return ps, damaged, nil
}

// IDExpiry is how long a producer without a name is remembered after its last batch in a partition
// (producer.id.expiration.ms).
func (ps *Registry) IDExpiry() time.Duration { return ps.expiry }

// idLeap is more than the ids that may have been given to producers of which nothing is stored.
const idLeap = 1 << 40

// lastID is the largest id that is known, or 0.
func lastID(names []storedName, partitions []*partition.Partition) (last int64) {
	for _, n := range names {
		last = max(last, n.id)
	}
	for _, p := range partitions {
		for _, info := range p.Log().Producers() {
			last = max(last, info.ID)
		}
	}
	return last
}

// Leap has ids go on far behind those that the broker may have given whose data this is, since: in another life of it,
// which a snapshot knows nothing of. It is durable when it returns.
func (ps *Registry) Leap() error {
	ps.turn.Take()
	defer ps.turn.Give()
	next := ps.next + idLeap + rand.Int64N(idLeap) // another restored from the same snapshot gives others
	tx := &writer.Tx{Synced: true, Essential: true}
	tx.Writes.Set(store.NamesKey(nextIDKey), store.OffsetValue(next))
	if err := ps.c.Do(tx); err != nil {
		return fmt.Errorf("producer id: %w", err)
	}
	ps.next, ps.reserved = next, next
	return nil
}

// NextID returns an id that no producer ever had. It may wait for an fsync. ctx counts until storing begins.
func (ps *Registry) NextID(ctx context.Context) (int64, error) {
	if err := ps.turn.TakeUntil(ctx); err != nil {
		return 0, fmt.Errorf("producer id: %w", err)
	}
	defer ps.turn.Give()
	return ps.nextLocked(ctx, &writer.Tx{})
}

// nextLocked stores what tx holds too, if there is anything.
func (ps *Registry) nextLocked(ctx context.Context, tx *writer.Tx) (int64, error) {
	if ps.next == ps.reserved {
		tx.Writes.Set(store.NamesKey(nextIDKey), store.OffsetValue(ps.reserved+idBlock))
	}
	if tx.Writes.Len() > 0 {
		tx.Synced, tx.Essential = true, true
		if err := ps.c.DoUntil(ctx, tx); err != nil {
			return 0, fmt.Errorf("producer id: %w", err)
		}
	}
	if ps.next == ps.reserved {
		ps.reserved += idBlock
	}
	ps.next++
	return ps.next - 1, nil
}

// Claim makes the caller the owner of a producer's name until Release. Whoever had it
// before is fenced: when Claim returns, all that his batches will ever do is visible. A name
// keeps its id until NameExpiry after its last use. When ctx ends while it waits, nobody is fenced.
func (ps *Registry) Claim(ctx context.Context, name string) (*writer.Identity, error) {
	if err := ps.turn.TakeUntil(ctx); err != nil {
		return nil, fmt.Errorf("producer %s: %w", name, err)
	}
	defer ps.turn.Give()
	id, err := ps.idLocked(ctx, name)
	if err != nil {
		return nil, err
	}
	ps.names.Lock()
	old := ps.live[name]
	ps.names.Unlock()
	if old != nil {
		// In the committer's order: the batches before it are stored, those behind it refused.
		if err := ps.c.DoUntil(ctx, &writer.Tx{Essential: true, Begun: old.Fence}); err != nil {
			return nil, fmt.Errorf("producer %s: %w", name, err)
		}
	}
	pr := &writer.Identity{ID: id, Name: name}
	ps.names.Lock()
	defer ps.names.Unlock()
	ps.live[name] = pr
	return pr, nil
}

// Release gives the name back, if pr still has it.
func (ps *Registry) Release(pr *writer.Identity) {
	ps.names.Lock()
	defer ps.names.Unlock()
	if ps.live[pr.Name] == pr {
		delete(ps.live, pr.Name)
	}
}

// idLocked returns the id of a name, and gives it one if it has none. The time is noted.
func (ps *Registry) idLocked(ctx context.Context, name string) (int64, error) {
	key := store.NamesKey(nameKey + name)
	v, err := ps.st.Get(key)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return 0, fmt.Errorf("producer %s: %w", name, err)
	}
	now := time.Now().UnixMilli()
	if err == nil {
		id, _, err := parseName(v)
		if err != nil {
			return 0, fmt.Errorf("producer %s: %w", name, err)
		}
		tx := &writer.Tx{Essential: true}
		tx.Writes.Set(key, nameValue(id, now))
		if err := ps.c.DoUntil(ctx, tx); err != nil {
			return 0, fmt.Errorf("producer %s: %w", name, err)
		}
		return id, nil
	}
	id := ps.next
	tx := &writer.Tx{}
	tx.Writes.Set(key, nameValue(id, now))
	if _, err := ps.nextLocked(ctx, tx); err != nil {
		return 0, fmt.Errorf("producer %s: %w", name, err)
	}
	return id, nil
}

func nameValue(id, usedMs int64) []byte {
	v := binary.BigEndian.AppendUint64([]byte{nameVersion}, uint64(id))
	return binary.BigEndian.AppendUint64(v, uint64(usedMs))
}

func parseName(v []byte) (id, usedMs int64, err error) {
	if len(v) != nameSize || v[0] != nameVersion || v[1]&0x80 != 0 {
		return 0, 0, fmt.Errorf("%w: %x is not what is stored of a producer's name", log.ErrCorruptValue, v)
	}
	return int64(binary.BigEndian.Uint64(v[1:])), int64(binary.BigEndian.Uint64(v[9:])), nil
}

// Expire forgets the producers that nobody has used for long in the given partitions, which are
// all there are. One with a name is forgotten everywhere or nowhere: what it has stored in a
// partition that is quiet counts for as long as it is used in another, or open. Its name goes first, in one
// commit: who claims it from then on has another id, whatever is left in partitions until the next time. ctx ends it
// between transactions.
func (ps *Registry) Expire(ctx context.Context, now time.Time, partitions []*partition.Partition) error {
	if err := ps.turn.TakeUntil(ctx); err != nil { // no name is claimed meanwhile
		return err
	}
	defer ps.turn.Give()
	names, _, err := ps.readNames(now)
	if err != nil {
		return err
	}
	used := make(map[int64]int64) // of ids with a name, ms since the epoch
	for _, n := range names {
		used[n.id] = n.usedMs
	}
	for _, p := range partitions {
		for _, info := range p.Log().Producers() {
			if info.Named {
				used[info.ID] = max(used[info.ID], info.UsedAt)
			}
		}
	}
	if err := ps.expireNames(ctx, now, names, used); err != nil {
		return err
	}
	for _, p := range partitions {
		if err := ps.expirePartition(ctx, now, p, used); err != nil {
			return err
		}
	}
	return nil
}

// storedName is what is stored of a name. One that is in use was used now, and so was one of the future: the clock was
// ahead.
type storedName struct {
	key        []byte
	id, usedMs int64
	outdated   bool // what is stored of usedMs is
}

// readNames returns what is stored of all names, and of which it is damaged.
func (ps *Registry) readNames(now time.Time) (names []storedName, damaged []error, err error) {
	err = ps.st.Scan(store.NamesRange(nameKey), func(e store.Entry) (bool, error) {
		name := string(e.Key[len(store.NamesKey(nameKey)):])
		n := storedName{key: slices.Clone(e.Key)}
		v, err := e.AppendValue(nil)
		if err == nil {
			n.id, n.usedMs, err = parseName(v)
		}
		if errors.Is(err, log.ErrCorruptValue) {
			damaged = append(damaged, fmt.Errorf("producer %s: %w", name, err))
			return true, nil
		}
		if err != nil {
			return false, err
		}
		ps.names.Lock()
		live := ps.live[name] != nil
		ps.names.Unlock()
		if ahead := time.UnixMilli(n.usedMs).Sub(now); ahead > 0 || live {
			n.usedMs, n.outdated = now.UnixMilli(), ahead > 0 || ahead <= -noteEvery
		}
		names = append(names, n)
		return true, nil
	})
	return names, damaged, err
}

// expirePartition forgets producers of p.
func (ps *Registry) expirePartition(ctx context.Context, now time.Time, p *partition.Partition, used map[int64]int64) error {
	var old []log.ProducerInfo
	for _, info := range p.Log().Producers() {
		lastMs, expiry := info.UsedAt, ps.expiry
		if info.Named {
			lastMs, expiry = used[info.ID], NameExpiry
		}
		if expired(now, lastMs, expiry) && info.OpenSince < 0 {
			old = append(old, info)
		}
	}
	for chunk := range slices.Chunk(old, max(1, ps.st.Limits().Entries/4)) {
		if err := ctx.Err(); err != nil {
			return err
		}
		tx := &writer.Tx{Essential: true}
		for _, info := range chunk {
			tx.Writes.Delete(store.AppendProducerKey(nil, store.ProducerKey{PartitionID: p.ID(), ID: info.ID}))
		}
		tx.Check = func() error {
			if err := p.Err(); err != nil {
				return err
			}
			for _, info := range chunk {
				if !p.Log().UnusedSince(info.ID, info.UsedAt) {
					return errInUse
				}
			}
			return nil
		}
		tx.Begun = func() {
			for _, info := range chunk {
				p.Log().ForgetProducer(info.ID, info.UsedAt)
			}
		}
		if err := ps.c.Do(tx); err != nil && !errors.Is(err, errInUse) && p.Err() == nil { // else the next time, or never
			return err
		}
	}
	return nil
}

var errInUse = errors.New("a producer was used meanwhile")

// expireNames forgets the names that were not used for long, and notes of the others that they are used.
func (ps *Registry) expireNames(ctx context.Context, now time.Time, names []storedName, used map[int64]int64) error {
	names = slices.DeleteFunc(names, func(n storedName) bool { return !n.outdated && !expired(now, used[n.id], NameExpiry) })
	for chunk := range slices.Chunk(names, max(1, ps.st.Limits().Entries/4)) {
		tx := &writer.Tx{Essential: true}
		for _, n := range chunk {
			if n.outdated {
				tx.Writes.Set(n.key, nameValue(n.id, n.usedMs))
			} else {
				tx.Writes.Delete(n.key)
			}
		}
		if err := ps.c.DoUntil(ctx, tx); err != nil {
			return err
		}
	}
	return nil
}

// expired reports whether what was used last at usedMs is to be forgotten.
func expired(now time.Time, usedMs int64, expiry time.Duration) bool {
	return now.Sub(time.UnixMilli(usedMs)) >= expiry
}
