package kafka

import (
	"fmt"
	"strings"
	"testing"

	"github.com/samsa-go/samsa"
	door "github.com/samsa-go/samsa/kafka"
)

// difference is how Kafka answers, how we do, and why.
type difference struct{ theirs, ours, why string }

// differences are all that there are, by what was asked, and by the level of the feature transaction.version unless
// they are those of each level.
var differences = map[string]difference{
	"0: init over an open one: at once": {"CONCURRENT_TRANSACTIONS", "ok",
		"the abort is one commit, and done before the answer; Kafka has the client ask again until it is"},
	"2: init over an open one: at once": {"CONCURRENT_TRANSACTIONS", "ok", "the same"},
	"0: init over an open one: go on over an open one": {"PRODUCER_FENCED", "ok A/3",
		"Kafka at level 0 forgets, while the client asks again, who it was; we answer at once"},
	"0: time-out: go on": {"PRODUCER_FENCED", "ok A/1",
		"a time-out fences nobody else's epoch, so that the producer may go on, as from Kafka at level 2"},
	"0: not added: produce 12": {"UNSUPPORTED_VERSION", "ok",
		"a client that adds implicitly without asking for the level means it"},
	"0: produce: transactional, without a producer": {"ok", "INVALID_RECORD",
		"a transactional batch of no producer is of no transaction"},
	"2: produce: transactional, without a producer": {"ok", "INVALID_RECORD", "the same"},
	"0: add: empty group": {"ok", "INVALID_GROUP_ID",
		"no group has that name, and TxnOffsetCommit says so to both"},
	"2: add: empty group": {"ok", "INVALID_GROUP_ID", "the same"},
	"0: offsets of what is wrong: a negative offset 3": {"ok", "OFFSET_OUT_OF_RANGE",
		"an offset that cannot be is not committed, as by OffsetCommit"},
	"2: offsets of what is wrong: a negative offset 3": {"ok", "OFFSET_OUT_OF_RANGE", "the same"},
	"2: offsets of what is wrong: a negative offset 5": {"ok", "OFFSET_OUT_OF_RANGE", "the same"},
	"marker by hand: stored": {"marker seq -1", "1..1 of A/2",
		"who aborts a part of what a transactional id has open aborts all of it, and fences its producer"},
	"marker by hand: producers":      {"A/1 last 0", "A/2 last -1", "the same"},
	"marker by hand: state":          {"Ongoing", "CompleteAbort", "the same"},
	"marker by hand: abort 2, again": {"ok", "INVALID_PRODUCER_EPOCH", "the same"},
	"0: marker by hand: end":         {"ok", "PRODUCER_FENCED", "the same"},
	"2: marker by hand: end":         {"ok", "INVALID_TXN_STATE", "the same"},
	"marker by hand: stored at last": {"ends 4", "ends 2", "the same"},
	"0: marker by hand: commit": {"ok", "CLUSTER_AUTHORIZATION_FAILED",
		"who aborts by hand frees readers, and who commits by hand may make half of a transaction visible"},
	"2: marker by hand: commit": {"ok", "CLUSTER_AUTHORIZATION_FAILED", "the same"},
}

// transactionsAsIn checks that requests about transactions are answered as by the Kafka at addr, but for those
// differences.
func transactionsAsIn(t *testing.T, addr string) {
	b, err := samsa.Open("", samsa.Options{InMemory: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := b.Close(); err != nil { // closes the door too
			t.Error(err)
		}
	}()
	srv, err := door.Listen(b, "127.0.0.1:0", door.Options{})
	if err != nil {
		t.Fatal(err)
	}
	left := make(map[string]bool)
	for what := range differences {
		left[what] = true
	}
	for _, level := range []int16{0, 2} {
		theirs, ours := answers(t, addr, level), answers(t, srv.Addr().String(), level)
		if len(theirs) != len(ours) {
			t.Fatalf("Kafka was asked %d things, we %d", len(theirs), len(ours))
		}
		t.Logf("level %d: %d answers", level, len(ours))
		for i, n := range ours {
			if n.what != theirs[i].what {
				t.Fatalf("Kafka was asked %q, we %q", theirs[i].what, n.what)
			}
			if n.answer == theirs[i].answer {
				continue
			}
			what := fmt.Sprint(level, ": ", n.what)
			d, known := differences[what]
			if !known {
				d, known = differences[n.what]
				delete(left, n.what)
			}
			if !known || !strings.Contains(theirs[i].answer, d.theirs) || !strings.Contains(n.answer, d.ours) {
				t.Errorf("%s\n\tKafka answers %s\n\twe answer     %s", what, theirs[i].answer, n.answer)
			}
			delete(left, what)
		}
	}
	for what := range left {
		t.Errorf("%s: nothing differs any more", what)
	}
}
