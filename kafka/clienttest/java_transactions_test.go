package clienttest

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"github.com/samsa-go/samsa"
)

// javaStory is what Transactions.java tells of a story, and what readers saw after it.
type javaStory struct {
	Answers                []string
	Committed, Uncommitted []string
}

// javaStories are what it tells with Kafka 4.4.0. That may say PrepareCommit and for a moment have the group where it
// was, because it writes markers after its answer. The coordinator's epoch is -1 there until the first marker. And an abort of
// one partition by the admin leaves the others, which can be committed.
func javaStories(level int) map[string]javaStory {
	late := "ProducerFencedException"
	timedOut := []string{"commit: ProducerFencedException", "abort: ProducerFencedException"}
	if level == 2 { // who sends is not asked by AddPartitionsToTxn first
		late = "InvalidProducerEpochException"
		timedOut = []string{"commit: InvalidTxnStateException", "abort: KafkaException"}
	}
	return map[string]javaStory{
		"commit": {
			Answers:   []string{"commit a: done", "open: Ongoing 60000 [0, 1] true", "commit b: done", "commit c: done", "then: CompleteCommit"},
			Committed: []string{"a0", "b0", "c0", "a1", "b1", "c1"}, Uncommitted: []string{"a0", "b0", "c0", "a1", "b1", "c1"},
		},
		"abort": {
			Answers: []string{"commit a: done", "abort b: done", "commit c: done", "abort d: done", "abort nothing: done", "commit nothing: done",
				"then: CompleteAbort"},
			Committed: []string{"a0", "c0", "a1", "c1"}, Uncommitted: []string{"a0", "b0", "c0", "d0", "a1", "b1", "c1", "d1"},
		},
		"fence": {
			Answers: []string{"another begins: done", "the old sends: InvalidProducerEpochException",
				"the old commits: InvalidProducerEpochException", "the new commits: done", "a third begins: done", "the second sends: " + late, "the second aborts: ProducerFencedException",
				"the third commits: done"},
			Committed: []string{"new0", "third0", "new1", "third1"}, Uncommitted: []string{"old0", "new0", "third0", "old1", "new1", "third1"},
		},
		"time out": {
			Answers:   append(timedOut, "the next commits: done"),
			Committed: []string{"next0", "next1"}, Uncommitted: []string{"slow0", "next0", "slow1", "next1"},
		},
		"offsets": {
			Answers: []string{"offsets 2: done", "commit: done", "committed: 2", "offsets 4: done", "abort: done", "committed: 2",
				"offsets 6: done", "commit: done", "committed: 6", "offsets of a stranger: CommitFailedException", "abort: done"},
			Committed: []string{"r0", "r1", "r4", "r5"}, Uncommitted: []string{"r0", "r1", "r2", "r3", "r4", "r5"},
		},
		"fence by admin": {
			Answers:     []string{"fence: done", "commit: ProducerFencedException", "then: Empty", "fence nobody: done"},
			Uncommitted: []string{"a0", "a1"},
		},
		"abort by admin": {
			Answers: []string{"open: since 0, coordinator's epoch 0", "abort: done", "then: open false, CompleteAbort", timedOut[0],
				"abort again: InvalidProducerEpochException"},
			Uncommitted: []string{"a0", "a1"},
		},
	}
}

// Kafka's own producer, consumer and admin find of transactions what they find with Kafka, at either level of the
// feature transaction.version: commits and aborts, a producer that another has taken the place of, a time-out,
// offsets of a group in the transaction, and administrators who fence and abort.
func TestJavaTransactions(t *testing.T) {
	for _, set := range []javaSet{javaClients, javaStreams} {
		t.Run(string(set), func(t *testing.T) {
			set.needs(t, "kafka-clients")
			t.Parallel() // it waits much of the time
			k := inMemory(t, samsa.Options{})
			for _, level := range []int{2, 0} {
				t.Run(fmt.Sprint("level ", level), func(t *testing.T) {
					checkStories(t, k.within(t, javaPatience).stories(set, level), javaStories(level))
				})
			}
		})
	}
}

// stories runs Transactions.java.
func (k *kit) stories(set javaSet, level int) (told map[string]javaStory) {
	k.t.Helper()
	cmd := set.command(k.ctx, filepath.Join("testdata", "java", "Transactions.java"), k.addr, fmt.Sprint(level))
	if err := json.Unmarshal([]byte(k.run(cmd)), &told); err != nil {
		k.t.Fatal(err)
	}
	return told
}

func checkStories(t *testing.T, told, want map[string]javaStory) {
	t.Helper()
	if len(told) != len(want) {
		t.Errorf("%d stories are told, want %d", len(told), len(want))
	}
	for name, want := range want {
		got := told[name]
		if !slices.Equal(got.Answers, want.Answers) {
			t.Errorf("%s: answered is %q, want %q", name, got.Answers, want.Answers)
		}
		if !slices.Equal(got.Committed, want.Committed) {
			t.Errorf("%s: who reads what is committed gets %q, want %q", name, got.Committed, want.Committed)
		}
		if !slices.Equal(got.Uncommitted, want.Uncommitted) {
			t.Errorf("%s: who reads everything gets %q, want %q", name, got.Uncommitted, want.Uncommitted)
		}
	}
}
