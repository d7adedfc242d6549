package e2e

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/samsa-go/samsa"
)

func TestStaticMemberRestarts(t *testing.T) {
	story(t, 4, func(k *kit) {
		static := func(name string) samsa.ConsumerOptions {
			return samsa.ConsumerOptions{ClientID: name, Member: samsa.MemberOptions{InstanceID: name}}
		}
		a, b := k.started("g", static("a")), k.started("g", static("b"))
		b.wantOwns("t/2 t/3")
		a.took()
		a.mu.Lock()
		a.events = nil
		a.mu.Unlock()
		generation := k.describe("g").Generation
		b.leave()
		k.fill("x", 4)
		time.Sleep(30 * time.Second)
		a.wantTook("x0 x1")
		b = k.started("g", static("b"))
		b.wantTook("x2 x3")
		b.wantEvents("assigned[t/2 t/3]")
		a.wantEvents()
		if got := k.describe("g").Generation; got != generation {
			t.Errorf("generation %d, was %d", got, generation)
		}
		second := k.started("g", static("b"))
		if err := b.err(); !errors.Is(err, samsa.ErrFencedInstance) {
			t.Errorf("the first one gets %v", err)
		}
		b.wantEvents("lost[t/2 t/3]")
		if _, err := b.Poll(k.ctx); !errors.Is(err, samsa.ErrFencedInstance) {
			t.Errorf("and then %v", err)
		}
		second.wantOwns("t/2 t/3")
		a.wantEvents()
		second.leave()
		time.Sleep(50 * time.Second) // longer than its session
		a.wantOwns("t/0 t/1 t/2 t/3")
	})
}

// A topic that grows while the leader, a static member, is away is assigned when it is back.
func TestStaticLeaderNoticesGrowth(t *testing.T) {
	story(t, 1, func(k *kit) {
		opts := samsa.ConsumerOptions{ClientID: "a", Member: samsa.MemberOptions{InstanceID: "a"}}
		a := k.started("g", opts)
		a.leave()
		if err := k.Topics().AddPartitions(k.ctx, "t", 3); err != nil {
			t.Fatal(err)
		}
		a = k.started("g", opts)
		a.wantOwns("t/0 t/1 t/2")
	})
}

func TestGroupSubscribesByPattern(t *testing.T) {
	story(t, 1, func(k *kit) {
		opts := samsa.ConsumerOptions{TopicPattern: regexp.MustCompile("^t"), Start: samsa.Latest()}
		opts.ClientID = "a"
		a := k.started("g", opts)
		opts.ClientID = "b"
		b := k.started("g", opts)
		k.create("t2", 2)
		k.create("u", 1)
		k.put("t2", 0, "x") // nobody may miss it, though they start at the end of what there was
		k.put("t2", 1, "y")
		if got := strings.TrimSpace(a.took() + " " + b.took()); got != "x y" && got != "y x" {
			t.Errorf("records of a new topic: %q", got)
		}
		if err := k.Topics().AddPartitions(k.ctx, "t", 3); err != nil {
			t.Fatal(err)
		}
		k.fill("z", 3)
		got := strings.Fields(a.took() + " " + b.took())
		slices.Sort(got)
		if fmt.Sprint(got) != "[z0 z1 z2]" {
			t.Errorf("records of new partitions: %v", got)
		}
		if err := k.Topics().Delete(k.ctx, "t2"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		for _, w := range []*worker{a, b} {
			for _, tp := range w.Assigned() {
				if tp.Topic == "t2" {
					t.Errorf("%s still has %s", w.name, tp)
				}
			}
		}
		k.create("t2", 2)
		k.put("t2", 0, "new")
		if got := a.took() + b.took(); got != "new" {
			t.Errorf("records of the topic that was created anew: %q", got)
		}
	})
}

// A topic that is deleted and created anew before anybody looks is read from its start.
func TestGroupTopicCreatedAnew(t *testing.T) {
	story(t, 2, func(k *kit) {
		a, b := k.started("g", named("a")), k.started("g", named("b"))
		k.fill("x", 2)
		a.took()
		b.took()
		time.Sleep(6 * time.Second)
		if err := k.Topics().Delete(k.ctx, "t"); err != nil {
			t.Fatal(err)
		}
		k.create("t", 2)
		k.fill("y", 2)
		if got := a.took() + " " + b.took(); got != "y0 y1" && got != "y1 y0" {
			t.Errorf("got %q", got)
		}
	})
}

func TestPatternWithoutGroup(t *testing.T) {
	story(t, 1, func(k *kit) {
		w := &worker{k: k, name: "alone", Consumer: k.consumer(samsa.ConsumerOptions{TopicPattern: regexp.MustCompile("^t")})}
		defer w.stop()
		w.start()
		k.create("t2", 1)
		k.create("u", 1)
		k.put("t", 0, "x")
		k.put("t2", 0, "y")
		k.put("u", 0, "z")
		w.wantTook("x y")
		if err := k.Topics().AddPartitions(k.ctx, "t2", 2); err != nil {
			t.Fatal(err)
		}
		k.put("t2", 1, "w")
		w.wantTook("w")
		if err := k.Topics().Delete(k.ctx, "t"); err != nil {
			t.Fatal(err)
		}
		w.wantOwns("t2/0 t2/1")
		if err := w.err(); !errors.Is(err, samsa.ErrUnknownTopic) {
			t.Errorf("a deleted topic: %v", err)
		}
	})
}
