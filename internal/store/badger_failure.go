package store

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dgraph-io/badger/v4/skl"
)

// ground is a directory that the store stands on, and must find where it was. On Linux
// and its like a directory can be renamed or removed under the files that are open in it:
// what is written then goes nowhere, or what is created goes into another's directory.
type ground struct {
	path string
	info os.FileInfo // as of the opening
}

func groundAt(path string) (ground, error) {
	info, err := os.Stat(path)
	return ground{path, info}, err
}

// check reports that the directory is not there any more, or another one.
func (g ground) check() error {
	if runtime.GOOS == "windows" {
		return nil // keeps a directory with open files where it is, and is slow to ask
	}
	info, err := os.Stat(g.path)
	if err == nil && !os.SameFile(info, g.info) {
		err = fmt.Errorf("%w: %s", errReplaced, g.path)
	}
	return err
}

var errReplaced = errors.New("another directory is in the place of the store's own")

// stand reports whether the store's directories are where they were. If not, it has failed.
func (s *badgerStore) stand() error {
	for _, g := range s.grounds {
		if err := g.check(); err != nil {
			s.pipeline.fail(err)
			return s.pipeline.failure()
		}
	}
	return nil
}

// hooks make something of the two failures that Badger mentions in its log only.
//
// A memtable that cannot be written to a table it tries again every second, for ever; those
// who wait for room in the next one wait as long, and so does DB.Close. Here the store has
// failed with the first try, which ends the commits; after the second, those that still
// are on their way wait for that room, and are told. Where somebody waits for the end of
// the goroutine, it ends instead of trying again.
//
// Without a file for the next memtable it goes on with none at all, and ends the process
// with the next write, or panics with the next read. Here its writing goroutine ends before
// that, so that the memtable which is full stays the current one. Badger counts it as one
// reference less, though, and takes its memory away once it is a table; so it gets one more,
// and reads go on. Such a DB cannot be closed.
type hooks struct {
	armed    atomic.Bool // the store is open
	closing  atomic.Bool // DB.Close, or soon
	dropping atomic.Bool // DB.DropPrefix, while no commit is in flight
	wrecked  atomic.Bool // the writing goroutine is gone
	closer   sync.WaitGroup
}

// What Badger says then (db.go, memtable.go).
const (
	flushFailed    = "error flushing memtable to disk"
	memtableFailed = "Got error: %v for id"
)

// heed hears what Badger logs as an error, on the goroutine that does.
func (s *badgerStore) heed(format string, args []any) {
	h := &s.hooks
	if !h.armed.Load() || len(args) == 0 {
		return
	}
	err, ok := args[0].(error)
	switch {
	case !ok:
	case strings.HasPrefix(format, flushFailed):
		first := s.pipeline.fail(err)
		if h.closing.Load() || h.dropping.Load() {
			runtime.Goexit()
		}
		if !first {
			s.abandon(err)
		}
	case strings.HasPrefix(format, memtableFailed) && !h.dropping.Load():
		h.wrecked.Store(true)
		s.keepMemtable()
		s.abandon(err)
		runtime.Goexit()
	}
}

// keepMemtable keeps the current memtable in memory until the process ends. It is called
// while Badger holds the lock under which that one changes, on the goroutine that does.
func (s *badgerStore) keepMemtable() {
	list := reflect.ValueOf(s.db).Elem().FieldByName("mt").Elem().FieldByName("sl")
	(*skl.Skiplist)(list.UnsafePointer()).IncrRef()
}

// abandon fails what is in flight, of which Badger will not say what became.
func (s *badgerStore) abandon(err error) {
	p := s.pipeline
	p.mu.Lock()
	p.failLocked(err)
	p.abandoned = p.failed
	for _, f := range p.flight {
		if !f.landed {
			f.landed, f.lost, f.err = true, true, p.failed
		}
	}
	p.mu.Unlock()
	s.deliver()
}

// closeBadger ends Badger if that is possible. When it does not return, its goroutines stay
// until the process ends, and the lock of the directory with them.
func (s *badgerStore) closeBadger() error {
	if s.hooks.wrecked.Load() || errors.Is(s.pipeline.failure(), errReplaced) { // it would write to, and remove from, what is not ours
		return errLeft
	}
	closed := make(chan error, 1)
	s.hooks.closer.Go(func() { closed <- s.db.Close() })
	select {
	case err := <-closed:
		return errors.Join(err, s.lock.Close())
	case <-s.pipeline.broken:
	}
	limit := time.NewTimer(closeLimit)
	defer limit.Stop()
	select {
	case err := <-closed:
		return errors.Join(err, s.lock.Close())
	case <-limit.C:
		return errLeft
	}
}

// closeLimit bounds the end of a Badger that has failed.
const closeLimit = 5 * time.Second

var errLeft = errors.New("goroutines of Badger are left behind, the directory stays locked until the process ends")
