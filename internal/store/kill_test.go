package store

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/samsa-go/samsa/internal/lazygc"
	"github.com/samsa-go/samsa/internal/memdir"
)

// childDir names the store that a child process works on until it is killed.
const childDir = "SAMSA_STORE_TEST_CHILD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		if err := childWork(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	// A check opens a store several times; ask for more with CHECKS or -rapid.checks.
	if err := flag.Set("rapid.checks", cmp.Or(os.Getenv("CHECKS"), "6")); err != nil {
		panic(err)
	}
	memdir.Use()
	lazygc.Use()
	os.Exit(m.Run())
}

func childKey(i int) []byte { return fmt.Appendf(nil, "k%08d", i) }

// childValue has a size of a few bytes or a few KiB, and a content that tells of i.
func childValue(i int) []byte {
	size := 20 + (i*7919)%60
	if i%3 == 0 {
		size = 2000 + (i*7919)%20_000
	}
	return bytes.Repeat(fmt.Appendf(nil, "%08d.", i), size/9+1)
}

// childWork goes on from the newest key: it writes key after key, deletes old ones, syncs and reclaims, and says each time when that is done:
// "open", "set N", "gone N" (all keys below N), "synced N".
func childWork(dir string) error {
	s, err := Open(dir, Options{})
	if err != nil {
		return err
	}
	next, err := childNext(s)
	if err != nil {
		return err
	}
	low, err := childOldest(s)
	if err != nil {
		return err
	}
	fmt.Println("open")
	for i := next; ; i++ {
		var b Batch
		b.Set(childKey(i), childValue(i))
		b.Set([]byte("last"), childKey(i))
		if err := s.Commit(&b); err != nil {
			return err
		}
		fmt.Println("set", i)
		if i%500 == 499 {
			if err := s.Sync(); err != nil {
				return err
			}
		}
		if i%2000 != 1999 {
			continue
		}
		for ; low < i-2000; low += 500 {
			var b Batch
			for k := range 500 {
				b.Delete(childKey(low + k))
			}
			if err := tryCommit(s, &b); err != nil {
				return err
			}
		}
		fmt.Println("gone", low)
		if err := s.Reclaim(context.Background()); err != nil {
			return err
		}
	}
}

// childNext returns the number after that of the newest key.
func childNext(s Store) (int, error) {
	last, err := s.Get([]byte("last"))
	if errors.Is(err, ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	var n int
	_, err = fmt.Sscanf(string(last), "k%d", &n)
	return n + 1, err
}

// childOldest returns the number of the oldest key.
func childOldest(s Store) (oldest int, err error) {
	err = s.Scan(Range{From: []byte("k"), To: []byte("l"), KeysOnly: true}, func(e Entry) (bool, error) {
		_, err := fmt.Sscanf(string(e.Key), "k%d", &oldest)
		return false, err
	})
	return oldest, err
}

type child struct {
	*exec.Cmd
	out *bufio.Scanner
}

func startChild(t *testing.T, dir string) child {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), childDir+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() }) // where the test has not come to that
	c := child{cmd, bufio.NewScanner(out)}
	if !c.out.Scan() || c.out.Text() != "open" {
		t.Fatalf("the child said %q", c.out.Text())
	}
	return c
}

// kill ends the child and hands what it still had said to hear.
func (c child) kill(t *testing.T, hear func(line string)) {
	t.Helper()
	if err := c.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for c.out.Scan() {
		hear(c.out.Text())
	}
	_ = c.Wait() // says that it was killed
}

func TestKilledProcessLosesNothing(t *testing.T) {
	t.Parallel()
	kills := long("KILLS", 2)
	dir := t.TempDir()
	acked, gone := -1, 0
	hear := func(line string) {
		var n int
		if _, err := fmt.Sscanf(line, "set %d", &n); err == nil {
			acked = max(acked, n)
		}
		if _, err := fmt.Sscanf(line, "gone %d", &n); err == nil {
			gone = max(gone, n)
		}
	}
	moment := rand.New(rand.NewPCG(5, 6))
	for range kills {
		c := startChild(t, dir)
		for n := moment.IntN(5000); n > 0 && c.out.Scan(); n-- {
			hear(c.out.Text())
		}
		c.kill(t, hear)
		checkKilled(t, dir, gone, acked)
	}
	t.Logf("%d kills", kills) // which .ci/run checks
}

// checkKilled opens the store and expects the keys from at most gone on, up to acked or
// beyond, without a gap.
func checkKilled(t *testing.T, dir string, gone, acked int) {
	t.Helper()
	s := openTemp(t, dir, Options{})
	next, err := childNext(s)
	if err != nil || next <= acked {
		t.Errorf("%d was acknowledged, the store goes up to %d, %v", acked, next-1, err)
	}
	expected := -1
	err = s.Scan(Range{From: []byte("k"), To: []byte("l")}, func(e Entry) (bool, error) {
		var n int
		if _, err := fmt.Sscanf(string(e.Key), "k%d", &n); err != nil {
			return false, err
		}
		if expected < 0 {
			if n < gone {
				t.Errorf("key %d is back, those below %d were deleted", n, gone)
			}
			expected = n
		}
		if n != expected {
			return false, fmt.Errorf("key %d after %d", n, expected-1)
		}
		expected++
		v, err := e.AppendValue(nil)
		if err == nil && !bytes.Equal(v, childValue(n)) {
			err = fmt.Errorf("value of %d is %.20q", n, v)
		}
		return true, err
	})
	if err != nil || (next > 0 && expected != next) {
		t.Errorf("keys up to %d of %d: %v", expected, next, err)
	}
	closeStore(t, s)
}

func TestLockOfAnotherProcess(t *testing.T) {
	dir := t.TempDir()
	c := startChild(t, dir)
	expectRefused(t, dir, ErrLocked)
	c.kill(t, func(line string) {
		if strings.Contains(line, "panic") {
			t.Error(line)
		}
	})
	closeStore(t, openTemp(t, dir, Options{}))
}
