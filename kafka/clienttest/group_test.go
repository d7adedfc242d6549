package clienttest

import (
	"fmt"
	"testing"

	"github.com/samsa-go/samsa"
)

// One group is handed from client to client: each goes on where the one before has
// committed, whoever that was, and a Go consumer reads the rest.
func TestHandOver(t *testing.T) {
	const share = 10
	k := inMemory(t, samsa.Options{})
	k.create("t", 1)
	var work []record
	for i := range share * (len(clients()) + 1) {
		work = append(work, record{Key: fmt.Sprint("k", i), Value: fmt.Sprint("v", i), Header: "yes"})
	}
	k.write("t", work)
	var got []record
	each(t, func(t *testing.T, c client) {
		some := c.group(k.of(t), "g", "t", share)
		if len(some) != share {
			t.Errorf("read %d records, want %d", len(some), share)
		}
		got = append(got, some...)
	})
	k = k.of(t)
	c, err := k.NewConsumer(k.ctx, samsa.ConsumerOptions{Group: "g", Topics: []string{"t"}, Member: samsa.MemberOptions{Assignors: []samsa.Assignor{samsa.RangeAssignor()}}})
	if err != nil {
		t.Fatal(err)
	}
	for len(got) < len(work) {
		some, err := c.Poll(k.ctx)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, plain(some)...)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	same(t, got, work)
}
