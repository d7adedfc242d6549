//go:build unix && !aix && !solaris && !illumos

package store

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// hogs has the process open all the files that it may, and each that is given back, as a server does with connections that wait. It
// returns what closes them.
func hogs(t *testing.T) (release func()) {
	t.Helper()
	var was unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &was); err != nil {
		t.Fatal(err)
	}
	low := was
	low.Cur = min(was.Cur, 512)
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &low); err != nil {
		t.Fatal(err)
	}
	var all []*os.File
	grab := func() {
		for {
			f, err := os.Open(os.DevNull)
			if err != nil {
				if !errors.Is(err, unix.EMFILE) {
					t.Error(err)
				}
				return
			}
			all = append(all, f)
		}
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for again := time.NewTicker(5 * time.Millisecond); ; { // as net/http does
			grab()
			select {
			case <-again.C:
			case <-stop:
				again.Stop()
				return
			}
		}
	}()
	release = sync.OnceFunc(func() {
		close(stop)
		<-stopped
		for _, f := range all {
			_ = f.Close()
		}
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &was); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(release)
	return release
}

// A process that has as many connections as it may have files refuses writes, and has lost nothing when they go.
func TestNoHandles(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	dir, value := t.TempDir(), make([]byte, 1000)
	s, err := open(dir, Options{fileSize: 30_000, treeEntries: 40, tableSize: 64 << 10})
	if err != nil {
		t.Fatal(err)
	}
	set := func(key string) error {
		var b Batch
		b.Set([]byte(key), value)
		return commitNow(s, &b)
	}
	n, refused := 0, 0
	for range 20 {
		for range r.IntN(60) {
			if err := set(fmt.Sprintf("k%06d", n)); err != nil {
				t.Fatal(err)
			}
			n++
		}
		release := hogs(t)
		for range 100 {
			err := set(fmt.Sprintf("k%06d", n))
			if errors.Is(err, ErrDiskFull) {
				refused++
				break
			}
			if err == nil && r.IntN(10) == 0 {
				err = s.Sync()
			}
			if err != nil {
				t.Fatal(err)
			}
			n++
		}
		release()
	}
	if refused == 0 {
		t.Error("nothing was refused")
	}
	for i := range n {
		if _, err := s.Get(fmt.Appendf(nil, "k%06d", i)); err != nil {
			t.Fatalf("key %d of %d: %v", i, n, err)
		}
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
