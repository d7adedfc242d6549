package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/samsatest"
)

// A late click makes one visit of two, and the program goes on where it was.
func TestLateClick(t *testing.T) {
	dir := t.TempDir()
	for _, step := range []struct{ clicks, want string }{
		{
			"anna 2026-03-01T10:00:50Z\nanna 2026-03-01T10:01:10Z\nanna 2026-03-01T10:02:00Z\nbert 2026-03-01T10:00:00Z\n",
			`minute/anna/2026-03-01T10:00:00.000 to 10:00:50: 1 clicks
minute/anna/2026-03-01T10:01:00.000 to 10:01:10: 1 clicks
minute/anna/2026-03-01T10:02:00.000 to 10:02:00: 1 clicks
minute/bert/2026-03-01T10:00:00.000 to 10:00:00: 1 clicks
visit/anna/2026-03-01T10:00:50.000 to 10:01:10: 2 clicks
visit/anna/2026-03-01T10:02:00.000 to 10:02:00: 1 clicks
visit/bert/2026-03-01T10:00:00.000 to 10:00:00: 1 clicks
`,
		}, {
			"anna 2026-03-01T10:01:35Z\n",
			`minute/anna/2026-03-01T10:00:00.000 to 10:00:50: 1 clicks
minute/anna/2026-03-01T10:01:00.000 to 10:01:35: 2 clicks
minute/anna/2026-03-01T10:02:00.000 to 10:02:00: 1 clicks
minute/bert/2026-03-01T10:00:00.000 to 10:00:00: 1 clicks
visit/anna/2026-03-01T10:00:50.000 to 10:02:00: 4 clicks
visit/bert/2026-03-01T10:00:00.000 to 10:00:00: 1 clicks
`,
		},
	} {
		var out bytes.Buffer
		if err := run(t.Context(), dir, strings.NewReader(step.clicks), &out); err != nil {
			t.Fatal(err)
		}
		if out.String() != step.want {
			t.Errorf("the windows are\n%swant\n%s", out.String(), step.want)
		}
	}
}

// A click from long ago is there until it is counted, and what cannot be read is an error.
func TestOldClicks(t *testing.T) {
	b := samsatest.New(t)
	if err := create(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	old := samsa.Record{Topic: clicks, Key: []byte("anna"), Timestamp: time.Now().AddDate(-1, 0, 0)}
	if _, err := b.Produce(t.Context(), old, old); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := len(samsatest.Drain(t, b, clicks)); n != 2 {
		t.Errorf("%d clicks are there, want 2", n)
	}
	if err := run(t.Context(), t.TempDir(), strings.NewReader(strings.Repeat("x", 1<<20)), io.Discard); err == nil {
		t.Error("a line that is too long is passed over")
	}
}

// Clicks come in any order, and the program is killed in between. The windows are those of a program that has all clicks in
// hand.
func TestEachClickCountsOnce(t *testing.T) {
	for seed := range uint64(10) {
		b := samsatest.New(t)
		if err := create(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		rng := rand.New(rand.NewPCG(seed, 0))
		all := make(map[string][]time.Time)
		for round := range 8 {
			var batch []samsa.Record
			for range rng.IntN(40) {
				user := string(rune('a' + rng.IntN(3)))
				at := time.Date(2026, 3, 1, 10, 0, rng.IntN(3600), 0, time.UTC)
				all[user] = append(all[user], at)
				batch = append(batch, samsa.Record{Topic: clicks, Key: []byte(user), Timestamp: at})
			}
			if _, err := b.Produce(t.Context(), batch...); err != nil {
				t.Fatal(err)
			}
			table, err := b.NewTable(t.Context(), samsa.TableOptions{Topic: counts})
			if err != nil {
				t.Fatal(err)
			}
			if err := count(t.Context(), b, table); err != nil {
				t.Fatal(err)
			}
			if err := table.Close(); err != nil {
				t.Fatal(err)
			}
			if round%3 == 2 {
				samsatest.Crash(t, b)
				b = samsatest.Restart(t, b)
			}
		}
		table, err := b.NewTable(t.Context(), samsa.TableOptions{Topic: counts})
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if err := errors.Join(count(t.Context(), b, table), show(t.Context(), table, &out), table.Close()); err != nil {
			t.Fatal(err)
		}
		if want := expected(all); out.String() != want {
			t.Fatalf("seed %d: the windows are\n%swant\n%s", seed, out.String(), want)
		}
	}
}

// expected is what show prints of all clicks.
func expected(all map[string][]time.Time) string {
	minutes, visits := make(map[string]*window), make(map[string]*window)
	for user, times := range all {
		slices.SortFunc(times, time.Time.Compare)
		var visit *window
		for _, at := range times {
			click := &window{First: at, Last: at, Clicks: 1}
			key := rowKey("minute", user, at.Truncate(minute))
			minutes[key] = join(minutes[key], click)
			if visit == nil || at.Sub(visit.Last) > gap {
				visit = &window{First: at, Last: at}
				visits[rowKey("visit", user, at)] = visit
			}
			*visit = *join(visit, click)
		}
	}
	var want strings.Builder
	for _, windows := range []map[string]*window{minutes, visits} {
		for _, key := range slices.Sorted(maps.Keys(windows)) {
			fmt.Fprintf(&want, "%s to %s: %d clicks\n", key, windows[key].Last.Format(time.TimeOnly), windows[key].Clicks)
		}
	}
	return want.String()
}
