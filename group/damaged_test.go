package group

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/log"
)

// atDesk runs a test in a bubble, with a desk of which reopen opens a coordinator, once more.
func atDesk(t *testing.T, fn func(t *testing.T, o *office, reopen func())) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		o := &office{t: t, desk: &desk{Store: store.OpenMemory()}}
		done := func() {}
		fn(t, o, func() { done(); done = o.open(Options{}) })
		done()
	})
}

// What is damaged of a group costs the group, or the one offset, and nobody deletes it but who says so.
func TestDamagedGroup(t *testing.T) {
	atDesk(t, func(t *testing.T, o *office, reopen func()) {
		o.raw(store.GroupKey("bad"), "nonsense")
		o.raw(offsetKey("bad", orders(1)), string(Offset{Offset: 5, TopicID: [16]byte{1}}.encode()))
		reopen()
		o.wantError("join", o.Join(t.Context(), "bad", joinRequest("a", "")).Err, log.ErrCorruptValue)
		o.wantError("commit", o.Commit(t.Context(), "bad", CommitRequest{Generation: -1, Offsets: map[log.TopicPartition]Offset{orders(1): {}}}), log.ErrCorruptValue)
		_, err := o.Fetch("bad")
		o.wantError("fetch", err, log.ErrCorruptValue)
		_, err = o.Describe("bad")
		o.wantError("describe", err, log.ErrCorruptValue)
		o.mustEnter("a", "") // another group goes on
		if got := fmt.Sprint(o.List()); !strings.Contains(got, "{bad classic Dead }") {
			t.Errorf("the list is %s", got)
		}
		if least, ok := o.Consumed("orders", 2); !ok || least[1] != 5 {
			t.Errorf("it has consumed up to %v, %t", least, ok)
		}
		o.ExpireOffsets(time.Now().Add(defaultOffsetsRetention * 10))
		reopen()
		_, err = o.Describe("bad")
		o.wantError("after the offsets' time has run out", err, log.ErrCorruptValue)
		o.wantError("delete", o.Delete(t.Context(), "bad"), nil)
		reopen()
		_, err = o.Describe("bad")
		o.wantError("deleted", err, log.ErrUnknownGroup)
	})
}

// Limits that cannot be read, or that the options leave no room for, are none.
func TestDamagedLimits(t *testing.T) {
	atDesk(t, func(t *testing.T, o *office, reopen func()) {
		for _, text := range []string{"nonsense", `{"version":2}`, `{"version":1,"configs":{"group.max.size":"-1"}}`} {
			o.raw(limitsKey(), text)
			reopen()
			if got := o.Rules(); got != (Rules{}) {
				t.Errorf("%s: the rules are %+v", text, got)
			}
			size := func(n string) error {
				return o.ChangeLimits(t.Context(), false, func(changed map[string]string) error {
					changed["group.max.size"] = n
					return nil
				})
			}
			o.wantError("change", size("7"), nil)
			o.wantError("change", size("0"), log.ErrInvalidConfig)
			reopen()
			if got := o.Rules(); got != (Rules{MaxMembers: 7}) {
				t.Errorf("changed: the rules are %+v", got)
			}
		}
	})
}

func TestDamagedOffset(t *testing.T) {
	atDesk(t, func(t *testing.T, o *office, reopen func()) {
		o.raw(offsetKey("g", orders(1)), "nonsense")
		o.raw(offsetKey("g", orders(2)), string(Offset{Offset: 5, At: time.Now(), TopicID: [16]byte{1}}.encode()))
		reopen()
		_, err := o.Fetch("g", orders(1))
		o.wantError("fetch it", err, log.ErrCorruptValue)
		_, err = o.Fetch("g")
		o.wantError("fetch all", err, log.ErrCorruptValue)
		if got, err := o.Fetch("g", orders(2)); err != nil || got[orders(2)].Offset != 5 {
			t.Errorf("the other: %v, %v", got, err)
		}
		if least, ok := o.Consumed("orders", 3); !ok || least[1] != 0 || least[2] != 5 {
			t.Errorf("it has consumed up to %v, %t", least, ok)
		}
		req := CommitRequest{Generation: -1, Offsets: map[log.TopicPartition]Offset{orders(1): {Offset: 3}}}
		o.wantError("commit", o.Commit(t.Context(), "g", req), nil)
		if got, err := o.Fetch("g"); err != nil || got[orders(1)].Offset != 3 {
			t.Errorf("then: %v, %v", got, err)
		}
	})
}

// raw writes to the store past everybody.
func (o *office) raw(key []byte, value string) {
	o.t.Helper()
	var b store.Batch
	b.Set(key, []byte(value))
	if err := o.desk.Store.Commit(&b); err != nil {
		o.t.Error(err)
	}
}
