package samsa

import (
	"errors"
	"fmt"
	"iter"

	"github.com/samsa-go/samsa/internal/engine"
	"github.com/samsa-go/samsa/internal/table"
	"github.com/samsa-go/samsa/internal/transact"
)

// TableTx is a table inside an Update or a View, as of one moment: it has all that was stored before it was asked for. What the transaction
// itself produces is not in it. It is valid as long as the transaction, for one goroutine.
type TableTx struct{ engine *table.Tx }

// Table returns t for reading in the transaction. When records of keys that were read, found or not, have been written since, in whatever
// way, and the transaction writes something, it conflicts as it does with keys of the application: the function is called again, and in the end Update
// is ErrConflict. A range counts as read as a whole. A batch of more than 64 KiB, or 256 KiB decompressed, conflicts with whatever was read; so does
// what stands behind an open transaction of a Kafka client, until that has ended.
//
// It is ErrUnsupported on a Kafka cluster, and for a table of a group.
func (tx *Tx) Table(t *Table) (*TableTx, error) {
	e, err := tx.table(t)
	if err != nil {
		return nil, tx.engine.Fail(fmt.Errorf("table in a transaction: %w", err))
	}
	return &TableTx{e}, nil
}

func (tx *Tx) table(t *Table) (*table.Tx, error) {
	if err := tx.engine.Err(); err != nil {
		return nil, err
	}
	if e := tx.tables[t]; e != nil {
		return e, nil
	}
	switch {
	case t == nil:
		return nil, fmt.Errorf("%w: the table is nil", ErrInvalidOption)
	case t.b != tx.b:
		return nil, fmt.Errorf("%w: the table is of another broker", ErrInvalidOption)
	}
	e, err := t.engine.Tx(tx.ctx)
	if err != nil {
		return nil, err
	}
	if tx.tables == nil {
		tx.tables = make(map[*Table]*table.Tx)
	}
	tx.tables[t] = e
	tx.engine.(*transact.Tx).Guard(e) // of this process, as the table's records are
	return e, nil
}

// endTables ends what Table has begun.
func (tx *Tx) endTables() {
	for _, e := range tx.tables {
		e.Close()
	}
}

// Tables returns tables for reading, in the order of the arguments, all as of one moment, which is that of the view from then on: what an Update has stored is in all of
// them, and in the keys of the application and the committed offsets, or in none. So it comes first: after Get, Scan or Committed, or
// a second time, it is ErrInvalidOption. It waits until the tables are there, for no transaction that is open.
//
// A row of more than 8 MiB is in the log alone: where that has it no more, as it was overwritten since, reading the row is ErrConflict, and another View
// shows what is there. Tables is ErrUnsupported on a Kafka cluster, and for a table of a group.
func (tx *ReadTx) Tables(tables ...*Table) ([]*TableTx, error) {
	all, err := tx.at(tables)
	if err != nil {
		return nil, fmt.Errorf("tables: %w", err)
	}
	return all, nil
}

func (tx *ReadTx) at(tables []*Table) ([]*TableTx, error) {
	if tx.view == nil {
		return nil, fmt.Errorf("%w: in an Update there is Tx.Tables", ErrInvalidOption)
	}
	if _, err := tx.view.b.ofStore("a table in a View"); err != nil {
		return nil, err
	}
	v := tx.engine.(*transact.View)
	if err := v.Err(); err != nil {
		return nil, err
	}
	if tx.view.read {
		return nil, fmt.Errorf("%w: the view was read before", ErrInvalidOption)
	}
	engines := make([]*table.Table, len(tables))
	for i, t := range tables {
		switch {
		case t == nil:
			return nil, fmt.Errorf("%w: a table is nil", ErrInvalidOption)
		case t.b != tx.view.b:
			return nil, fmt.Errorf("%w: a table is of another broker", ErrInvalidOption)
		}
		engines[i] = t.engine
	}
	views, snap, err := table.Moment(tx.view.ctx, &tx.view.b.tables, engines)
	if err != nil {
		return nil, err
	}
	v.Move(snap)
	tx.reads()
	tx.view.tables = views
	all := make([]*TableTx, len(views))
	for i, e := range views {
		all[i] = &TableTx{e}
	}
	return all, nil
}

// reads notes that the moment of a view stays what it is.
func (tx *ReadTx) reads() engine.View {
	if tx.view != nil {
		tx.view.read = true
	}
	return tx.engine
}

// end ends what Tables has begun.
func (v *view) end() {
	for _, e := range v.tables {
		e.Close()
	}
}

// Tables is Table of each. In an Update all that was read is checked at the commit, and so is of one moment then.
func (tx *Tx) Tables(tables ...*Table) ([]*TableTx, error) {
	all := make([]*TableTx, len(tables))
	for i, t := range tables {
		var err error
		if all[i], err = tx.Table(t); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// Get is Table.Get.
func (t *TableTx) Get(key []byte) (Record, error) { return t.engine.Get(key) }

// Range is Table.Range.
func (t *TableTx) Range(r TableRange) iter.Seq2[Record, error] { return t.engine.Range(table.Range(r)) }

// NoRow is the revision of a key that has no row, for Put: no offset is negative.
const NoRow = int64(-1)

// Put produces a record of key to the topic of t, a tombstone if the value is nil, if the row of key is still the one of that revision: the
// Record.Offset of the row that the program has seen, or NoRow if there was none. Otherwise it is ErrConflict at once, and so is Update. When
// another one writes the key between Put and the commit, the function is called again, as Table says. So of many who put with the same revision
// one succeeds. Where an interceptor changes the key, the row is that of the key as it is stored.
func (tx *Tx) Put(t *Table, key, value []byte, revision int64) error {
	return tx.PutRecord(t, Record{Key: key, Value: value}, revision)
}

// PutRecord is Put of a record that has more than a key and a value. Its topic is that of t, which may be left out.
func (tx *Tx) PutRecord(t *Table, r Record, revision int64) error {
	e, err := tx.table(t)
	if err != nil {
		return tx.engine.Fail(fmt.Errorf("put: %w", err))
	}
	if r.Topic == "" {
		r.Topic = t.opts.Topic
	}
	if r.Topic != t.opts.Topic {
		return tx.engine.Fail(fmt.Errorf("put: %w: the record is for topic %s, the table is of %s", ErrInvalidRecord, r.Topic, t.opts.Topic))
	}
	records := []Record{r}
	if tx.b.hooks.ChangesProduced(tx.ctx) {
		if records, err = tx.b.hooks.BeforeProduce(tx.ctx, records); err != nil {
			return tx.engine.Fail(fmt.Errorf("produce: %w", err))
		}
	}
	if err := put(e, records[0].Key, revision); err != nil {
		return tx.engine.Fail(fmt.Errorf("put: %w", err))
	}
	return tx.produce(ProduceOptions{}, records)
}

// put checks that the row of a key is of a revision.
func put(e *table.Tx, key []byte, revision int64) error {
	if key == nil {
		return fmt.Errorf("%w: no key", ErrInvalidRecord)
	}
	is := NoRow
	switch row, err := e.Row(key); {
	case err == nil:
		is = row.Offset
	case !errors.Is(err, ErrKeyNotFound):
		return err
	}
	if is != revision {
		return fmt.Errorf("%w: %.100q is at revision %d, not %d", ErrConflict, key, is, revision)
	}
	return nil
}
