// Package feature keeps the feature levels of a broker (KIP-584): what its clients may make use of, which who runs it can
// set back while they change over. Users import the module root.
package feature

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"sync"

	"go.uber.org/zap"

	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/internal/turns"
	"github.com/samsa-go/samsa/internal/writer"
	"github.com/samsa-go/samsa/log"
)

// Transactions is the feature of transactions: with level 2 a producer's epoch rises with each of them, and partitions
// and offsets join one without being asked (KIP-890).
const Transactions = "transaction.version"

// Groups is the feature of groups whose partitions the broker assigns (KIP-848), from level 1 on.
const Groups = "group.version"

// Streams is the feature of groups of Kafka Streams' own protocol (KIP-1071): level 1 has it.
const Streams = "streams.version"

// Shares is the feature of share groups: level 1 has them (KIP-932), and 2 their dead letters (KIP-1191).
const Shares = "share.version"

// Feature is a feature and the levels that there are: 0 is without it.
type Feature struct {
	Name string
	Max  int16
}

// All are the features, by name. Each begins at its largest level.
var All = []Feature{{Groups, 1}, {Shares, 2}, {Streams, 1}, {Transactions, 2}}

// Levels are the levels of a broker. Its methods may be called by anybody at any time.
type Levels struct {
	c *writer.Committer

	change turns.Turn // held by who changes them

	mu    sync.Mutex // guards what follows
	saved saved
}

// saved is what is stored, JSON.
type saved struct {
	Version int              `json:"version"`
	Epoch   int64            `json:"epoch"`  // rises with each change
	Levels  map[string]int16 `json:"levels"` // of features that are not at their largest
}

const savedVersion = 1

var key = store.BrokerKey("f")

// Open returns the levels that are in st. Those that are damaged count as never changed: the logger is told.
func Open(st store.Store, c *writer.Committer, logger *zap.Logger) (*Levels, error) {
	l := &Levels{c: c, change: turns.New()}
	v, err := st.Get(key)
	if err == nil {
		err = l.saved.parse(v)
	}
	switch {
	case errors.Is(err, store.ErrNotFound):
	case store.Lost(err):
		logger.Warn("the levels of features are damaged, they are as they were at first", zap.Error(err))
		l.saved = saved{}
	case err != nil:
		return nil, fmt.Errorf("levels of features: %w", err)
	}
	return l, nil
}

func (s *saved) parse(v []byte) error {
	if err := json.Unmarshal(v, s); err != nil {
		return fmt.Errorf("%w: levels of features: %w", log.ErrCorruptValue, err)
	}
	if s.Version != savedVersion || s.Epoch < 0 {
		return fmt.Errorf("%w: levels of features: %q", log.ErrCorruptValue, v)
	}
	return nil
}

// Level returns that of a feature, 0 of one that does not exist.
func (l *Levels) Level(name string) int16 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.saved.level(name)
}

// Now returns the levels of all features that are not at 0, and a number that rises with each change.
func (l *Levels) Now() (levels map[string]int16, epoch int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	levels = make(map[string]int16)
	for _, f := range All {
		if level := l.saved.level(f.Name); level > 0 {
			levels[f.Name] = level
		}
	}
	return levels, l.saved.Epoch
}

func (s *saved) level(name string) int16 {
	for _, f := range All {
		if f.Name != name {
			continue
		}
		if level, ok := s.Levels[name]; ok {
			return min(level, f.Max)
		}
		return f.Max
	}
	return 0
}

// Set stores levels, all or none of them; each is of a feature that exists, and one of its levels. ctx counts until storing begins.
func (l *Levels) Set(ctx context.Context, levels map[string]int16) error {
	if err := l.change.TakeUntil(ctx); err != nil {
		return err
	}
	defer l.change.Give()
	next := saved{Version: savedVersion, Epoch: l.saved.Epoch + 1, Levels: maps.Clone(l.saved.Levels)}
	if next.Levels == nil {
		next.Levels = make(map[string]int16)
	}
	for _, f := range All {
		level, ok := levels[f.Name]
		switch {
		case !ok:
		case level == f.Max:
			delete(next.Levels, f.Name)
		default:
			next.Levels[f.Name] = level
		}
	}
	value, err := json.Marshal(next)
	if err != nil {
		return fmt.Errorf("levels of features: %w", err)
	}
	tx := &writer.Tx{Essential: true}
	tx.Writes.Set(key, value)
	if err := l.c.DoUntil(ctx, tx); err != nil {
		return fmt.Errorf("levels of features: %w", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.saved = next
	return nil
}
