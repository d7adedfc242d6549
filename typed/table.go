package typed

import (
	"context"
	"fmt"
	"iter"

	"github.com/samsa-go/samsa"
)

// Table is a samsa.Table of messages: the latest one of each key.
type Table[K, V any] struct {
	*samsa.Table
	topic  string
	codecs Codecs[K, V]
}

// TableChange is a samsa.TableChange of a message: a row, the end of one, whose message is a tombstone, or the mark.
type TableChange[K, V any] struct {
	Message Message[K, V]
	Mark    bool
}

// NewTable returns a table: see samsa.Broker.NewTable.
func NewTable[K, V any](ctx context.Context, b *samsa.Broker, c Codecs[K, V], opts samsa.TableOptions) (*Table[K, V], error) {
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("new table: %w", err)
	}
	t, err := b.NewTable(ctx, opts)
	if err != nil {
		return nil, err
	}
	return &Table[K, V]{t, opts.Topic, c}, nil
}

// Get returns the row of key: see samsa.Table.Get. One that cannot be decoded is a *DecodeError, and the message with what could be; a
// key that cannot be encoded is ErrInvalid.
func (t *Table[K, V]) Get(key K) (Message[K, V], error) { return t.codecs.row(t.Table.Get, key) }

// Range iterates over rows, in the order of the bytes of their keys: see samsa.Table.Range. One that cannot be decoded is yielded with
// a *DecodeError, which ends nothing.
func (t *Table[K, V]) Range(r samsa.TableRange) iter.Seq2[Message[K, V], error] {
	return t.codecs.messages(t.Table.Range(r))
}

// Watch gives all rows, the mark, and then each row that changes or goes: see samsa.Table.Watch. One that cannot be decoded is yielded with
// a *DecodeError, which ends nothing.
func (t *Table[K, V]) Watch(ctx context.Context) iter.Seq2[TableChange[K, V], error] {
	return func(yield func(TableChange[K, V], error) bool) {
		for change, err := range t.Table.Watch(ctx) {
			own := TableChange[K, V]{Message: Message[K, V]{Record: change.Record}, Mark: change.Mark}
			if err == nil && !own.Mark {
				err = t.codecs.decode(&own.Message)
			}
			if !yield(own, err) {
				return
			}
		}
	}
}

// TableTx is a samsa.TableTx of messages.
type TableTx[K, V any] struct {
	*samsa.TableTx
	tx *samsa.Tx
	t  *Table[K, V]
}

// Tx returns the table for reading and writing in a transaction: see samsa.Tx.Table.
func (t *Table[K, V]) Tx(tx *samsa.Tx) (*TableTx[K, V], error) {
	inner, err := tx.Table(t.Table)
	if err != nil {
		return nil, err
	}
	return &TableTx[K, V]{inner, tx, t}, nil
}

// Get is Table.Get.
func (x *TableTx[K, V]) Get(key K) (Message[K, V], error) { return x.t.codecs.row(x.TableTx.Get, key) }

// Range is Table.Range.
func (x *TableTx[K, V]) Range(r samsa.TableRange) iter.Seq2[Message[K, V], error] {
	return x.t.codecs.messages(x.TableTx.Range(r))
}

// Put writes the row of key if that is still the one of the revision: the Record.Offset of what the program has seen, or samsa.NoRow. See
// samsa.Tx.Put. The headers that the codec makes are written too.
func (x *TableTx[K, V]) Put(key K, value V, revision int64) error {
	r, err := x.t.codecs.Encode(MessageOf(x.t.topic, key, value))
	if err != nil {
		return err
	}
	return x.tx.PutRecord(x.t.Table, r, revision)
}

// Delete ends the row of key, as Put writes one.
func (x *TableTx[K, V]) Delete(key K, revision int64) error {
	r, err := x.t.codecs.Tombstone(x.t.topic, key)
	if err != nil {
		return err
	}
	return x.tx.Put(x.t.Table, r.Key, nil, revision)
}

// row returns the row of key.
func (c *Codecs[K, V]) row(get func([]byte) (samsa.Record, error), key K) (m Message[K, V], err error) {
	text, err := c.key.Append(make([]byte, 0, 64), key)
	if err != nil {
		return m, encodeError("key", err)
	}
	if m.Record, err = get(text); err != nil {
		return m, err
	}
	err = c.decode(&m)
	return m, err
}
