package kafka

import (
	"fmt"
	"strings"
	"testing"
)

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
	at := func(level int16) round {
		return round{fmt.Sprint(level, ": "), func(t *testing.T, addr string) []note { return answers(t, addr, level, stories) }}
	}
	asIn(t, addr, differences, strings.Contains, at(0), at(2))
}
