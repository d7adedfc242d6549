package samsa

import (
	"errors"
	"testing"
)

// A topic that a failed Update would have created is forgotten with it, and a deleted one is forgotten too.
func TestChoosersAreForgotten(t *testing.T) {
	k := inMemory(t)
	cause := errors.New("changed my mind")
	if err := k.Update(k.ctx, func(tx *Tx) error { return errors.Join(tx.Produce(Record{Topic: "a"}), cause) }); !errors.Is(err, cause) {
		t.Error(err)
	}
	k.put("b", 0, "v")
	if n := len(k.sender.choosers); n != 1 {
		t.Errorf("%d topics are remembered, of which there is one", n)
	}
	k.drop("b")
	if n := len(k.sender.choosers); n != 0 {
		t.Errorf("%d topics are remembered, of which there is none", n)
	}
}
