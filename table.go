package samsa

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"unicode/utf8"

	"github.com/samsa-go/samsa/internal/engine"
	"github.com/samsa-go/samsa/internal/hook"
	"github.com/samsa-go/samsa/internal/option"
	"github.com/samsa-go/samsa/internal/table"
	"github.com/samsa-go/samsa/log"
)

// TableOptions say what a table is of, and where it is kept. Topic is needed; the zero value of the rest is a table of the whole
// topic, in memory.
type TableOptions struct {
	// Topic is whose records these are, all partitions of it, those added later too.
	Topic string
	// Group has the table be of the partitions alone that a consumer group gives it, of which all tables with the name, in any
	// process, share the topic. Such a table is in memory. Nothing is committed for the group.
	Group string
	// Name has the table kept beside the data, in the broker's store: it goes on where it was when the broker is opened again, and
	// takes no memory for its rows. The topic may have several, of different names, each open once at a time; their rows go
	// with the topic, or with Table.Drop. "" is a table in memory, which is built from the log. At most 64 bytes.
	Name string
	// Version is changed to have a table with a Name built anew, from the log; so is one whose Isolation has changed.
	Version int
	// Isolation says which records of transactions count: with ReadCommitted, the default, those that were committed.
	Isolation Isolation
	// SkipDamaged has the table go on behind a batch that is damaged, of which the logger is told: its records are not in the table then.
	// Else it ends the table, with ErrCorruptRecord.
	SkipDamaged bool
	// ClientID names the program, in descriptions of its group say.
	ClientID string
}

const maxTableName = 64

func (o TableOptions) validate() error {
	var w option.Mistakes
	w.Check(o.Topic != "", "TableOptions.Topic", `""`, "a topic")
	w.Check(o.Group == "" || o.Name == "", "TableOptions.Name", fmt.Sprintf("%q", o.Name), "none with TableOptions.Group")
	w.Check(len(o.Name) <= maxTableName && utf8.ValidString(o.Name), "TableOptions.Name", fmt.Sprintf("%.80q", o.Name), "at most 64 bytes, in UTF-8")
	w.Check(o.Version == 0 || o.Name != "", "TableOptions.Version", o.Version, "0 without TableOptions.Name")
	w.Check(log.KnownIsolation(o.Isolation), "TableOptions.Isolation", o.Isolation, "one of the Read constants")
	w.Check(utf8.ValidString(o.ClientID), "TableOptions.ClientID", fmt.Sprintf("%q", o.ClientID), "UTF-8")
	return w.Err()
}

// Table is the latest record of each key of a topic, ready to ask. A row is the whole record of its key with the highest offset, and is there as
// long as that record is: a tombstone ends it, and so does retention, when the log start passes it. Records without a key do not count. Where
// records of one key are in several partitions the table has the one that it has read last; HashPartitioner, the default, keeps a key in one.
//
// The table follows the log by itself, a moment behind: see WaitFor. All methods may be called by anybody at any time. When its topic
// is deleted the table ends: all is ErrUnknownTopic then, and NewTable is of the topic that has the name since.
type Table struct {
	b      *Broker
	opts   TableOptions
	engine *table.Table
}

// NewTable returns a table that has all that was stored before the call: it waits for that, until ctx ends, and with a Group until
// that has given it its partitions. It fails with ErrUnknownTopic, or ErrInvalidOption naming all that is wrong, or that a table of
// the Name is open. A Name is ErrUnsupported on a Kafka cluster.
func (b *Broker) NewTable(ctx context.Context, opts TableOptions) (*Table, error) {
	t := &Table{b: b, opts: opts}
	err := opts.validate()
	switch {
	case err != nil:
	case opts.Name != "" || opts.Group != "":
		err = b.checkWrite(ctx)
	default:
		err = b.check(ctx)
	}
	if err == nil {
		err = t.open(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("new table: %w", err)
	}
	return t, nil
}

func (t *Table) open(ctx context.Context) (err error) {
	opts := table.Options{
		Topic: t.opts.Topic, Name: t.opts.Name, Group: t.opts.Group, Isolation: t.opts.Isolation, SkipDamaged: t.opts.SkipDamaged, ClientID: t.opts.ClientID, Shared: t.opts.Group != "",
		Version: t.opts.Version,
		Rows:    func(engine.Topic) (table.Rows, []byte, error) { return table.InMemory(), nil, nil },
	}
	if t.opts.Name != "" {
		l, err := t.b.ofStore("a table with a name")
		if err != nil {
			return err
		}
		opts.Rows = func(of engine.Topic) (table.Rows, []byte, error) { return l.Tables.Open(l, of, t.opts.Name) }
	}
	var c *Consumer
	var poll func(context.Context)
	if t.opts.Group != "" {
		if c, poll, err = t.member(ctx); err != nil {
			return err
		}
		opts.Rest = func() { _ = c.Close() } // nothing is left behind: its callbacks are the table's
	}
	if t.engine, err = table.New(ctx, &t.b.tables, opts); err != nil {
		if c != nil {
			_ = c.Close()
		}
		return err
	}
	if c != nil {
		t.engine.Go(poll)
		err = t.engine.Given(ctx)
	}
	if err == nil {
		err = t.WaitFor(ctx)
	}
	if err != nil {
		_ = t.Close() // which ends at once
	}
	return err
}

// member returns the consumer that is the table's member of its group, which reads nothing, and what lets it do its part.
func (t *Table) member(ctx context.Context) (*Consumer, func(context.Context), error) {
	mine := make(map[int32]bool) // only poll uses it
	gone := func(_ context.Context, _ *Consumer, tps []TopicPartition) {
		for _, tp := range tps {
			delete(mine, tp.Partition)
		}
		t.engine.Assign(maps.Clone(mine))
	}
	c, err := t.b.NewConsumer(hook.AsStored(ctx), ConsumerOptions{
		Topics: []string{t.opts.Topic}, Group: t.opts.Group, Isolation: t.opts.Isolation, ClientID: t.opts.ClientID,
		Member: MemberOptions{
			ManualCommit: true, OnRevoked: gone, OnLost: gone,
			OnAssigned: func(_ context.Context, c *Consumer, tps []TopicPartition) {
				_ = c.Pause(tps...) // which the consumer has just got
				for _, tp := range tps {
					mine[tp.Partition] = true
				}
				t.engine.Assign(maps.Clone(mine))
			},
		},
	})
	poll := func(ctx context.Context) {
		for ctx.Err() == nil {
			if _, err := c.Poll(ctx); err != nil && ctx.Err() == nil && !Retriable(err) {
				t.engine.End(err)
			}
		}
	}
	return c, poll, err
}

// Get returns the row of key, or ErrKeyNotFound. Its bytes are the caller's. A row that is damaged is ErrCorruptValue: another
// TableOptions.Version builds it anew.
func (t *Table) Get(key []byte) (Record, error) { return t.engine.Get(key) }

// TableRange says which rows Range visits. It keeps no reference to the bytes once the iteration has begun.
type TableRange struct {
	// From is the first key, To the one before which they end; nil is no bound.
	From, To []byte
	// Prefix is what the keys begin with.
	Prefix []byte
	// Reverse visits the keys from the last one to the first.
	Reverse bool
}

// Range iterates over rows in the bytewise order of their keys, as of when the iteration begins. Keys of 1000 bytes and more that have their
// first 968 in common come in no particular order. The bytes are the caller's. An error ends it, but for an *InterceptError, which stands for
// its row (see Hook). What is
// removed meanwhile takes space until it ends.
func (t *Table) Range(r TableRange) iter.Seq2[Record, error] { return t.engine.Range(table.Range(r)) }

// Len returns how many rows there are.
func (t *Table) Len() int64 { return t.engine.Len() }

// TableChange is samsa.TableChange.
//
//	type TableChange struct {
//		Record Record
//		Mark   bool
//	}
type TableChange = table.Change

// Watch gives all rows, in the order of their keys, then the mark, and then each row that changes or goes, for ever. It ends, after yielding the
// error, when ctx ends or the table does; an *InterceptError stands for a row (see Hook), and ends nothing. The bytes are the caller's.
//
// Nothing is missed: after any change that it has given, the rows are those of the table at a moment, but for keys that are still to come. Who is slow
// gets the latest row of a key, and not each that it had, or nothing where it is as it was. The table remembers 1024 keys for it; when there are more it keeps
// its rows as of then, until the loop has come to them, and gives what differs since, in the order of keys.
func (t *Table) Watch(ctx context.Context) iter.Seq2[TableChange, error] { return t.engine.Watch(ctx) }

// WaitFor waits until the table has all of these records, as Produce has returned them, or what has come after them: so a program reads what
// it has written. Of a record only topic, partition and offset count; those of other topics are passed over. Without any it waits for all
// that is stored now, in the partitions that are the table's until then. A record of a partition that the table has not, as its group has not given it, is
// ErrUnknownPartition. Records behind a transaction that is
// open it waits for until that has ended.
func (t *Table) WaitFor(ctx context.Context, records ...Record) (err error) {
	if err = ctx.Err(); err != nil {
		return fmt.Errorf("wait for: %w", err)
	}
	if len(records) == 0 {
		err = t.engine.CatchUp(ctx)
	} else {
		offsets := make(map[int32]int64)
		for i := range records {
			if r := &records[i]; r.Topic == t.opts.Topic {
				offsets[r.Partition] = max(offsets[r.Partition], r.Offset)
			}
		}
		err = t.engine.WaitFor(ctx, offsets)
	}
	if err != nil {
		return fmt.Errorf("wait for: %w", err)
	}
	return nil
}

// Lag returns how many offsets the table is behind the end of what it can get, in all its partitions.
func (t *Table) Lag(ctx context.Context) (int64, error) {
	err := ctx.Err()
	var lag int64
	if err == nil {
		lag, err = t.engine.Lag(ctx)
	}
	if err != nil {
		return 0, fmt.Errorf("lag: %w", err)
	}
	return lag, nil
}

// Close ends the table: all is ErrClosed, loops over Watch too. What is kept of it stays. It returns when nothing of the table runs
// any more, and may be called more than once.
func (t *Table) Close() error { return t.engine.Close() }

// Drop is Close that removes what is kept of the table, of which nothing else uses the space. It is ErrClosed when the table was
// closed before: then only opening it again, or the end of the topic, has it go.
func (t *Table) Drop() error {
	if err := t.engine.Drop(); err != nil {
		return fmt.Errorf("drop: %w", err)
	}
	return nil
}
