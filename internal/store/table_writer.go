package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/cespare/xxhash/v2"
	"github.com/dgraph-io/badger/v4/options"
	badgertable "github.com/dgraph-io/badger/v4/table"
	"github.com/dgraph-io/badger/v4/y"

	"github.com/samsa-go/samsa/internal/vfs"
)

// tableOptions are those of Badger's builder. It takes the logarithm of bloomRate for bits a key,
// which makes one false answer in a hundred of it, and not one in a thousand.
func tableOptions(tableSize int) badgertable.Options {
	const bloomRate = 0.001
	return badgertable.Options{
		TableSize:          uint64(tableSize) / 8 * 7, // of the blocks; the bloom filter comes on top
		BlockSize:          min(4<<10, tableSize/8),
		BloomFalsePositive: bloomRate,
		Compression:        options.None,
	}
}

// newTableBuilder returns a builder, which has memory until its Close. Nothing it does fails.
func newTableBuilder(tableSize int) *badgertable.Builder {
	return badgertable.NewTableBuilder(tableOptions(tableSize))
}

// tableWriter writes items as tables, one after the other. A table is made in memory: its file is created
// when its size is known, written with one call, synced and closed before the next one begins.
//
// After an error only abort may be called. What was created is the caller's to remove, by the numbers
// that create has returned.
type tableWriter struct {
	create    func(size int64) (number uint64, file vfs.File, err error)
	tableSize int

	builder *badgertable.Builder // of the table that is being made; nil between two
	making  tableInfo
	made    []tableInfo
	key     []byte // of the last item, as Badger has it
	value   []byte // likewise
	content []byte // memory of a table
}

// newTableWriter returns a writer of tables that are no larger than tableSize, unless that is
// less than 64 KiB. create makes a file of at least size bytes, and the writer closes it.
func newTableWriter(create func(size int64) (uint64, vfs.File, error), tableSize int) *tableWriter {
	return &tableWriter{create: create, tableSize: tableSize}
}

var errItemOrder = errors.New("items do not ascend")

// add adds an item, whose key is behind those of all before it. It keeps nothing of it.
func (w *tableWriter) add(i *item) error {
	if n := len(w.key) - 8; n > 0 && bytes.Compare(i.key, w.key[:n]) <= 0 {
		return fmt.Errorf("%w: %q after %q", errItemOrder, i.key, w.key[:n])
	}
	if w.builder == nil {
		w.builder = newTableBuilder(w.tableSize)
		w.making = tableInfo{first: bytes.Clone(i.key)}
	}
	w.key = append(w.key[:0], i.key...)
	w.key = binary.BigEndian.AppendUint64(w.key, math.MaxUint64-i.version)
	w.value = i.appendEncoded(w.value[:0])
	w.builder.Add(w.key, y.ValueStruct{Meta: i.kind(), Value: w.value}, 0)
	w.making.entries++
	if w.builder.ReachedCapacity() {
		return w.write()
	}
	return nil
}

// write writes the table that is being made.
func (w *tableWriter) write() error {
	w.making.last = bytes.Clone(w.key[:len(w.key)-8])
	data := w.builder.Done()
	w.content = slices.Grow(w.content[:0], data.Size)[:data.Size]
	data.Copy(w.content)
	w.abort() // the builder has done its part
	w.making.size, w.making.hash = int64(data.Size), xxhash.Sum64(w.content)

	number, file, err := w.create(w.making.size)
	if err != nil {
		return err
	}
	if err = file.WriteAt(0, w.content); err == nil {
		err = file.Sync()
	}
	if err = Join(err, file.Close()); err != nil {
		return err
	}
	w.making.number = number
	w.made = append(w.made, w.making)
	return nil
}

// finish writes what is left, and returns all tables in order. Their bytes are durable, and their
// names once the caller has synced the directory. Without items there are no tables.
func (w *tableWriter) finish() ([]tableInfo, error) {
	if w.builder != nil {
		if err := w.write(); err != nil {
			return nil, err
		}
	}
	return w.made, nil
}

// abort gives the memory back. It may be called at any time, also after finish.
func (w *tableWriter) abort() {
	if w.builder != nil {
		w.builder.Close()
		w.builder = nil
	}
}
