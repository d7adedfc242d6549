package store

import (
	"errors"
	"fmt"
)

// Argument errors. They wrap no public error: meeting one is a bug of the caller.
// Nothing is written, and the store goes on.
var (
	errKeySize     = errors.New("key must be 1 to 1024 bytes long")
	errReservedKey = errors.New("key begins with '!', which belongs to the store")
	errEmptyValue  = errors.New("value must not be empty")
)

// Limits bounds one batch.
type Limits struct {
	Entries int // operations in one batch
	Bytes   int // sum of the sizes of keys and values
	Index   int // Batch.Index: what goes to the index rather than to the value files
}

// Admits reports whether b is within l.
func (l Limits) Admits(b *Batch) bool {
	return len(b.ops) <= l.Entries && b.bytes <= l.Bytes && b.index <= l.Index
}

// Batch is a list of writes to be applied together. When a key occurs more than once
// the last operation wins. The zero value is ready to use; a Batch may be used again
// after Reset once its commit is done.
type Batch struct {
	ops   []op
	bytes int
	index int
	large bool // some value lives outside the index
}

type op struct {
	key, value []byte
	remove     bool
}

// Every entry of the index costs its key, a value shorter than 1 KiB or a pointer to a
// longer one, and a little overhead. The figures are those of Badger's own
// bookkeeping, which limits a transaction by them (Txn.checkSize).
const (
	indexPointer  = 12
	indexOverhead = 12
)

func (o op) indexCost() int { return IndexCost(len(o.key), len(o.value)) }

// IndexCost returns what one operation with a key and a value of these sizes adds to
// Batch.Index; a deletion has a value of size 0.
func IndexCost(key, value int) int {
	if value >= inlineThreshold {
		return key + indexPointer + indexOverhead
	}
	return key + value + indexOverhead
}

// Set stores value under key. Both belong to the batch until its commit is done.
func (b *Batch) Set(key, value []byte) {
	b.add(op{key: key, value: value})
}

// Delete removes key if it is there. The key belongs to the batch until its commit is done.
func (b *Batch) Delete(key []byte) {
	b.add(op{key: key, remove: true})
}

func (b *Batch) add(o op) {
	b.ops = append(b.ops, o)
	b.bytes += len(o.key) + len(o.value)
	b.index += o.indexCost()
	b.large = b.large || len(o.value) >= inlineThreshold
}

// Truncate takes back every operation but the first n, so that a caller who folds the
// work of many into one batch can undo the last piece when it no longer fits.
func (b *Batch) Truncate(n int) {
	if n >= len(b.ops) {
		return
	}
	kept := b.ops[:n]
	clear(b.ops[n:])
	b.ops, b.bytes, b.index, b.large = b.ops[:0], 0, 0, false
	for _, o := range kept {
		b.add(o)
	}
}

// Append adds the operations of other, whose keys and values then belong to b too.
func (b *Batch) Append(other *Batch) {
	b.ops = append(b.ops, other.ops...)
	b.bytes += other.bytes
	b.index += other.index
	b.large = b.large || other.large
}

// Len returns the number of operations.
func (b *Batch) Len() int { return len(b.ops) }

// Bytes returns the sum of the sizes of keys and values.
func (b *Batch) Bytes() int { return b.bytes }

// Index returns what the batch puts into the index, in the measure of Limits.Index:
// for each operation its key, its value when that is shorter than 1 KiB, and 12 to 24
// bytes.
func (b *Batch) Index() int { return b.index }

// Reset empties the batch and keeps its memory.
func (b *Batch) Reset() { b.Truncate(0) }

// check returns the reason to refuse b before anything of it is written.
func (b *Batch) check(l Limits) error {
	if !l.Admits(b) {
		return fmt.Errorf("%w: %d operations, %d bytes, %d bytes of index; the limits are %d, %d, %d",
			ErrTooLarge, len(b.ops), b.bytes, b.index, l.Entries, l.Bytes, l.Index)
	}
	for _, o := range b.ops {
		switch {
		case len(o.key) == 0 || len(o.key) > maxKeySize:
			return fmt.Errorf("%w: %d bytes", errKeySize, len(o.key))
		case o.key[0] == prefixStore:
			return fmt.Errorf("%w: %q", errReservedKey, o.key)
		case !o.remove && len(o.value) == 0:
			return fmt.Errorf("%w: key %q", errEmptyValue, o.key)
		}
	}
	return nil
}
