package batcher

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// In a burst the clock is looked at now and then. What it says is a millisecond old at most, and what is asked slowly
// is the time itself.
func TestBurstClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var c BurstClock
		skipped := 0
		ask := func() time.Duration {
			mu.Lock()
			defer mu.Unlock()
			ms := c.AskLocked(&mu)
			if c.since > 0 {
				skipped++
			}
			return time.Duration(time.Now().UnixMilli()-ms) * time.Millisecond
		}
		for range 100 {
			if age := ask(); age != 0 {
				t.Fatalf("no time has passed, and the clock is %v behind", age)
			}
		}
		if skipped < 90 {
			t.Errorf("%d questions of a burst of 100 were answered without looking", skipped)
		}
		for range 100 { // each begins a pause within a burst
			time.Sleep(2 * time.Millisecond)
			synctest.Wait()
			for range 3 {
				if age := ask(); age != 0 {
					t.Fatalf("after a pause the clock is %v behind", age)
				}
			}
		}
		for range 100 {
			time.Sleep(500 * time.Microsecond)
			if age := ask(); age > time.Millisecond {
				t.Fatalf("the clock is %v behind", age)
			}
		}
	})
}
