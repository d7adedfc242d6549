package consumer

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/samsa-go/samsa/log"
)

// Whoever gives no sign of life is out, and the group does not listen to it any more.
func TestSessionTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := inMemory(t)
		k.create("t", 1)
		k.put("t", 0, "x")
		opts := Options{Group: "g", Topics: []string{"t"}}
		a := k.consumer(opts)
		records := k.read(a, 1)
		a.member.cancel() // as if its process stood still
		began := time.Now()
		k.read(k.consumer(opts), 1)
		if waited := time.Since(began); waited != a.member.opts.SessionTimeout {
			t.Errorf("its partition is given away after %s", waited)
		}
		if err := a.CommitOffsets(k.ctx, OffsetsAfter(records)); !errors.Is(err, log.ErrUnknownMember) {
			t.Errorf("late commit: %v", err)
		}
		if offsets, err := k.Offsets.Committed(k.ctx, "g"); err != nil || len(offsets) > 0 {
			t.Errorf("the group has committed %v, %v", offsets, err)
		}
	})
}
