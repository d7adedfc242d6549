package main

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/samsatest"
)

func newBank(t *testing.T, b *samsa.Broker, every int64) *bank {
	t.Helper()
	if err := create(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	k, err := openBank(t.Context(), b, every)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// The balances outlive the program, and the second start reads only what is behind the snapshot.
func TestRun(t *testing.T) {
	dir := t.TempDir()
	do := func(args ...string) (string, error) {
		var out bytes.Buffer
		err := run(t.Context(), dir, 2, args, &out)
		return out.String(), err
	}
	for _, args := range [][]string{{"deposit", "alice", "10"}, {"withdraw", "alice", "3"}, {"deposit", "bob", "5"}} {
		if _, err := do(args...); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		args []string
		want error
	}{
		{[]string{"withdraw", "alice", "8"}, errFunds},
		{[]string{"withdraw", "nobody", "1"}, errFunds},
		{[]string{"withdraw", "alice", "-1"}, errAmount},
		{[]string{"deposit", "alice", "0"}, errAmount},
		{[]string{"deposit", "ren\xe9", "1"}, errName},
	} {
		if _, err := do(c.args...); !errors.Is(err, c.want) {
			t.Errorf("%q is %v, want %v", c.args, err, c.want)
		}
	}
	const want = "alice has 7\nbob has 5\nfrom a snapshot of 2 events and 1 behind it\n"
	if got, err := do("balances"); err != nil || got != want {
		t.Errorf("balances are %q, %v, want %q", got, err, want)
	}
	if err := run(t.Context(), dir, 2, []string{"deposit"}, io.Discard); err == nil {
		t.Error("a wrong command is taken")
	}
}

// Several clients at once, and kills. What a start makes of a snapshot and the rest is what all events make.
func TestSnapshots(t *testing.T) {
	const every = 20
	b := samsatest.New(t)
	for life := range 6 {
		k := newBank(t, b, every)
		if k.replayed >= every {
			t.Errorf("life %d reads %d events, with a snapshot every %d", life, k.replayed, every)
		}
		var wg sync.WaitGroup
		for client := range 4 {
			wg.Go(func() {
				rng := rand.New(rand.NewPCG(uint64(life), uint64(client)))
				for range 30 {
					account, amount := string(rune('a'+rng.IntN(3))), 1+rng.Int64N(9)
					act := k.deposit
					if rng.IntN(2) == 0 {
						act = k.withdraw
					}
					if err := act(t.Context(), account, amount); err != nil && !errors.Is(err, errFunds) {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		sameAsLog(t, b, k)
		samsatest.Crash(t, b)
		b = samsatest.Restart(t, b)
	}
}

// sameAsLog compares the balances with what all events make, without a snapshot.
func sameAsLog(t *testing.T, b *samsa.Broker, k *bank) {
	t.Helper()
	all := state{Accounts: make(map[string]int64)}
	for _, r := range samsatest.Drain(t, b, topic) {
		if err := all.apply(r); err != nil {
			t.Fatal(err)
		}
		for account, balance := range all.Accounts {
			if balance < 0 {
				t.Fatalf("%s has %d after event %d", account, balance, r.Offset)
			}
		}
	}
	if got := k.balances(); !maps.Equal(got, all.Accounts) {
		t.Errorf("balances are %v, and the events make %v", got, all.Accounts)
	}
}

// The answer to a write is lost: the bank decides nothing more, as its state may be behind the log. The next one knows.
func TestOutcomeUnknown(t *testing.T) {
	b := samsatest.New(t)
	k := newBank(t, b, 5)
	samsatest.Appends(b, topic).Stored().Next(1).FailWith(samsa.ErrOutcomeUnknown)
	for range 2 {
		if err := k.deposit(t.Context(), "alice", 7); !errors.Is(err, samsa.ErrOutcomeUnknown) {
			t.Errorf("the deposit is %v", err)
		}
	}
	k = newBank(t, b, 5)
	sameAsLog(t, b, k)
	if got := k.balances()["alice"]; got != 7 {
		t.Errorf("alice has %d", got)
	}
}
