package logs_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/slogtest"
	"time"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/adapters/logs"
	"github.com/samsa-go/samsa/samsatest"
)

var ctx = context.Background()

func producer(t *testing.T, b *samsa.Broker) *samsa.Producer {
	t.Helper()
	p, err := b.NewProducer(ctx, samsa.ProducerOptions{Linger: time.Minute}) // until it is flushed
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// lines returns the values of all records, once p has stored what it has.
func lines(t *testing.T, b *samsa.Broker, p *samsa.Producer) []string {
	t.Helper()
	if err := p.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, r := range samsatest.Drain(t, b, "log") {
		all = append(all, string(r.Value))
	}
	return all
}

func TestHandler(t *testing.T) {
	var b *samsa.Broker
	var p *samsa.Producer
	slogtest.Run(t, func(t *testing.T) slog.Handler {
		b = samsatest.New(t, samsatest.Topic("log", 1))
		p = producer(t, b)
		return logs.NewHandler(p, logs.Options{Topic: "log"})
	}, func(t *testing.T) map[string]any {
		all := lines(t, b, p)
		if len(all) != 1 {
			t.Fatalf("lines: %q", all)
		}
		var m map[string]any
		if err := json.Unmarshal([]byte(all[0]), &m); err != nil {
			t.Fatal(err)
		}
		return m
	})
}

func TestRecordOfALine(t *testing.T) {
	b := samsatest.New(t, samsatest.Topic("log", 3))
	p := producer(t, b)
	logger := slog.New(logs.NewHandler(p, logs.Options{Topic: "log", Key: []byte("shop"), Slog: slog.HandlerOptions{Level: slog.LevelWarn}}))
	before := time.Now().Truncate(time.Millisecond)
	logger.Info("not enabled")
	logger.With("a", 1).WithGroup("g").Warn("hot", "b", 2)
	all := lines(t, b, p)
	if len(all) != 1 || !strings.HasSuffix(all[0], `"level":"WARN","msg":"hot","a":1,"g":{"b":2}}`) {
		t.Fatalf("lines: %q", all)
	}
	r := samsatest.Drain(t, b, "log")[0]
	if string(r.Key) != "shop" || len(r.Headers) != 1 || r.Headers[0].Key != logs.LevelHeader || string(r.Headers[0].Value) != "WARN" ||
		r.Timestamp.Before(before) || r.Timestamp.After(time.Now()) {
		t.Errorf("%+v", r)
	}
}

// Lines of many goroutines, by handlers of one family, are whole.
func TestManyGoroutinesLog(t *testing.T) {
	b := samsatest.New(t, samsatest.Topic("log", 1))
	p := producer(t, b)
	h := logs.NewHandler(p, logs.Options{Topic: "log"})
	var wg sync.WaitGroup
	for g := range 8 {
		logger := slog.New(h).With("g", g)
		wg.Go(func() {
			for i := range 100 {
				logger.Info("line", "i", i)
			}
		})
	}
	wg.Wait()
	next := make(map[int]int)
	for _, text := range lines(t, b, p) {
		var l struct{ G, I int }
		if err := json.Unmarshal([]byte(text), &l); err != nil || next[l.G] != l.I {
			t.Fatalf("%s: %v, want line %d", text, err, next[l.G])
		}
		next[l.G]++
	}
	if len(next) != 8 || next[0] != 100 {
		t.Errorf("lines by goroutine: %v", next)
	}
}

// noisy logs when a line is made of it.
type noisy struct{ logger **slog.Logger }

func (n noisy) MarshalJSON() ([]byte, error) {
	(*n.logger).Info("inner")
	return []byte("1"), nil
}

// What a line is made of may log to the same handler, and panic.
func TestWhatIsLoggedLogs(t *testing.T) {
	b := samsatest.New(t, samsatest.Topic("log", 1))
	p := producer(t, b)
	logger := slog.New(logs.NewHandler(p, logs.Options{Topic: "log", Slog: slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		switch a.Key {
		case slog.TimeKey:
			return slog.Attr{}
		case "panic":
			panic(a.Value)
		}
		return a
	}}}))
	func() {
		defer func() { _ = recover() }()
		logger.Info("never", "panic", 1)
	}()
	logger.Info("outer", "n", noisy{&logger})
	want := []string{`{"level":"INFO","msg":"inner"}`, `{"level":"INFO","msg":"outer","n":1}`}
	if got := lines(t, b, p); !slices.Equal(got, want) {
		t.Errorf("lines: %q", got)
	}
}

func TestFailed(t *testing.T) {
	b := samsatest.New(t, samsatest.Topic("log", 1))
	p := producer(t, b)
	var failed []string
	opts := logs.Options{Topic: "missing", Failed: func(r samsa.Record, err error) { failed = append(failed, fmt.Sprintf("%s: %v", r.Value, err)) }}
	slog.New(logs.NewHandler(p, opts)).Info("a")
	fmt.Fprintln(logs.NewWriter(p, opts), "b")
	slog.New(logs.NewHandler(p, logs.Options{Topic: "missing"})).Info("nobody is told")
	if len(failed) != 2 || !strings.Contains(failed[0], "unknown topic") || !strings.HasPrefix(failed[1], "b: ") {
		t.Errorf("failed: %q", failed)
	}
}

// What fails in the background, when other lines have been written since, is told as it was written.
func TestFailedLater(t *testing.T) {
	b := samsatest.New(t, samsatest.Topic("log", 1))
	p, err := b.NewProducer(t.Context(), samsa.ProducerOptions{Linger: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	var failed []string
	w := logs.NewWriter(p, logs.Options{Topic: "log", Failed: func(r samsa.Record, _ error) { failed = append(failed, string(r.Value)) }})
	want := []string{"a", "bcd", "", "ef"}
	for _, line := range want {
		fmt.Fprintln(w, line)
	}
	if err := errors.Join(b.Topics().Delete(t.Context(), "log"), p.Close()); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(failed, want) {
		t.Errorf("failed: %q, want %q", failed, want)
	}
}

func TestWriter(t *testing.T) {
	long := strings.Repeat("x", logs.MaxLine)
	for name, c := range map[string]struct{ write, want []string }{
		"lines":                     {[]string{"a\nb\n"}, []string{"a", "b"}},
		"a line in pieces":          {[]string{"a", "b", "c\nd", "e\n"}, []string{"abc", "de"}},
		"empty lines":               {[]string{"\n", "\n\n"}, []string{"", "", ""}},
		"no newline at the end":     {[]string{"a\nb"}, []string{"a", "b"}},
		"nothing":                   {[]string{""}, nil},
		"a carriage return stays":   {[]string{"a\r\n"}, []string{"a\r"}},
		"as long as it may be":      {[]string{long + "\n"}, []string{long}},
		"too long, at once":         {[]string{long + "yz\n"}, []string{long, "yz"}},
		"too long, in pieces":       {[]string{long[1:], "yz", "\n"}, []string{long[1:] + "y", "z"}},
		"several times as long":     {[]string{long + long + "\n"}, []string{long, long}},
		"as long, newline in pause": {[]string{long, "\n", "a\n"}, []string{long, "a"}},
	} {
		t.Run(name, func(t *testing.T) {
			b := samsatest.New(t, samsatest.Topic("log", 1))
			p := producer(t, b)
			w := logs.NewWriter(p, logs.Options{Topic: "log"})
			for _, text := range c.write {
				if n, err := io.WriteString(w, text); n != len(text) || err != nil {
					t.Fatal(n, err)
				}
			}
			for range 2 {
				if err := w.Close(); err != nil {
					t.Error(err)
				}
			}
			if got := lines(t, b, p); !slices.Equal(got, c.want) {
				t.Errorf("got %.40q, want %.40q", got, c.want)
			}
			if _, err := w.Write([]byte("late")); err == nil {
				t.Error("a write after Close is taken")
			}
		})
	}
}

func TestPackageLog(t *testing.T) {
	b := samsatest.New(t, samsatest.Topic("log", 1))
	p := producer(t, b)
	l := log.New(logs.NewWriter(p, logs.Options{Topic: "log"}), "shop: ", 0)
	l.Print("open")
	l.Printf("two\nlines")
	if got := lines(t, b, p); !slices.Equal(got, []string{"shop: open", "shop: two", "lines"}) {
		t.Errorf("%q", got)
	}
}

func Example() {
	b, err := samsa.Open("", samsa.Options{InMemory: true})
	if err != nil {
		panic(err)
	}
	defer func() { _ = b.Close() }()
	if err := b.Topics().Create(ctx, "app_log", samsa.TopicConfig{Retention: 7 * 24 * time.Hour}); err != nil {
		panic(err)
	}
	p, err := b.NewProducer(ctx, samsa.ProducerOptions{Linger: 100 * time.Millisecond})
	if err != nil {
		panic(err)
	}
	logger := slog.New(logs.NewHandler(p, logs.Options{Topic: "app_log", Slog: slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{} // it is the record's
			}
			return a
		},
	}}))
	logger.Info("paid", "order", 7)
	if err := p.Close(); err != nil {
		panic(err)
	}
	c, err := b.NewConsumer(ctx, samsa.ConsumerOptions{Topics: []string{"app_log"}})
	if err != nil {
		panic(err)
	}
	for r, err := range c.RecordsUntil(ctx) {
		if err != nil {
			panic(err)
		}
		fmt.Printf("%s: %s\n", r.Headers[0].Value, r.Value)
	}
	// Output:
	// INFO: {"level":"INFO","msg":"paid","order":7}
}
