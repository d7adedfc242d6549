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
}

// Admits reports whether b is within l.
func (l Limits) Admits(b *Batch) bool {
	return len(b.ops) <= l.Entries && b.bytes <= l.Bytes
}

// Batch is a list of writes to be applied together. When a key occurs more than once
// the last operation wins. The zero value is ready to use; a Batch may be used again
// after Reset once its commit is done.
type Batch struct {
	ops   []op
	bytes int
}

type op struct {
	key, value []byte
	remove     bool
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
}

// Append adds the operations of other, whose keys and values then belong to b too.
func (b *Batch) Append(other *Batch) {
	b.ops = append(b.ops, other.ops...)
	b.bytes += other.bytes
}

// Each calls fn for the operations in order; value is nil for a deletion. The bytes are the batch's.
func (b *Batch) Each(fn func(key, value []byte)) {
	for _, o := range b.ops {
		fn(o.key, o.value)
	}
}

// Len returns the number of operations.
func (b *Batch) Len() int { return len(b.ops) }

// Bytes returns the sum of the sizes of keys and values.
func (b *Batch) Bytes() int { return b.bytes }

// Reset empties the batch and keeps its memory.
func (b *Batch) Reset() {
	clear(b.ops)
	b.ops, b.bytes = b.ops[:0], 0
}

// check returns the reason to refuse b before anything of it is written.
func (b *Batch) check(l Limits) error {
	if !l.Admits(b) {
		return fmt.Errorf("%w: %d operations, %d bytes; the limits are %d and %d",
			ErrTooLarge, len(b.ops), b.bytes, l.Entries, l.Bytes)
	}
	for _, o := range b.ops {
		switch {
		case len(o.key) == 0 || len(o.key) > maxKeySize:
			return fmt.Errorf("%w: %d bytes", errKeySize, len(o.key))
		case o.key[0] == prefixStore && (!o.remove || string(o.key) != rebuiltKey):
			return fmt.Errorf("%w: %q", errReservedKey, o.key)
		case !o.remove && len(o.value) == 0:
			return fmt.Errorf("%w: key %q", errEmptyValue, o.key)
		}
	}
	return nil
}
