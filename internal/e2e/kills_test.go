package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/inside"
	"github.com/samsa-go/samsa/internal/store"
)

// childBodies gets the child of this test.
var _ = func() bool { childBodies["drill"] = drillUntilKilled; return true }()

// smallStore is small enough for checkpoints, merges and files that go all the time.
var smallStore = store.Small{FileBytes: 64 << 10, TreeEntries: 60, TableBytes: 16 << 10}

// openDrill opens a broker whose store is small.
func openDrill(dir string) (*samsa.Broker, error) {
	st, err := store.Open(dir, smallStore.Options(store.Options{}))
	if err != nil {
		return nil, err
	}
	return inside.Open[*samsa.Broker](st, drillOptions)
}

// drillUntilKilled is the child. Its arguments are the directory, the seed of the plans and a name.
func drillUntilKilled(args []string) error {
	seed, err := strconv.ParseUint(args[1], 10, 64)
	if err != nil {
		return err
	}
	b, err := openDrill(args[0])
	if err != nil {
		return err
	}
	d := &drill{b: b, seed: seed, name: args[2], tell: tell}
	return d.run(context.Background())
}

// killsOfADirectory is after how many kills another directory is begun: what is read after each grows.
const killsOfADirectory = 20

// A process that uses a broker in all ways at once is killed at any moment, again and again. What is found is what it
// had told.
func TestKills(t *testing.T) {
	t.Parallel()
	var dir string
	var seed uint64
	var rng *rand.Rand
	var before *drillFound
	lines := 0
	for i := range kills(t, 3) {
		if i%killsOfADirectory == 0 {
			dir, seed, before = t.TempDir(), rand.Uint64(), nil
			rng = rand.New(rand.NewPCG(seed, 1))
		}
		enough := after(rng.IntN(1 + rng.IntN(3000)))
		if rng.IntN(5) == 0 { // while it opens
			pause := time.Duration(rng.IntN(60)) * time.Millisecond
			enough = func(string) bool { time.Sleep(pause); return true }
		}
		told := killWhen(t, "drill", enough, dir, fmt.Sprint(seed), fmt.Sprint(i))
		lines += len(told)
		t.Run(fmt.Sprint("kill ", i), func(t *testing.T) {
			b, err := openDrill(dir)
			if err != nil {
				t.Fatal(err)
			}
			found := lookAt(t, b, seed)
			all, kept := promised(t, told, false)
			found.check(t, before, all, kept)
			mustClose(t, b)
			before = found
		})
		if t.Failed() {
			t.Fatalf("seed %d, %d lines told", seed, len(told))
		}
		if i%killsOfADirectory == killsOfADirectory-1 {
			if err := os.RemoveAll(dir); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Logf("%d lines told", lines)
}
