package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

const (
	valueFileSize = 64 << 20
	memtableSize  = 8 << 20
)

// Open opens the store in dir and creates it, and dir, when there is none.
//
// Errors name dir and wrap ErrNotDirectory, ErrNewerFormat, ErrReadOnly or ErrLocked
// when it is one of these; then nothing was written.
func Open(dir string, opts Options) (Store, error) {
	s, err := open(dir, opts.withDefaults())
	if err != nil {
		return nil, fmt.Errorf("store %s: %w", dir, err)
	}
	return s, nil
}

func open(dir string, opts Options) (*badgerStore, error) {
	if info, err := os.Stat(dir); err == nil && !info.IsDir() {
		return nil, fmt.Errorf("%w: it is a file", ErrNotDirectory)
	}
	if err := makeDir(dir); err != nil {
		return nil, dirError(err)
	}
	lock, err := lockDir(dir)
	if err != nil {
		return nil, dirError(err)
	}
	s := &badgerStore{dir: dir, opts: opts, log: opts.Logger, lock: lock, gate: newGate(), pipeline: newPipeline(), rewritten: map[uint32]bool{}}
	if err := s.start(); err != nil {
		return nil, errors.Join(dirError(err), lock.Close())
	}
	return s, nil
}

// start prepares the directory, opens Badger and finds out how the last owner left.
func (s *badgerStore) start() error {
	if err := prepareDir(s.dir); err != nil {
		return err
	}
	index, values := s.index(), s.values()
	last, err := repairFiles(index, values, s.opts.valueFile)
	if err != nil {
		return err
	}
	s.db, err = openBadger(index, values, s.opts, badgerLog{s})
	if err != nil {
		return err
	}
	err = s.recover()
	if err == nil {
		err = s.recoverRewrite()
	}
	for _, path := range []string{index, values} {
		g, e := groundAt(path)
		s.grounds, err = append(s.grounds, g), errors.Join(err, e)
	}
	if err != nil {
		return errors.Join(err, s.db.Close())
	}
	flush := func() error { return nil }
	if mapsNeedFlush {
		flush = s.db.Sync
	}
	s.files = newFileSync(index, values, flush)
	s.files.last = last
	s.hooks.armed.Store(true)
	return nil
}

func (s *badgerStore) index() string { return filepath.Join(s.dir, indexName) }

func (s *badgerStore) values() string { return filepath.Join(s.dir, valuesName) }

// recover reads the recovery point and sets the versions to go on from.
func (s *badgerStore) recover() error {
	newest := s.db.MaxVersion()
	s.pipeline.newest.Store(newest)
	txn := s.db.NewTransactionAt(newest, false)
	defer txn.Discard()
	item, err := txn.Get(recoveryKey)
	switch {
	case errors.Is(err, badger.ErrKeyNotFound):
		s.recovery = Recovery{Clean: newest == 0}
	case err != nil:
		return err
	default:
		value, err := item.ValueCopy(nil)
		if err != nil {
			return err
		}
		if len(value) != 8 {
			// To check every batch would cut logs at damage in their middle. So what is there is
			// taken for what was fsynced, and only the newest batch of each log is looked at.
			s.log.Warn("the recovery point is damaged", zap.String("dir", s.dir), zap.Binary("value", value))
			value = encodeVersion(newest)
		}
		durable := binary.BigEndian.Uint64(value)
		s.recovery = Recovery{Clean: durable == newest && item.Version() == newest, Durable: durable}
	}
	s.pipeline.next = newest + 1
	s.synced = s.recovery.Durable
	if !s.recovery.Clean {
		s.large.Store(newest) // who knows: the first Sync covers the value log too
	}
	return nil
}

// openBadger opens Badger with options found by measurement. The index is small, keys
// and pointers, so a small memtable does, and neither compression nor a cache helps.
// Values are verified on every read: not only to notice damage, Badger would trust the
// lengths in a damaged header otherwise and panic. A value file is mapped at twice its
// nominal size, and to outgrow that would pull the map from under readers; so a batch,
// all of which goes to one file, has at most half of the nominal size (limitBytes).
func openBadger(index, values string, opts Options, logger badger.Logger) (*badger.DB, error) {
	o := badger.DefaultOptions(index).
		WithValueDir(values).
		WithValueThreshold(inlineThreshold).
		WithValueLogFileSize(opts.valueFile).
		WithMemTableSize(opts.memtable).
		WithNumMemtables(2).
		WithNumCompactors(2).
		WithCompression(options.None).
		WithBlockCacheSize(0).
		WithDetectConflicts(false).
		WithMetricsEnabled(false).
		WithVerifyValueChecksum(true).
		WithLogger(logger)
	return badger.OpenManaged(o)
}

// lockedText is how Badger says that another process holds its lock; the cause is not
// in the error chain. It is met only where lockDir locks nothing.
const lockedText = "Another process is using this Badger database"

// dirError gives err the sentinel that the caller of Open can act on, if there is one.
// Badger drops the chains of errors; what it says is all there is.
func dirError(err error) error {
	switch text := err.Error(); {
	case errors.Is(err, ErrLocked), errors.Is(err, ErrNotDirectory), errors.Is(err, ErrNewerFormat):
		return err
	case strings.Contains(text, lockedText):
		return fmt.Errorf("%w: %w", ErrLocked, err)
	case isReadOnly(err), strings.Contains(text, "read-only file system"), strings.Contains(text, "permission denied"):
		return fmt.Errorf("%w: %w", ErrReadOnly, err)
	case isNotDir(err):
		return fmt.Errorf("%w: %w", ErrNotDirectory, err)
	}
	return named(err)
}

// badgerLog passes Badger's log on, and heeds it.
type badgerLog struct{ s *badgerStore }

func (l badgerLog) Errorf(format string, args ...any) {
	l.write(zap.WarnLevel, format, args)
	l.s.heed(format, args)
}

func (l badgerLog) Warningf(format string, args ...any) { l.write(zap.WarnLevel, format, args) }

// What Badger says of its tables and compactions at lower levels is of no use to anybody else.
func (l badgerLog) Infof(string, ...any) {}

func (l badgerLog) Debugf(string, ...any) {}

func (l badgerLog) write(level zapcore.Level, format string, args []any) {
	if l.s.log == nil {
		return
	}
	if entry := l.s.log.Check(level, ""); entry != nil {
		entry.Message = "badger: " + strings.TrimSpace(fmt.Sprintf(format, args...))
		entry.Write()
	}
}
