// Package keys are the application's keys on a cluster: a compacted topic of one partition, which belongs to one process at a time, and a store of
// that process which has what is in it. What Updates write goes to the topic, with their transactions, and then to the store, from which everything is
// read. The store has the position up to which it has the topic, stored with the keys: so who opens it again reads the rest.
package keys

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/cluster/internal/read"
	"github.com/samsa-go/samsa/group"
	"github.com/samsa-go/samsa/internal/engine"
	"github.com/samsa-go/samsa/internal/inside"
	"github.com/samsa-go/samsa/internal/turns"
	"github.com/samsa-go/samsa/internal/uuid"
	"github.com/samsa-go/samsa/log"
)

// Options say where the keys are.
type Options struct {
	Topic  string // compacted, of one partition
	Dir    string // of the store, which has nothing else; "" in memory
	Logger *zap.Logger
	// Remembered is how long the topic keeps a deletion, at least (delete.retention.ms): a store that is older has to be read anew.
	Remembered time.Duration
}

// Keys are the keys of a process. Its methods may be called by anybody at any time, but for Load and Apply.
type Keys struct {
	opts   Options
	topics *read.Topics
	topic  engine.Topic
	store  *samsa.Broker
	local  engine.Transactor // of the store
	at     int64             // the offset in the topic behind what the store has; of who calls Apply, or has catching, as are the next two
	empty  bool              // the store is being emptied: what it has is of no use to who opens it
	whole  time.Time         // when the store had all that the topic had
	settle func(context.Context) error

	catching turns.Turn // held by who reads what the topic has more

	mu      sync.Mutex // guards what follows
	behind  bool       // the topic may have more than the store
	epoch   int        // how often that was
	pending map[*Entry]struct{}
}

// positionTopic is the only topic of the store: its one partition is where the position is committed, of whichever topic that is.
const positionTopic = "keys"

// Open opens the store. The topic is there. Nothing is read before Load. A directory that has something else is ErrInvalidOption.
func Open(ctx context.Context, topics *read.Topics, opts Options) (*Keys, error) {
	t, err := topics.Find(ctx, opts.Topic, false)
	if err != nil {
		return nil, err
	}
	store, err := samsa.Open(opts.Dir, samsa.Options{InMemory: opts.Dir == "", Logger: opts.Logger})
	if err != nil {
		return nil, fmt.Errorf("store of keys, a copy that may be removed: %w", err)
	}
	k := &Keys{
		opts: opts, topics: topics, topic: t, store: store, local: inside.Of(store).Parts.Transactor,
		catching: turns.New(), behind: true, pending: make(map[*Entry]struct{}),
	}
	if err := k.own(ctx); err != nil {
		return nil, fmt.Errorf("store of keys: %w", errors.Join(err, store.Close()))
	}
	return k, nil
}

// own has the store be one of keys. What a broker has that somebody works with is not to be emptied.
func (k *Keys) own(ctx context.Context) error {
	topics, err := k.store.Topics().List(ctx)
	if err != nil || len(topics) == 1 && topics[0] == positionTopic {
		return err
	}
	others := len(topics) > 0
	err = k.store.View(ctx, func(tx *samsa.ReadTx) error {
		for _, err := range tx.Scan(nil) {
			others = true
			return err
		}
		return nil
	})
	switch {
	case err != nil:
		return err
	case others:
		return fmt.Errorf("%w: directory %s is that of a broker, with topics or keys of its own", log.ErrInvalidOption, k.opts.Dir)
	}
	_, err = k.store.Topics().Ensure(ctx, positionTopic, samsa.TopicConfig{Partitions: 1})
	return err
}

// SettleBy sets what ends a transaction that has been left open, so that what comes behind it in the topic can be read. It is called before Load.
func (k *Keys) SettleBy(settle func(context.Context) error) { k.settle = settle }

// Close closes the store.
func (k *Keys) Close() error { return k.store.Close() }

// Topic returns the name of the topic.
func (k *Keys) Topic() string { return k.opts.Topic }

// Load reads what the store has not, once nobody else writes to the topic any more.
func (k *Keys) Load(ctx context.Context) error {
	if err := k.resume(ctx); err != nil {
		return fmt.Errorf("store of keys: %w", err)
	}
	return k.Ready(ctx)
}

// View returns what there is now. The keys of one who was fenced are those from before.
func (k *Keys) View(ctx context.Context) (engine.View, error) {
	if err := k.Ready(ctx); err != nil {
		return nil, err
	}
	return k.local.View(ctx)
}

// Tx is a transaction of the store, of which nothing is committed: it reads, and finds conflicts.
type Tx interface {
	engine.Tx
	// Check returns ErrConflict if another transaction has written what this one has read, and Read reports whether it has read a key.
	Check() error
	Read(key string) bool
}

// Begin returns a transaction.
func (k *Keys) Begin(ctx context.Context) (Tx, error) {
	if err := k.Ready(ctx); err != nil {
		return nil, err
	}
	tx, err := k.local.Begin(ctx)
	if err != nil {
		return nil, err
	}
	return tx.(Tx), nil
}

// Entry is a transaction that is on its way to the cluster: nobody else goes there who has read what it writes, writes what it has read, or writes
// the same.
type Entry struct {
	Writes map[string][]byte // nil for a deletion

	k     *Keys
	tx    Tx
	epoch int
	done  chan struct{}
}

// ErrBehind says that the store may have less than the topic: the transaction has read what may be old.
var ErrBehind = fmt.Errorf("%w: what an earlier transaction has stored is not known yet", log.ErrConflict)

// Enter has a transaction, which has written that, go to the cluster, unless it conflicts: ErrConflict. It waits for those on their way.
func (k *Keys) Enter(ctx context.Context, tx Tx, writes map[string][]byte) (*Entry, error) {
	for {
		e, other, err := k.tryEnter(tx, writes)
		if err != nil || e != nil {
			return e, err
		}
		select {
		case <-other.done:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (k *Keys) tryEnter(tx Tx, writes map[string][]byte) (e, other *Entry, err error) {
	if err := k.there(); err != nil {
		return nil, nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.behind {
		return nil, nil, ErrBehind
	}
	for other := range k.pending {
		if other.meets(tx, writes) {
			return nil, other, nil
		}
	}
	if err := tx.Check(); err != nil {
		return nil, nil, err
	}
	e = &Entry{Writes: writes, k: k, tx: tx, epoch: k.epoch, done: make(chan struct{})}
	k.pending[e] = struct{}{}
	return e, nil, nil
}

// there returns an error when the topic is gone. Another one of its name has other keys.
func (k *Keys) there() error {
	if k.topics.Same(k.topic) {
		return nil
	}
	return fmt.Errorf("keys of the application: topic %s: %w: it was deleted", k.opts.Topic, log.ErrUnknownTopic)
}

// meets reports whether the order of two transactions matters.
func (e *Entry) meets(tx Tx, writes map[string][]byte) bool {
	for key := range e.Writes {
		if _, ok := writes[key]; ok || tx.Read(key) {
			return true
		}
	}
	for key := range writes {
		if e.tx.Read(key) {
			return true
		}
	}
	return false
}

// Leave notes that the fate of the transaction is known, or that it is lost. It may be called more than once, and on nil.
func (e *Entry) Leave() {
	if e == nil {
		return
	}
	e.k.mu.Lock()
	defer e.k.mu.Unlock()
	if _, ok := e.k.pending[e]; ok {
		delete(e.k.pending, e)
		close(e.done)
	}
}

// Err returns ErrBehind when it was found out since Enter that the store may have less than the topic.
func (e *Entry) Err() error {
	if e == nil {
		return nil
	}
	e.k.mu.Lock()
	defer e.k.mu.Unlock()
	if e.k.behind || e.k.epoch != e.epoch {
		return ErrBehind
	}
	return nil
}

// Lost notes that the topic may have what the store has not. It is for who calls Apply.
func (k *Keys) Lost() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.behind {
		k.whole = time.Now()
	}
	k.behind = true
	k.epoch++
}

// Apply stores what transactions have written that are in the topic now, where n records begin at first. They come in the order of the topic. Unless
// that is all that has come to the topic, but for the end of the transaction before, it is read.
func (k *Keys) Apply(all []*Entry, first int64, n int) {
	for _, e := range all {
		n -= len(e.Writes)
	}
	if n != 0 || first != k.at && first != k.at+1 {
		k.Lost()
		return
	}
	k.whole = time.Now()
	for i, e := range all {
		first += int64(len(e.Writes))
		at := int64(-1)
		if i == len(all)-1 {
			at = first
		}
		if err := k.put(e.Writes, at); err != nil {
			k.opts.Logger.Warn("the store of keys is read from the topic, as it does not take them", zap.Error(err))
			k.Lost()
			return
		}
	}
	k.at = first
}

// put stores keys, and unless it is negative the position.
func (k *Keys) put(writes map[string][]byte, at int64) error {
	ctx := context.Background() // the store does not wait for anybody
	tx, err := k.local.Begin(ctx)
	if err != nil {
		return err
	}
	defer tx.End()
	for key, value := range writes {
		if value == nil {
			err = tx.Delete(key)
		} else {
			err = tx.Set(key, value)
		}
		if err != nil {
			return err
		}
	}
	if at >= 0 {
		o := group.Offset{Offset: at, LeaderEpoch: -1}
		if !k.empty {
			o.Metadata = uuid.Text(k.topic.ID()) + " " + strconv.FormatInt(k.whole.UnixMilli(), 10)
		}
		if err := tx.CommitOffsets(position{}, map[log.TopicPartition]group.Offset{positionPartition: o}); err != nil {
			return err
		}
	}
	return tx.Commit()
}

var positionPartition = log.TopicPartition{Topic: positionTopic}

// position is engine.Member: the group of the store whose offset is where the topic is read from. Its metadata is the identity of the topic, and when the
// store had all of it up to there.
type position struct{}

const positionGroup = "keys"

func (position) Group() string { return positionGroup }
func (position) Request(offsets map[log.TopicPartition]group.Offset) (group.CommitRequest, error) {
	return group.CommitRequest{Generation: -1, Offsets: offsets}, nil
}
func (position) Saved(group.CommitRequest) {}
func (position) Refused(group.CommitRequest, error) (bool, <-chan struct{}) {
	return false, nil
}

// resume finds where the store is in the topic. One of another topic is emptied.
func (k *Keys) resume(ctx context.Context) error {
	v, err := k.local.View(ctx)
	if err != nil {
		return err
	}
	found, err := v.Committed(positionGroup, positionPartition)
	v.End()
	if err != nil {
		return err
	}
	o := found[positionPartition]
	topic, at, _ := strings.Cut(o.Metadata, " ")
	ms, err := strconv.ParseInt(at, 10, 64)
	if err == nil && topic == uuid.Text(k.topic.ID()) {
		k.at, k.whole = o.Offset, time.UnixMilli(ms)
		return nil
	}
	return k.clear(ctx)
}

// old reports whether the topic may have forgotten deletions that the store has not seen, or the clock does not tell.
func (k *Keys) old() bool {
	age := time.Since(k.whole)
	return age < -k.opts.Remembered/2 || age > k.opts.Remembered/2
}

// clear begins anew.
func (k *Keys) clear(ctx context.Context) error {
	k.at, k.empty, k.whole = 0, true, time.Now()
	if err := k.put(nil, 0); err != nil { // whatever becomes of the rest
		return err
	}
	v, err := k.local.View(ctx)
	if err != nil {
		return err
	}
	defer v.End()
	err = k.putAll(func(yield func(engine.KeyValue, error) bool) {
		for kv, err := range v.Scan(engine.ScanOptions{}) {
			if !yield(engine.KeyValue{Key: kv.Key}, err) {
				return
			}
		}
	}, func() int64 { return -1 })
	k.empty = err != nil
	return err
}

// How much of a topic is stored at once.
const (
	mostKeys  = 4096
	mostBytes = 4 << 20
)

// putAll stores all that comes, the position with it as it is then.
func (k *Keys) putAll(all iter.Seq2[engine.KeyValue, error], at func() int64) error {
	writes, bytes := make(map[string][]byte), 0
	put := func() error {
		err := k.put(writes, at())
		clear(writes)
		bytes = 0
		return err
	}
	for kv, err := range all {
		if err != nil {
			return err
		}
		if len(writes) >= mostKeys || bytes+len(kv.Value) > mostBytes && bytes > 0 {
			if err := put(); err != nil {
				return err
			}
		}
		writes[string(kv.Key)] = kv.Value
		bytes += len(kv.Key) + len(kv.Value)
	}
	return put()
}
