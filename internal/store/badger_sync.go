package store

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Sync implements Store. One call works at a time; those that waited for it and whose
// commits it covered return at once.
//
// When fsync fails nobody knows what reached the disk, and asking again proves
// nothing, because the system has marked the pages as clean. So the store has failed
// then, as after a failed commit.
func (s *badgerStore) Sync() error {
	if !s.gate.enter() {
		return ErrClosed
	}
	defer s.gate.leave()
	err := s.syncFiles()
	if err == nil {
		s.vouched.Store(true)
	}
	return err
}

func (s *badgerStore) syncFiles() error {
	// Before anything is synced: what becomes visible from here on may or may not be
	// covered.
	version := s.pipeline.visible()
	s.syncing.Lock()
	defer s.syncing.Unlock()
	if err := s.pipeline.failure(); err != nil {
		return s.wrap("sync", err)
	}
	if version <= s.synced {
		return nil
	}
	err := s.stand()
	if err == nil {
		err = s.files.sync(s.large.Load() > s.synced)
	}
	if err != nil {
		s.pipeline.fail(err)
		return s.wrap("sync", s.pipeline.failure())
	}
	s.synced = version
	s.mark.Store(version)
	return nil
}

// fileSync makes the files of a Badger store durable.
//
// DB.Sync is not enough: it covers the memtable log and the value file that are
// current when it is called, not a memtable that was retired between a commit and the
// Sync, nor the directory entries of new files, which Badger leaves to chance when it
// starts a log or flushes a memtable. It also holds the lock that readers and writers
// of memtables need while it waits for the disk. So the files are synced here, through
// descriptors of our own, which covers what Badger wrote through its memory maps.
//
// What makes it complete:
//   - Everything visible is in a memtable log that is listed in index/, or in a table
//     (.sst). Badger syncs the content of a table, and then the manifest, before it
//     removes the log that the table replaces.
//   - A retired log is not written to any more, so syncing it once is enough.
//   - Badger syncs a value file before it starts the next (logFile.doneWriting); so
//     only the last can be unsynced.
type fileSync struct {
	index, values string
	// The three steps to the disk; replaced in tests.
	flush   func() error // anything needed for file to see what was written through maps
	file    func(path string) error
	dir     func(path string) error
	retired map[string]bool // logs synced after their retirement
	listing []string        // entries of index/ when it was synced last
	current string          // the only log in listing that may have grown since, if known
	last    uint32          // the value file that was current when values were synced last
	fresh   bool            // values/ has not been synced since last was found
}

func newFileSync(index, values string, flush func() error) *fileSync {
	return &fileSync{
		index: index, values: values,
		flush: flush, file: syncFile, dir: syncDir,
		retired: map[string]bool{},
		fresh:   true,
	}
}

// sync makes durable what is visible when it is called. large tells whether the value
// log may have been written to since the last call.
func (f *fileSync) sync(large bool) error {
	if err := f.flush(); err != nil {
		return err
	}
	if large {
		if err := f.syncValues(); err != nil {
			return err
		}
	}
	names, err := f.syncCurrent()
	if err != nil || slices.Equal(names, f.listing) {
		return err
	}
	logs := memtableLogs(names)
	if err := f.syncLogs(logs); err != nil {
		return err
	}
	return f.syncIndexDir(logs)
}

// syncCurrent syncs the log that was current at the end of the last call, if one is
// known, and lists index/ afterwards. If nothing changed there all is done: what is
// visible is in that log, or in those synced before.
func (f *fileSync) syncCurrent() ([]string, error) {
	if f.current != "" {
		err := f.file(filepath.Join(f.index, f.current))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	} else {
		f.listing = nil
	}
	return listDir(f.index)
}

// syncLogs syncs the memtable logs, of which the last is current.
func (f *fileSync) syncLogs(logs []string) error {
	for name := range f.retired {
		if !slices.Contains(logs, name) {
			delete(f.retired, name)
		}
	}
	for i, name := range logs {
		if f.retired[name] {
			continue
		}
		err := f.file(filepath.Join(f.index, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue // it has become a table
		}
		if err != nil {
			return err
		}
		if i < len(logs)-1 {
			f.retired[name] = true
		}
	}
	return nil
}

// syncIndexDir syncs the entries of index/, which have changed. It lists them again,
// after logs were synced, as one may have become a table under our hands. If another
// was started meanwhile, the one before it may have grown after it was synced.
func (f *fileSync) syncIndexDir(logs []string) error {
	names, err := listDir(f.index)
	if err != nil {
		return err
	}
	if err := f.dir(f.index); err != nil {
		return err
	}
	f.listing, f.current = names, ""
	if now := memtableLogs(names); len(now) > 0 && slices.Equal(now, logs) {
		f.current = now[len(now)-1]
	}
	return nil
}

// syncValues syncs the current value file, and values/ when there is a new one. It
// finds the current one by counting up, which works because value-log GC deletes none
// that is not older than f.last: Reclaim calls syncValues before it lets GC delete.
func (f *fileSync) syncValues() error {
	for {
		_, err := os.Lstat(valueFile(f.values, f.last+1))
		if errors.Is(err, fs.ErrNotExist) {
			break
		}
		if err != nil {
			return err
		}
		f.last++
		f.fresh = true
	}
	if err := f.file(valueFile(f.values, f.last)); err != nil {
		return err
	}
	if f.fresh {
		if err := f.dir(f.values); err != nil {
			return err
		}
		f.fresh = false
	}
	return nil
}

// listDir returns the names in dir, sorted.
func listDir(dir string) ([]string, error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	names, err := d.Readdirnames(-1)
	slices.Sort(names)
	return names, errors.Join(err, d.Close())
}

const (
	memtableSuffix = ".mem"
	valueSuffix    = ".vlog"
)

// memtableLogs picks the memtable logs from names, oldest first.
func memtableLogs(names []string) []string {
	var logs []string
	for _, name := range names {
		if strings.HasSuffix(name, memtableSuffix) {
			logs = append(logs, name)
		}
	}
	slices.SortFunc(logs, func(a, b string) int {
		return cmp.Compare(fileNumber(a, memtableSuffix), fileNumber(b, memtableSuffix))
	})
	return logs
}

// fileNumber returns the number in a file name of Badger, or -1.
func fileNumber(name, suffix string) int64 {
	digits, ok := strings.CutSuffix(name, suffix)
	if !ok {
		return -1
	}
	n, err := strconv.ParseUint(digits, 10, 32)
	if err != nil {
		return -1
	}
	return int64(n)
}

func valueFile(dir string, number uint32) string {
	return filepath.Join(dir, fmt.Sprintf("%06d%s", number, valueSuffix))
}
