package table

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"

	"github.com/samsa-go/samsa/internal/engine"
	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/internal/turns"
	"github.com/samsa-go/samsa/log"
)

// kept is a table that is kept in the store, whether or not it is open, as it was stored last.
type kept struct {
	topic     engine.Topic
	rows      Rows
	prefix    []byte
	meta      meta
	name      string
	isolation log.Isolation
}

// keptOf returns the tables that are kept of a topic, but for those that are to be built anew.
func (b *Broker) keptOf(t engine.Topic) (all []kept, err error) {
	if b.Kept == nil {
		return nil, nil
	}
	rows, prefixes, err := b.Kept(t)
	if err != nil {
		return nil, err
	}
	for _, prefix := range prefixes {
		k := kept{topic: t, rows: rows, prefix: prefix}
		value, err := rows.Get(append(bytes.Clone(prefix), kindMeta))
		if err == nil {
			err = json.Unmarshal(value, &k.meta)
		} else if !errors.Is(err, store.ErrNotFound) && !store.Lost(err) {
			return nil, err
		}
		if err != nil || k.meta.Version != formatVersion || k.identified() != nil {
			continue
		}
		all = append(all, k)
	}
	return all, nil
}

// identity is what rows are of: those of another one are of no use.
func (o *Options) identity() string { return fmt.Sprintf("%s %d %q", o.Isolation, o.Version, o.Name) }

// identified fills what the identity says.
func (k *kept) identified() error {
	var isolation string
	var version int
	if _, err := fmt.Sscanf(k.meta.Identity, "%s %d %q", &isolation, &version, &k.name); err != nil {
		return err
	}
	return k.isolation.UnmarshalText([]byte(isolation))
}

// table returns k as a table that nobody brings further, of which Get and Range are all that works.
func (k *kept) table(b *Broker) *Table {
	t := &Table{b: b, step: turns.New(), topic: k.topic, rows: k.rows, prefix: k.prefix, opts: Options{Topic: k.topic.Name(), Name: k.name, Isolation: k.isolation}, still: true}
	t.ctx, t.cancel = context.WithCancel(context.Background())
	return t
}

// stats is Stats of what is kept.
func (k *kept) stats(b *Broker) (Stats, error) {
	s := Stats{Topic: k.topic.Name(), Name: k.name, Rows: k.meta.Rows, Bytes: k.meta.Bytes}
	t := k.table(b)
	defer t.cancel()
	for i := range k.topic.Partitions() {
		p, err := k.topic.Partition(i)
		if err != nil {
			return s, err
		}
		at, err := t.position(i)
		if err != nil {
			return s, err
		}
		s.Lag += max(0, engine.End(p, k.isolation)-max(at.next, p.LogStart()))
	}
	return s, nil
}

// Listed is a table as List shows it.
type Listed struct {
	Stats
	Err error // what is damaged of it, of which Stats says as much as is known: no more than the topic, of an index
}

// List is Stats of all tables that are open, and behind these of those that are kept and not open: of what is wrong with a topic it says nothing.
func (b *Broker) List() (all []Listed, err error) {
	open := make(map[[2]string]bool)
	for _, s := range b.Stats() {
		all = append(all, Listed{Stats: s})
		open[[2]string{s.Topic, s.Name}] = true
	}
	add := func(s Stats, err error) error {
		if errors.Is(err, log.ErrCorruptValue) || err == nil {
			all = append(all, Listed{s, err})
			err = nil
		}
		return err
	}
	for _, t := range b.Topics.List() {
		of, err := b.keptOf(t)
		if err != nil {
			if err = add(Stats{Topic: t.Name()}, err); err != nil {
				return nil, fmt.Errorf("tables of %s: %w", t.Name(), err)
			}
		}
		for _, k := range of {
			if open[[2]string{t.Name(), k.name}] {
				continue
			}
			if err := add(k.stats(b)); err != nil && !errors.Is(err, log.ErrUnknownTopic) { // which has just been deleted
				return nil, fmt.Errorf("table %q of %s: %w", k.name, t.Name(), err)
			}
		}
	}
	return all, nil
}

// Find returns the tables of a topic that have that name, or that group, to be read: those that are open, or else what is kept, as it was
// stored last. Several that are open are all the same, but for those of a group, which share the rows. Of a topic that there is, without
// such a table, it is ErrUnknown.
func (b *Broker) Find(ctx context.Context, topic, name, group string) (Reader, error) {
	var open Reader
	b.mu.Lock()
	for t := range b.open {
		if t.opts.Topic == topic && t.opts.Name == name && t.opts.Group == group && t.Err() == nil && (group != "" || len(open) == 0) {
			open = append(open, t)
		}
	}
	b.mu.Unlock()
	if len(open) > 0 {
		return open, nil
	}
	t, err := b.Topics.Find(ctx, topic, false)
	if err != nil {
		return nil, err
	}
	all, err := b.keptOf(t)
	if err != nil {
		return nil, err
	}
	for _, k := range all {
		if k.name == name && name != "" && group == "" {
			return Reader{k.table(b)}, nil
		}
	}
	return nil, fmt.Errorf("%w table: %q of %s is not open here, nor kept", log.ErrUnknown, name, topic)
}

// Reader is tables that are read as one.
type Reader []*Table

// Get returns the row of key.
func (r Reader) Get(key []byte) (rec log.Record, err error) {
	for _, t := range r {
		if rec, err = t.Get(key); !errors.Is(err, log.ErrKeyNotFound) {
			break
		}
	}
	return rec, err
}

// Range iterates over the rows.
func (r Reader) Range(of Range) iter.Seq2[log.Record, error] {
	if len(r) == 1 {
		return r[0].Range(of)
	}
	return func(yield func(log.Record, error) bool) {
		heads := make([]head, len(r))
		for i, t := range r {
			next, stop := iter.Pull2(t.Range(of))
			defer stop()
			heads[i] = head{next: next}
			heads[i].advance()
		}
		for {
			first := -1
			for i, h := range heads {
				if h.ok && (first < 0 || h.err != nil || bytes.Compare(h.rec.Key, heads[first].rec.Key) < 0 != of.Reverse) {
					first = i
				}
				if h.ok && h.err != nil {
					break
				}
			}
			if first < 0 || !yield(heads[first].rec, heads[first].err) {
				return
			}
			heads[first].advance()
		}
	}
}

// head is the next row of one of several tables.
type head struct {
	next func() (log.Record, error, bool)
	rec  log.Record
	err  error
	ok   bool
}

func (h *head) advance() { h.rec, h.err, h.ok = h.next() }
