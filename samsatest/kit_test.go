package samsatest_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/lazygc"
	"github.com/samsa-go/samsa/samsatest"
)

// TestMain fails the package when goroutines are left after its tests.
func TestMain(m *testing.M) {
	lazygc.Use()
	goleak.VerifyTestMain(m)
}

var ctx = context.Background()

// fakeTest is a test of another framework: it has what the kit needs and no more.
type fakeTest struct {
	name string

	mu       sync.Mutex // guards what follows
	logged   []string
	errs     []string
	cleanups []func()
}

var _ samsatest.TB = (*fakeTest)(nil)

// fatal is what Fatalf panics with.
type fatal struct{}

// runFake runs fn as a test of the other framework and returns what became of it.
func runFake(fn func(ft *fakeTest)) *fakeTest {
	ft := &fakeTest{name: "fake"}
	ft.protect(func() { fn(ft) })
	ft.cleanUp()
	return ft
}

func (ft *fakeTest) cleanUp() {
	for len(ft.cleanups) > 0 {
		last := ft.cleanups[len(ft.cleanups)-1]
		ft.cleanups = ft.cleanups[:len(ft.cleanups)-1]
		ft.protect(last)
	}
}

func (ft *fakeTest) protect(fn func()) {
	defer func() {
		if p := recover(); p != nil {
			if _, ok := p.(fatal); !ok {
				panic(p)
			}
		}
	}()
	fn()
}

func (ft *fakeTest) Helper()          {}
func (ft *fakeTest) Name() string     { return ft.name }
func (ft *fakeTest) Cleanup(f func()) { ft.cleanups = append(ft.cleanups, f) }

func (ft *fakeTest) Logf(format string, args ...any) {
	ft.mu.Lock()
	defer ft.mu.Unlock()
	ft.logged = append(ft.logged, fmt.Sprintf(format, args...))
}

func (ft *fakeTest) Errorf(format string, args ...any) {
	ft.mu.Lock()
	defer ft.mu.Unlock()
	ft.errs = append(ft.errs, fmt.Sprintf(format, args...))
}

func (ft *fakeTest) Fatalf(format string, args ...any) {
	ft.Errorf(format, args...)
	panic(fatal{})
}

func (ft *fakeTest) Failed() bool {
	ft.mu.Lock()
	defer ft.mu.Unlock()
	return len(ft.errs) > 0
}

// wantErrs compares what the fake test has failed with, piece by piece.
func (ft *fakeTest) wantErrs(t *testing.T, want ...string) {
	t.Helper()
	if len(ft.errs) != len(want) {
		t.Fatalf("the test failed with %q, want %q", ft.errs, want)
	}
	for i := range want {
		if !strings.Contains(ft.errs[i], want[i]) {
			t.Errorf("the test failed with %q, want %q in it", ft.errs[i], want[i])
		}
	}
}

func consumer(t *testing.T, b *samsa.Broker, opts samsa.ConsumerOptions) *samsa.Consumer {
	t.Helper()
	c, err := b.NewConsumer(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func producer(t *testing.T, b *samsa.Broker, opts samsa.ProducerOptions) *samsa.Producer {
	t.Helper()
	p, err := b.NewProducer(ctx, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

func poll(t *testing.T, c *samsa.Consumer) []string {
	t.Helper()
	records, err := c.Poll(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return samsatest.Texts(records)
}

func wantErr(t *testing.T, err error, want ...error) {
	t.Helper()
	for _, w := range want {
		if !errors.Is(err, w) {
			t.Errorf("the error is %v, want %v", err, w)
		}
	}
}

func set(t *testing.T, b *samsa.Broker, key, value string) {
	t.Helper()
	if err := b.Update(ctx, func(tx *samsa.Tx) error { return tx.Set([]byte(key), []byte(value)) }); err != nil {
		t.Fatal(err)
	}
}

func get(t *testing.T, b *samsa.Broker, key string) (value string) {
	t.Helper()
	err := b.View(ctx, func(tx *samsa.ReadTx) error {
		v, err := tx.Get([]byte(key))
		value = string(v)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return value
}

func contextWithTimeout(d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, d)
}
