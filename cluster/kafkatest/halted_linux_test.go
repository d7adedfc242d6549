package kafkatest

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

// busyEnv makes a process of the test one of many busy threads, which write to the file that it names.
const busyEnv = "SAMSA_TEST_BUSY"

func TestMain(m *testing.M) {
	if path := os.Getenv(busyEnv); path != "" {
		busy(path)
	}
	os.Exit(m.Run())
}

func busy(path string) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		panic(err)
	}
	const threads = 20
	runtime.GOMAXPROCS(threads)
	for range threads {
		go func() {
			runtime.LockOSThread()
			for {
				if _, err := f.Write([]byte("x")); err != nil {
					panic(err)
				}
			}
		}()
	}
	select {}
}

// A node that is halted does nothing more, in none of its threads, until Resume; one that has ended is not told anything.
func TestPause(t *testing.T) {
	file := filepath.Join(t.TempDir(), "busy")
	programs(t, "", "exec env "+busyEnv+"='"+file+"' '"+os.Args[0]+"'")
	c := &Cluster{dir: t.TempDir()}
	n := &node{id: 1, dir: filepath.Join(c.dir, "1")}
	c.nodes = append(c.nodes, n)
	must(t, os.CopyFS(c.dir, files))
	must(t, os.MkdirAll(filepath.Join(n.dir, "data"), 0o700))
	must(t, os.WriteFile(filepath.Join(n.dir, "data", "meta.properties"), nil, 0o600)) // there is nothing to format
	must(t, c.run(n))
	defer c.Kill(1)
	size := func() int64 {
		info, err := os.Stat(file)
		if err != nil {
			return 0
		}
		return info.Size()
	}
	for range 20 {
		for before := size(); size() == before; { // it is at it, or again
			must(t, c.ended())
			time.Sleep(time.Millisecond)
		}
		must(t, c.Pause(1))
		halted := size()
		for range 1000 {
			runtime.Gosched()
			if now := size(); now != halted {
				t.Fatalf("it has written %d bytes since it was halted", now-halted)
			}
		}
		must(t, c.Resume(1))
	}
	c.Kill(1)
	if err := c.Pause(1); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("halted a node that has ended: %v", err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
