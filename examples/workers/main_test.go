package main

import (
	"context"
	"io"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/samsa-go/samsa/cluster/kafkatest"
)

// Workers share the partitions; those of a killed worker and of a closed one move.
func TestWorkers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in, keyboard := io.Pipe()
		defer keyboard.Close()
		var out output
		ended := make(chan error, 1)
		conf := config{on: "memory", workers: 2, partitions: 4, rate: 100, process: time.Millisecond, patience: 3 * time.Second, calls: 2}
		go func() { ended <- run(context.Background(), conf, in, &out) }()
		press := func(key string, want ...string) {
			t.Helper()
			if _, err := io.WriteString(keyboard, key+"\n"); err != nil {
				t.Fatal(err)
			}
			time.Sleep(10 * time.Second)
			synctest.Wait()
			table := out.take()
			for _, want := range want {
				if !regexp.MustCompile(`(?m)^` + want + `$`).MatchString(table) {
					t.Errorf("after %q there is no %q in\n%s", key, want, table)
				}
			}
		}
		const counts = `\s+\d+\s+\d+  `
		press("", "worker 1"+counts+`\d \d`, "worker 2"+counts+`\d \d`)
		press("+", "worker 1"+counts+`\d \d`, "worker 2"+counts+`\d`, "worker 3"+counts+`\d`)
		press("k 1", "worker 1 .*killed"+counts, "worker 2"+counts+`\d \d`, "worker 3"+counts+`\d \d`)
		press("-", "worker 2"+counts+"0 1 2 3")
		press("k 7", `there is no worker "7"`)
		press("x", `"x" is no key; .*`)
		press("+", "worker 4"+counts+`\d \d`)
		press("q")
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// On a terminal the table is drawn in place; the end of ctx, Ctrl-C, ends everything.
func TestTerminal(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	out := &output{until: "worker 1", found: cancel}
	conf := config{workers: 1, partitions: 2, on: dir, rate: 100, patience: time.Second, calls: 1, terminal: true}
	if err := run(ctx, conf, strings.NewReader(""), out); err != nil {
		t.Fatal(err)
	}
	if text := out.take(); !strings.HasPrefix(text, "\x1b[H\x1b[J") {
		t.Errorf("the screen begins with %q", text)
	}
}

func TestConfigIsChecked(t *testing.T) {
	if err := run(context.Background(), config{}, strings.NewReader(""), io.Discard); err == nil {
		t.Error("no partitions are accepted")
	}
}

// output keeps what is written, and calls found when until is.
type output struct {
	until string
	found func()

	mu  sync.Mutex // guards buf
	buf strings.Builder
}

func (o *output) Write(p []byte) (int, error) {
	if o.found != nil && regexp.MustCompile(`(?m)`+o.until).Match(p) {
		o.found()
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) take() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	defer o.buf.Reset()
	return o.buf.String()
}

// The workers share what there is in a directory and on three brokers of Kafka as they do in memory.
func TestPlaces(t *testing.T) {
	for name, place := range map[string]func(t *testing.T) string{
		"memory":    func(*testing.T) string { return "memory" },
		"directory": func(t *testing.T) string { return t.TempDir() },
		"cluster": func(t *testing.T) string {
			return "kafka://" + strings.Join(kafkatest.New(t, kafkatest.Options{Nodes: 3}).Seeds(), ",") + "/"
		},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			in, keyboard := io.Pipe()
			conf := config{on: place(t), workers: 2, partitions: 4, rate: 100, process: time.Millisecond, patience: 3 * time.Second, calls: 2}
			var keys sync.WaitGroup
			press := func(key string) func() {
				return sync.OnceFunc(func() {
					keys.Go(func() { _, _ = io.WriteString(keyboard, key+"\n") }) // fails if the program has ended
				})
			}
			const counts = `\s+\d+\s+\d+  `
			moved := &output{until: `^worker 1 .*killed(.|\n)*^worker 2` + counts + `0 1 2 3$`, found: press("q")}
			shared := &output{until: `^worker 2` + counts + `\d \d$`, found: press("k 1")}
			err := run(ctx, conf, in, io.MultiWriter(shared, moved))
			if err != nil || ctx.Err() != nil {
				t.Errorf("%v\n%s", err, moved.take())
			}
			_ = in.Close()
			keys.Wait()
		})
	}
}
