// Package transfer brings topics from one store to another: a snapshot of some topics, and what takes them out of one.
package transfer

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"go.uber.org/zap"

	"github.com/samsa-go/samsa/group"
	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/internal/writer"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/topic"
)

// Export writes a snapshot that has some topics only: their entries, records, what partitions know of producers, and
// the offsets that groups have committed in them. numbers are those of the topics in keys.
func Export(ctx context.Context, w io.Writer, snap store.Snapshot, numbers map[string]uint32) error {
	chosen := map[uint32]bool{}
	for _, n := range numbers {
		chosen[n] = true
	}
	return store.WriteStreamOf(ctx, w, snap, func(key []byte) bool {
		switch key[0] {
		case 'b', 'l', 'p', 't':
			id, err := store.ParsePartition(key)
			return err == nil && chosen[id.Topic]
		case 'o':
			k, err := store.ParseOffsetKey(key)
			_, ok := numbers[k.Topic]
			return err == nil && ok
		case 'c':
			name, ok := strings.CutPrefix(string(key), string(store.CatalogueKey("t")))
			if ok {
				_, ok = numbers[name]
			}
			return ok || bytes.Equal(key, store.CatalogueKey("n"))
		case 'i':
			return bytes.Equal(key, store.NamesKey("n"))
		}
		return false
	})
}

// To is where topics are brought to.
type To struct {
	Topics *topic.Catalogue
	Groups *group.Coordinator
}

// Options say what is imported.
type Options struct {
	Topics  []string          // nil means all that there are
	As      map[string]string // names there, where they are others
	Offsets bool              // what groups have committed, too
}

// Import brings topics of st, which is the caller's and nobody else's, to another broker. All that is to come is checked
// before anything is changed. A topic comes whole or not at all, one after the other, and then the offsets.
// It returns the names of those that have come, under their new names.
func Import(ctx context.Context, to To, st store.Store, o Options) (done []string, err error) {
	committer := writer.NewCommitter(st, zap.NewNop())
	defer committer.Close()
	from, _, err := topic.Open(st, committer, zap.NewNop())
	if err != nil {
		return nil, invalid(err)
	}
	defer from.Close(log.ErrClosed)
	i := importer{to: to, st: st, o: o}
	if err := i.choose(from); err != nil {
		return nil, err
	}
	for _, t := range i.topics {
		if err := i.check(ctx, t); err != nil {
			return nil, err
		}
	}
	for _, t := range i.topics {
		if err := i.bring(ctx, t); err != nil {
			return done, err
		}
		done = append(done, i.name(t.Name()))
	}
	if !o.Offsets {
		return done, nil
	}
	return done, i.offsets(ctx, from, committer)
}

// Early returns the error of Import that is known before the snapshot is read: of names that are asked for twice, are there already, or cannot be
// the names of topics.
func Early(to To, o Options) error {
	i := importer{o: o}
	names := map[string]string{}
	check := func(name string) error {
		as := i.name(name)
		if other, twice := names[as]; twice && other != name {
			return fmt.Errorf("%w: topics %q and %q are to be %q", log.ErrInvalidOption, other, name, as)
		}
		names[as] = name
		_, err := to.Topics.Check(as, topic.Config{})
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(o.As)) {
		if o.Topics != nil && !slices.Contains(o.Topics, name) {
			return fmt.Errorf("%w: ImportOptions.As has %q, which is not imported", log.ErrInvalidOption, name)
		}
		if err := check(name); err != nil {
			return err
		}
	}
	for _, name := range o.Topics {
		if err := check(name); err != nil {
			return err
		}
	}
	return nil
}

// invalid calls what is wrong with a snapshot so.
func invalid(err error) error {
	if err == nil || !errors.Is(err, log.ErrCorruptValue) && !errors.Is(err, log.ErrCorruptRecord) {
		return err
	}
	return fmt.Errorf("%w: %s", store.ErrBadStream, err.Error())
}

type importer struct {
	to     To
	st     store.Store
	o      Options
	topics []*topic.Topic
	buf    []byte
}

func (i *importer) name(name string) string {
	if other, ok := i.o.As[name]; ok {
		return other
	}
	return name
}

// choose finds the topics, and expects that none is there.
func (i *importer) choose(from *topic.Catalogue) error {
	wanted := i.o.Topics
	if wanted == nil {
		wanted = slices.Concat(from.TopicNames(), from.Damaged())
	}
	names := map[string]string{}
	for name := range i.o.As {
		if !slices.Contains(wanted, name) {
			return fmt.Errorf("%w: ImportOptions.As has %q, which is not imported", log.ErrInvalidOption, name)
		}
	}
	for _, name := range wanted {
		t, err := from.Get(name)
		if err != nil {
			return invalid(err)
		}
		as := i.name(name)
		if other, twice := names[as]; twice {
			return fmt.Errorf("%w: topics %q and %q are to be %q", log.ErrInvalidOption, other, name, as)
		}
		names[as] = name
		if _, err := i.to.Topics.Check(as, t.Config()); err != nil {
			return err
		}
		i.topics = append(i.topics, t)
	}
	return nil
}

// check reads all of a topic: each batch, its CRC and its records, and that they follow one another.
func (i *importer) check(ctx context.Context, t *topic.Topic) error {
	var records []byte
	for _, p := range t.Partitions() {
		if damaged := p.Log().Damaged(); len(damaged) > 0 {
			return invalid(damaged[0])
		}
		next := p.LogStart()
		var bad error
		visit := func(sb log.StoredBatch) bool {
			bad = errors.Join(ctx.Err(), sb.Err)
			if bad == nil {
				records, bad = checkBatch(sb.Batch, records)
			}
			if bad == nil && sb.Batch.BaseOffset() > next {
				bad = fmt.Errorf("%w: offsets %d to %d are missing", log.ErrCorruptRecord, next, sb.Batch.BaseOffset()-1)
			}
			next = sb.LastOffset + 1
			return bad == nil
		}
		var err error
		i.buf, err = p.Log().Read(p.LogStart(), i.buf, visit)
		if err = errors.Join(err, bad); err != nil {
			return invalid(fmt.Errorf("%s: %w", p.TopicPartition(), err))
		}
	}
	return nil
}

func checkBatch(b log.Batch, buf []byte) ([]byte, error) {
	if !b.CRCHolds() {
		return buf, fmt.Errorf("%w: the CRC of the batch at offset %d", log.ErrCorruptRecord, b.BaseOffset())
	}
	buf, err := b.AppendRecords(buf[:0])
	r := log.NewRecordReader(b, buf)
	var rec log.Record
	for more := err == nil; more; {
		_, more, err = r.Skim(&rec)
		more = more && err == nil
	}
	return buf, err
}

const (
	pieceBytes   = 4 << 20
	pieceEntries = 4000
)

// bring copies a topic.
func (i *importer) bring(ctx context.Context, t *topic.Topic) error {
	_, err := i.to.Topics.Receive(ctx, i.name(t.Name()), t.Config(), func(number uint32, commit func(*store.Batch) error) error {
		c := copying{st: i.st, number: number, commit: commit}
		for _, p := range t.Partitions() {
			all := func([]byte) (bool, error) { return true, nil }
			open := func(key []byte) (bool, error) { // of producers that have a transaction open
				k, err := store.ParseProducerKey(key)
				return err == nil && p.Log().OpenSince(k.ID) >= 0, err
			}
			err := c.run(store.BatchRange(p.ID(), p.LogStart()), all)
			for _, r := range []store.Range{one(store.LogStartKey(p.ID())), one(store.EpochsKey(p.ID())), store.AbortedRange(p.ID(), 0)} {
				err = cmp.Or(err, c.run(r, all))
			}
			if err = cmp.Or(err, c.run(store.ProducerRange(p.ID()), open)); err != nil {
				return err
			}
		}
		return c.flush()
	})
	return err
}

// copying copies keys of a topic, and has them name the topic by another number.
type copying struct {
	st     store.Store
	number uint32
	commit func(*store.Batch) error
	batch  store.Batch
}

func (c *copying) run(r store.Range, wanted func(key []byte) (bool, error)) error {
	return c.st.Scan(r, func(e store.Entry) (bool, error) {
		if ok, err := wanted(e.Key); !ok || err != nil {
			return err == nil, err
		}
		value, err := e.AppendValue(nil)
		if err == nil && (c.batch.Bytes()+len(value) > pieceBytes || c.batch.Len() >= pieceEntries) {
			err = c.flush()
		}
		key := bytes.Clone(e.Key)
		binary.BigEndian.PutUint32(key[1:], c.number)
		c.batch.Set(key, value)
		return err == nil, err
	})
}

func (c *copying) flush() error {
	if c.batch.Len() == 0 {
		return nil
	}
	err := c.commit(&c.batch)
	c.batch.Reset()
	return err
}

// one covers a single key.
func one(key []byte) store.Range {
	return store.Range{From: key, To: append(bytes.Clone(key), 0)}
}

// offsets commits what groups have committed in the topics.
func (i *importer) offsets(ctx context.Context, from *topic.Catalogue, committer *writer.Committer) error {
	groups, err := group.Open(i.st, committer, from, group.Options{ReadOnly: true})
	if err != nil {
		return invalid(err)
	}
	defer groups.Close()
	var tps []log.TopicPartition
	for _, t := range i.topics {
		for _, p := range t.Partitions() {
			tps = append(tps, p.TopicPartition())
		}
	}
	for _, g := range groups.List() {
		committed, err := groups.Fetch(g.Name, tps...)
		if err != nil {
			return invalid(err)
		}
		offsets := map[log.TopicPartition]group.Offset{}
		for tp, o := range maps.All(committed) {
			o.TopicID = [16]byte{}
			tp.Topic = i.name(tp.Topic)
			offsets[tp] = o
		}
		if len(offsets) == 0 {
			continue
		}
		if err := i.to.Groups.Commit(ctx, g.Name, group.CommitRequest{Generation: -1, Offsets: offsets}); err != nil {
			return fmt.Errorf("offsets of group %s: %w", g.Name, err)
		}
	}
	return nil
}
