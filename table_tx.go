package samsa

import (
	"errors"
	"fmt"
	"iter"

	"github.com/samsa-go/samsa/internal/table"
	"github.com/samsa-go/samsa/internal/transact"
)

// TableTx is a table inside an Update, as of one moment: it has all that was stored before it was asked for. What the transaction itself
// produces is not in it. It is valid as long as the transaction, for one goroutine.
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

// Get is Table.Get.
func (t *TableTx) Get(key []byte) (Record, error) { return t.engine.Get(key) }

// Range is Table.Range.
func (t *TableTx) Range(r TableRange) iter.Seq2[Record, error] { return t.engine.Range(table.Range(r)) }

// NoRow is the revision of a key that has no row, for Put: no offset is negative.
const NoRow = int64(-1)

// Put produces a record of key to the topic of t, a tombstone if the value is nil, if the row of key is still the one of that revision: the
// Record.Offset of the row that the program has seen, or NoRow if there was none. Otherwise it is ErrConflict at once, and so is Update. When
// another one writes the key between Put and the commit, the function is called again, as Table says. So of many who put with the same revision
// one succeeds.
func (tx *Tx) Put(t *Table, key, value []byte, revision int64) error {
	err := tx.put(t, key, revision)
	if err != nil {
		return tx.engine.Fail(fmt.Errorf("put: %w", err))
	}
	return tx.Produce(Record{Topic: t.opts.Topic, Key: key, Value: value})
}

func (tx *Tx) put(t *Table, key []byte, revision int64) error {
	e, err := tx.table(t)
	if err != nil {
		return err
	}
	if key == nil {
		return fmt.Errorf("%w: no key", ErrInvalidRecord)
	}
	is := NoRow
	switch row, err := e.Get(key); {
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
