package e2e

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/inside"
	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/internal/vfs/vfstest"
	"github.com/samsa-go/samsa/txn"
)

// txnLife is a disk on which transactions are done until the power is cut, or the process is killed.
type txnLife struct {
	t    *testing.T
	rng  *rand.Rand
	disk *vfstest.Disk

	mu    sync.Mutex            // guards what follows
	told  map[string]string     // what is to be found, by value
	held  map[txn.Producer]bool // that somebody was told he is
	after *vfstest.Disk         // the death
}

var errDead = errors.New("dead")

// live opens the broker, looks at it, and works until the end.
func (l *txnLife) live(life int) {
	t := l.t
	t.Helper()
	st, err := store.OpenOn(l.disk, ".", store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	b, err := inside.Open[*samsa.Broker](st, drillOptions)
	if err != nil {
		t.Fatal(err)
	}
	defer mustClose(t, b)
	in := inside.Of(b)
	if life == 0 {
		mustCreate(t, b, "left", 1)
		mustCreate(t, b, "right", 1)
	}
	for i := range txnWorkers { // what is open is aborted
		p, err := in.Txns.Init(t.Context(), fmt.Sprint("t", i), time.Minute, nil)
		if err != nil {
			t.Fatal(err)
		}
		if l.held[p] {
			t.Errorf("%s was another producer, which may live on", p)
		}
	}
	checkTransacted(t, in, l.told)
	if t.Failed() {
		return
	}
	l.after = nil
	l.arm()
	var wg sync.WaitGroup
	for i := range txnWorkers {
		wg.Go(func() {
			if err := transactForEver(in, fmt.Sprint("t", i), fmt.Sprint(life), l.note); !errors.Is(err, errDead) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	l.disk.Before(nil)
	l.disk = l.after
}

// arm has the disk die at one of the next calls.
func (l *txnLife) arm() {
	disk, at, power, seed := l.disk, l.disk.Calls()+1+l.rng.IntN(1200), l.rng.IntN(3) > 0, l.rng.Uint64()
	disk.Before(func(c vfstest.Call) error {
		if c.N != at {
			return nil
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		if power {
			l.after = disk.Cut(seed)
			maps.DeleteFunc(l.told, func(_, outcome string) bool { return outcome == "commit, unsynced" })
		} else {
			l.after = disk.Clone()
		}
		for value := range l.told {
			if l.told[value] == "commit, unsynced" {
				l.told[value] = "commit"
			}
		}
		return nil
	})
}

// note notes what was told while the disk lived.
func (l *txnLife) note(p txn.Producer, value, outcome string, synced bool) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.after != nil {
		return errDead
	}
	l.held[p] = true
	if outcome == "commit" && !synced {
		outcome = "commit, unsynced"
	}
	if value != "" {
		l.told[value] = outcome
	}
	return nil
}

// Whenever the power is cut or the process killed, each transaction is found in both topics and in its group, or in none of
// them, and nobody becomes a producer that another was told he is.
func TestTransactionPowerCuts(t *testing.T) {
	t.Parallel()
	for i := range long(t, "POWER_CUTS", 10) / cutsOfADisk {
		t.Run(fmt.Sprint("seed ", i), func(t *testing.T) {
			l := &txnLife{
				t: t, rng: rand.New(rand.NewPCG(uint64(i), 11)), disk: vfstest.NewDisk(0),
				told: make(map[string]string), held: make(map[txn.Producer]bool),
			}
			for life := range cutsOfADisk {
				if l.live(life); t.Failed() {
					return
				}
			}
			t.Logf("%d told, %d producers", len(l.told), len(l.held))
		})
	}
}
