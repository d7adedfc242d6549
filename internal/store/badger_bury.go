package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"slices"

	"github.com/dgraph-io/badger/v4"
)

// The index is a log-structured tree: of two versions of a key the newer one is in the
// same or a higher level, and so a tombstone that has sunk to the lowest level may go,
// along with everything older. The rewrite of a value file breaks that rule: it writes
// the index entry of an old version anew, to the top, also when the key was deleted and
// compaction has not come across the tombstone yet. When it does, it drops tombstone
// and old entry, and the key is back. Badger (4.9.6) guards only against deletions that
// come after the beginning of a rewrite, and only until its end.
//
// So deleted keys of which the file holds an entry that the index still knows are
// deleted again, before the rewrite and after it, and in between compaction may drop no
// version that was not free to be dropped before:
//
//   - Before, because compaction may drop the old tombstone during the rewrite. The new
//     one is too young for that.
//   - After, so that the tombstone is above what was rewritten, as it should be, whatever
//     becomes of the others. That includes keys deleted during the rewrite.
//
// If the process ends in between, Open does the latter (recoverRewrite).

// stored names an entry of a value file.
type stored struct {
	key     []byte
	version uint64
}

// buryChunk is the number of keys deleted in one pause, which takes some milliseconds.
const buryChunk = 2000

// bury deletes anew those keys of entries that are deleted. Nobody else may commit
// while pause runs its argument.
func (s *badgerStore) bury(entries []stored, pause func(func() error) error) error {
	dead, err := s.deleted(entries)
	if err != nil {
		return err
	}
	for chunk := range slices.Chunk(dead, buryChunk) {
		err := pause(func() error {
			still, err := s.deleted(chunk) // a key may have been set again
			if err != nil || len(still) == 0 {
				return err
			}
			return s.commitTxn(func(txn *badger.Txn, _ uint64) error {
				for _, e := range still {
					if err := txn.Delete(e.key); err != nil {
						return err
					}
				}
				return nil
			})
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// deleted returns the entries whose keys are.
func (s *badgerStore) deleted(entries []stored) ([]stored, error) {
	txn := s.db.NewTransactionAt(s.pipeline.visible(), false)
	defer txn.Discard()
	var dead []stored
	for _, e := range entries {
		_, err := txn.Get(e.key)
		if errors.Is(err, badger.ErrKeyNotFound) {
			dead = append(dead, e)
		} else if err != nil {
			return nil, err
		}
	}
	return dead, nil
}

// known appends to all the entries of a value file that the index knows, alive or not.
// They are the ones that GC copies.
func (s *badgerStore) known(file []byte, all []stored) ([]stored, error) {
	for e := range entriesOf(file) {
		item, txn, err := s.exactly(e)
		if err != nil {
			return nil, err
		}
		if item != nil {
			all = append(all, stored{key: bytes.Clone(e.key), version: e.version})
		}
		txn.Discard()
	}
	return all, nil
}

// exactly returns what the index has under a key and version, or nil.
func (s *badgerStore) exactly(e stored) (*badger.Item, *badger.Txn, error) {
	txn := s.db.NewTransactionAt(e.version, false)
	item, err := txn.Get(e.key)
	switch {
	case errors.Is(err, badger.ErrKeyNotFound):
		return nil, txn, nil
	case err != nil:
		txn.Discard()
		return nil, nil, err
	case item.Version() != e.version:
		return nil, txn, nil
	}
	return item, txn, nil
}

// recoverRewrite ends what a rewrite of the last owner may have left, where the files are
// still there.
func (s *badgerStore) recoverRewrite() error {
	numbers, err := s.getAt(rewriteKey, s.pipeline.visible())
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if len(numbers)%4 != 0 {
		return fmt.Errorf("%w: numbers of value files %x", ErrCorrupt, numbers)
	}
	for ; len(numbers) > 0; numbers = numbers[4:] {
		err := readMapped(valueFile(s.values(), binary.BigEndian.Uint32(numbers)), s.recoverFile)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

func (s *badgerStore) recoverFile(file []byte) error {
	if !s.recovery.Clean {
		if err := s.recoverCopies(file); err != nil {
			return err
		}
	}
	entries, err := s.known(file, nil)
	if err != nil {
		return err
	}
	return s.bury(entries, func(fn func() error) error { return fn() })
}

// recoverCopies makes good the loss of copies that GC made from a file and that were not
// synced before power failed: where the index knows of an entry, but the value it
// points to is gone, it is stored again under its version.
func (s *badgerStore) recoverCopies(file []byte) error {
	for e, value := range entriesOf(file) {
		if err := s.recoverCopy(e, value); err != nil {
			return err
		}
	}
	return nil
}

func (s *badgerStore) recoverCopy(e stored, value []byte) error {
	item, txn, err := s.exactly(e)
	if err != nil {
		return err
	}
	defer txn.Discard()
	if item == nil {
		return nil
	}
	if _, err := s.appendValue(nil, item); err == nil {
		return nil
	}
	again := s.db.NewTransactionAt(e.version, true)
	defer again.Discard()
	if err := again.Set(e.key, value); err != nil {
		return err
	}
	return again.CommitAt(e.version, nil)
}

// storedUnder splits the key that an entry is stored under.
func storedUnder(key []byte) stored {
	n := len(key) - 8
	return stored{key: key[:n:n], version: math.MaxUint64 - binary.BigEndian.Uint64(key[n:])}
}
