package users

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
)

// Who comes from an address of which many wait does not hold up who comes from another one.
func TestTurnsGoByAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := NewTurns(1)
		if err := turns.Take(t.Context(), "flood"); err != nil {
			t.Fatal(err)
		}
		served := make(chan string, 100)
		for _, from := range []string{"flood", "flood", "flood", "flood", "a", "flood", "b", "a"} {
			go func() {
				if err := turns.Take(t.Context(), from); err != nil {
					t.Error(err)
				}
				served <- from
			}()
			synctest.Wait()
		}
		var order []string
		for range 8 {
			turns.Give()
			order = append(order, <-served)
		}
		if want := []string{"flood", "a", "b", "flood", "a", "flood", "flood", "flood"}; !slices.Equal(order, want) {
			t.Errorf("served %v, want %v", order, want)
		}
		turns.Give()
		if turns.free != 1 || turns.Waiting() != 0 || len(turns.next) != 0 || len(turns.waiting) != 0 {
			t.Errorf("left over: %+v", turns)
		}
	})
}

// Who does not wait any more is passed over, also when its turn comes at that moment, and no turn is lost.
func TestTurnsAreNotLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := NewTurns(2)
		for range 2 {
			_ = turns.Take(t.Context(), "x")
		}
		var cancels []context.CancelFunc
		results := make(chan error, 100)
		for i := range 100 {
			ctx, cancel := context.WithCancel(t.Context())
			cancels = append(cancels, cancel)
			go func() {
				err := turns.Take(ctx, fmt.Sprint(i%7))
				if err == nil {
					turns.Give()
				}
				results <- err
			}()
		}
		synctest.Wait()
		if n := turns.Waiting(); n != 100 {
			t.Fatalf("%d wait", n)
		}
		for i, cancel := range cancels {
			if i%2 == 0 {
				go cancel()
			}
			if i == 50 {
				go turns.Give()
			}
		}
		turns.Give()
		for range 100 {
			if err := <-results; err != nil && !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		}
		for _, cancel := range cancels {
			cancel()
		}
		synctest.Wait()
		if turns.free != 2 || len(turns.next) != 0 || len(turns.waiting) != 0 {
			t.Errorf("left over: %+v", turns)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := turns.Take(ctx, "x"); !errors.Is(err, context.Canceled) || turns.free != 2 {
			t.Errorf("%v, %d free", err, turns.free)
		}
	})
}
