package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/samsatest"
)

// logger writes a log, as programs do.
type logger struct {
	t    *testing.T
	name string
	file *os.File
	n    int // lines

	rotated bool // and logs may not have come to the end of the old file
}

func newLogger(t *testing.T, name string) *logger {
	l := &logger{t: t, name: name}
	l.open()
	t.Cleanup(func() { l.file.Close() })
	return l
}

func (l *logger) open() {
	l.t.Helper()
	var err error
	if l.file, err = os.Create(l.name); err != nil {
		l.t.Fatal(err)
	}
}

func (l *logger) write(text string) {
	l.t.Helper()
	if _, err := l.file.WriteString(text); err != nil {
		l.t.Fatal(err)
	}
}

func (l *logger) line() {
	l.t.Helper()
	l.n++
	l.write(fmt.Sprint("line ", l.n, "\n"))
}

// rename gives the file another name; the logger goes on with it until reopen.
func (l *logger) rename() {
	l.t.Helper()
	if err := os.Rename(l.name, l.name+".1"); err != nil {
		l.t.Fatal(err)
	}
}

func (l *logger) reopen() {
	l.t.Helper()
	if err := l.file.Close(); err != nil {
		l.t.Fatal(err)
	}
	l.open()
}

// rotate is a rotation of which the logger hears a line late.
func (l *logger) rotate() {
	l.t.Helper()
	l.rename()
	l.line()
	l.reopen()
	l.line()
	l.rotated = true
}

// start follows a file until stop is called, or b is killed.
func start(t *testing.T, b *samsa.Broker, name string) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		err := follow(ctx, b, name)
		for _, want := range []error{context.Canceled, samsa.ErrClosed, samsa.ErrFailed} {
			if errors.Is(err, want) {
				return
			}
		}
		t.Errorf("%s ends by %v", name, err)
	})
	return func() { cancel(); wg.Wait() }
}

// Two logs are written and rotated, while logs is there and while it is not, and it is killed meanwhile. Each line is there once, in the order of
// its log.
func TestRotation(t *testing.T) {
	for seed := range uint64(5) {
		synctest.Test(t, func(t *testing.T) {
			b := samsatest.New(t, samsatest.Topic(topic, 1))
			rng := rand.New(rand.NewPCG(seed, 0))
			dir := t.TempDir()
			logs := []*logger{newLogger(t, filepath.Join(dir, "app.log")), newLogger(t, filepath.Join(dir, "web.log"))}
			for range 6 {
				stops := []func(){start(t, b, logs[0].name), start(t, b, logs[1].name)}
				for range 30 {
					l := logs[rng.IntN(2)]
					switch rng.IntN(10) {
					case 0:
						time.Sleep(4 * look) // all that there is has been read
						logs[0].rotated, logs[1].rotated = false, false
						l.rotate()
					case 1:
						time.Sleep(look / 3)
					default:
						l.line()
					}
				}
				samsatest.Crash(t, b)
				for _, stop := range stops {
					stop()
				}
				b = samsatest.Restart(t, b)
				if l := logs[rng.IntN(2)]; !l.rotated {
					l.rotate()
				}
			}
			stops := []func(){start(t, b, logs[0].name), start(t, b, logs[1].name)}
			samsatest.WaitRecords(t, b, topic, logs[0].n+logs[1].n)
			time.Sleep(10 * look) // for more than there should be
			for _, stop := range stops {
				stop()
			}
			next := make(map[string]int)
			for _, r := range samsatest.Drain(t, b, topic) {
				name := string(r.Key)
				next[name]++
				if want := fmt.Sprint("line ", next[name]); string(r.Value) != want {
					t.Errorf("seed %d: %s has %q, want %q", seed, name, r.Value, want)
				}
			}
			for _, l := range logs {
				if next[l.name] != l.n {
					t.Errorf("seed %d: %s has %d lines, want %d", seed, l.name, next[l.name], l.n)
				}
			}
		})
	}
}

// A line counts when it has its end, or when nothing can come behind it.
func TestHalfALine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := samsatest.New(t, samsatest.Topic(topic, 1))
		name := filepath.Join(t.TempDir(), "app.log")
		stop := start(t, b, name) // there is no file yet
		defer stop()
		time.Sleep(2 * look)
		l := newLogger(t, name)
		l.write("one\r\ntw")
		time.Sleep(2 * look)
		samsatest.Equal(t, b, topic, []string{name + "=one"})
		l.write("o\nthree")
		l.rename()
		time.Sleep(2 * look) // the name is nobody's
		samsatest.Equal(t, b, topic, []string{name + "=one", name + "=two"})
		l.reopen()
		l.write("four\n")
		want := []string{name + "=one", name + "=two", name + "=three", name + "=four"}
		samsatest.WaitRecords(t, b, topic, len(want))
		samsatest.Equal(t, b, topic, want)
	})
}

// Lines that are there at once may be more than a transaction takes.
func TestLongLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := samsatest.New(t, samsatest.Topic(topic, 1))
		l := newLogger(t, filepath.Join(t.TempDir(), "app.log"))
		random, line := rand.NewChaCha8([32]byte{}), make([]byte, 450<<10)
		for range 80 {
			_, _ = random.Read(line) // which compresses badly
			l.write(fmt.Sprintf("%x\n", line))
		}
		stop := start(t, b, l.name)
		defer stop()
		samsatest.WaitRecords(t, b, topic, 80)
	})
}

// A log that is not UTF-8 is known again, and goes on where it was.
func TestNotUTF8(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := samsatest.New(t, samsatest.Topic(topic, 1))
		l := newLogger(t, filepath.Join(t.TempDir(), "app.log"))
		l.write("caf\xe9\n")
		for range 2 {
			stop := start(t, b, l.name)
			time.Sleep(2 * look)
			stop()
		}
		samsatest.Equal(t, b, topic, []string{l.name + "=caf\xe9"})
	})
}

// A file that is cut off under it is an error, which ends the program.
func TestCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		l := newLogger(t, filepath.Join(dir, "app.log"))
		l.line()
		ended := make(chan error)
		go func() { ended <- run(t.Context(), filepath.Join(dir, "data"), []string{l.name}) }()
		time.Sleep(2 * look)
		if err := l.file.Truncate(0); err != nil {
			t.Fatal(err)
		}
		if err := <-ended; err == nil {
			t.Error("the program ends without an error")
		}
	})
}
