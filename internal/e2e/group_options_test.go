package e2e

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/samsa-go/samsa"
)

// Wrong limits are refused at Open, and members that are out of them at NewConsumer, which name the
// bound.
func TestGroupLimitsAreChecked(t *testing.T) {
	_, err := samsa.Open("", samsa.Options{InMemory: true, Groups: samsa.GroupOptions{InitialRebalanceDelay: -2, MinSessionTimeout: -1, MaxSessionTimeout: -1, MaxSize: -1}})
	for _, field := range []string{"InitialRebalanceDelay", "MinSessionTimeout", "MaxSessionTimeout", "MaxSize"} {
		if !errors.Is(err, samsa.ErrInvalidOption) || !strings.Contains(err.Error(), "Options.Groups."+field+" ") {
			t.Errorf("%s is not named: %v", field, err)
		}
	}
	if _, err := samsa.Open("", samsa.Options{InMemory: true, Groups: samsa.GroupOptions{MaxSessionTimeout: time.Second}}); !errors.Is(err, samsa.ErrInvalidOption) {
		t.Errorf("a maximum below the minimum: %v", err)
	}

	for want, opts := range map[string]samsa.GroupOptions{
		"6s to 30m0s":    {},
		"1m0s to 1h0m0s": {MinSessionTimeout: time.Minute, MaxSessionTimeout: time.Hour},
	} {
		k := inMemory(t, samsa.Options{Groups: opts})
		k.create("t", 1)
		r := k.inside().Groups.Rules()
		for _, session := range []time.Duration{r.MinSessionTimeout - 1, r.MaxSessionTimeout + 1} {
			_, err := k.NewConsumer(k.ctx, samsa.ConsumerOptions{Group: "g", Topics: []string{"t"}, Member: samsa.MemberOptions{SessionTimeout: session}})
			if !errors.Is(err, samsa.ErrInvalidOption) || !strings.Contains(err.Error(), "Member.SessionTimeout is "+session.String()+", want "+want) {
				t.Errorf("%s: %v", session, err)
			}
		}
		for _, session := range []time.Duration{r.MinSessionTimeout, r.MaxSessionTimeout} {
			k.consumer(samsa.ConsumerOptions{Group: "g", Topics: []string{"t"}, Member: samsa.MemberOptions{SessionTimeout: session}})
		}
	}
}

// A group of this process begins at once. With one member from elsewhere it waits for more, as
// Kafka does.
func TestInitialRebalanceDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := inMemory(t, samsa.Options{})
		k.create("t", 4)
		began := time.Now()
		a := k.started("g", eager("a"))
		a.wantOwns("t/0 t/1 t/2 t/3")
		if waited := time.Since(began); waited != 0 {
			t.Errorf("a group of this process waited for %s", waited)
		}

		var joined sync.WaitGroup
		r := k.remote("h", "t")
		joined.Go(r.join)
		time.Sleep(2 * time.Second)
		b := k.started("h", eager("b"))
		time.Sleep(3*time.Second + 900*time.Millisecond) // of the two intervals
		synctest.Wait()
		if g := k.describe("h"); g.State != samsa.GroupPreparingRebalance || g.Generation != 0 {
			t.Errorf("the group did not wait: %+v", g)
		}
		time.Sleep(100 * time.Millisecond)
		joined.Wait()
		r.sync() // it gives all to the last who came
		b.wantOwns("t/0 t/1 t/2 t/3")
	})
}

func TestGroupIsFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := inMemory(t, samsa.Options{Groups: samsa.GroupOptions{MaxSize: 1}})
		k.create("t", 1)
		k.started("g", eager("a"))
		b := k.consumer(samsa.ConsumerOptions{Group: "g", Topics: []string{"t"}, Member: eager("b").Member})
		if _, err := b.Poll(k.ctx); !errors.Is(err, samsa.ErrGroupFull) {
			t.Errorf("a second member: %v", err)
		}
	})
}
