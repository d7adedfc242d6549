package main

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/samsatest"
)

// Two programs follow a schedule; they are killed at odd times, and once they are away for long. Each time fires once, in order.
func TestEachTimeFiresOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := samsatest.New(t, samsatest.Topic(topic, 1))
		const line = "*/7 * * * *"
		times, err := parse(line)
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		for _, life := range []time.Duration{time.Hour, 7 * time.Minute, 7*time.Minute - time.Nanosecond, 20 * time.Second, 3 * time.Hour} {
			var wg sync.WaitGroup
			for range 2 {
				wg.Go(func() {
					if err := follow(context.Background(), b, line, times); !errors.Is(err, samsa.ErrClosed) && !errors.Is(err, samsa.ErrFailed) {
						t.Errorf("the program ends by %v", err)
					}
				})
			}
			time.Sleep(life)
			for _, r := range samsatest.Drain(t, b, topic) {
				if r.Timestamp.After(time.Now()) {
					t.Fatalf("%v fires at %v already", r.Timestamp, time.Now())
				}
			}
			samsatest.Crash(t, b)
			wg.Wait()
			time.Sleep(life / 2) // nobody is there
			b = samsatest.Restart(t, b)
		}
		ended := time.Now()
		for last := began; !times.next(last).After(ended); { // what is overdue
			if last, err = fire(t.Context(), b, line, times); err != nil {
				t.Fatal(err)
			}
		}
		due := times.next(began)
		for _, r := range samsatest.Drain(t, b, topic) {
			if !r.Timestamp.Equal(due) {
				t.Fatalf("%v fires, when %v is due", r.Timestamp, due)
			}
			due = times.next(due)
		}
		if next := times.next(ended); !due.Equal(next) {
			t.Errorf("at %v the next one is %v, want %v", ended, due, next)
		}
	})
}

// The program prints what fires, and goes on with it when it is started again.
func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		var got string
		for range 2 {
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Second)
			var out bytes.Buffer
			err := run(ctx, dir, []string{"* * * * *"}, &out)
			cancel()
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Fatal(err)
			}
			got += out.String()
		}
		var want strings.Builder
		for _, minute := range []string{"00:01", "00:02", "00:03"} {
			want.WriteString("* * * * * fires for 2000-01-01 " + minute + ":00\n") // a bubble begins at midnight
		}
		if got != want.String() {
			t.Errorf("it prints\n%swant\n%s", got, want.String())
		}
		if err := run(t.Context(), dir, []string{"0 0 30 2 *"}, nil); err == nil {
			t.Error("a day that never comes is taken")
		}
	})
}

// What fires when the program is back after long is there until somebody has read it.
func TestOverdueStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := samsatest.New(t)
		if err := create(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		const line = "0 0 1 * *"
		times, err := parse(line)
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if _, err := fire(t.Context(), b, line, times); err != nil {
				t.Fatal(err)
			}
			time.Sleep(45 * 24 * time.Hour)
		}
		if _, err := b.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := len(samsatest.Drain(t, b, topic)); n != 2 {
			t.Errorf("%d firings are there, want 2", n)
		}
	})
}

func TestCron(t *testing.T) {
	at := func(text string) time.Time {
		t.Helper()
		when, err := time.Parse("2006-01-02 15:04:05", text)
		if err != nil {
			t.Fatal(err)
		}
		return when
	}
	for _, c := range []struct{ line, after, want string }{
		{"* * * * *", "2026-03-01 10:00:00", "2026-03-01 10:01:00"},
		{"* * * * *", "2026-03-01 10:00:59", "2026-03-01 10:01:00"},
		{"*/15 * * * *", "2026-03-01 10:50:00", "2026-03-01 11:00:00"},
		{"5/20 * * * *", "2026-03-01 10:25:00", "2026-03-01 10:45:00"},
		{"30 9-17 * * 1-5", "2026-03-06 17:30:00", "2026-03-09 09:30:00"},
		{"0 0 1 1 *", "2026-01-01 00:00:00", "2027-01-01 00:00:00"},
		{"0 12 29 2 *", "2026-03-01 00:00:00", "2028-02-29 12:00:00"},
		{"0 0 13 * 5", "2026-03-01 00:00:00", "2026-03-06 00:00:00"}, // one of both days, as cron has it
		{"0 6 1,15 * *", "2026-03-01 06:00:00", "2026-03-15 06:00:00"},
	} {
		times, err := parse(c.line)
		if err != nil {
			t.Fatal(err)
		}
		if got := times.next(at(c.after)); !got.Equal(at(c.want)) {
			t.Errorf("%q after %s is %v, want %s", c.line, c.after, got, c.want)
		}
	}
	for _, line := range []string{"", "* * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 7", "5-2 * * * *", "*/0 * * * *", "x * * * *", "1-x * * * *", "0 0 31 4,6 *"} {
		if _, err := parse(line); err == nil {
			t.Errorf("%q is taken", line)
		}
	}
}
