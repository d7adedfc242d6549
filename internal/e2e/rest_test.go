package e2e

import (
	"runtime"
	"testing"
	"testing/synctest"

	"github.com/samsa-go/samsa"
)

// A broker at rest keeps few goroutines, whatever it has done before.
func TestGoroutinesAtRest(t *testing.T) {
	const most = 5
	for _, memory := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			dir := ""
			if !memory {
				dir = t.TempDir()
			}
			before := runtime.NumGoroutine()
			k := open(t, dir, samsa.Options{InMemory: memory})
			k.create("t", 10)
			for range 100 {
				k.write("t", "v", "w")
			}
			k.update(func(tx *samsa.Tx) error { return tx.Set([]byte("key"), []byte("value")) })
			if err := k.Sync(k.ctx); err != nil {
				t.Fatal(err)
			}
			if _, err := k.Sweep(k.ctx); err != nil {
				t.Fatal(err)
			}
			synctest.Wait() // until nothing has anything to do
			if n := runtime.NumGoroutine() - before; n > most {
				t.Errorf("in memory %t: %d goroutines, want at most %d", memory, n, most)
			}
		})
	}
}
