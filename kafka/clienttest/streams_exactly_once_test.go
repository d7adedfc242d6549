package clienttest

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/samsa-go/samsa"
)

// patiencePerKill is what a test of Java programs has more for each of them that it kills.
const patiencePerKill = 40 * time.Second

// Kafka Streams counts words exactly once. It is killed again and again amid its transactions, and goes on, now with
// its state and transactional id, now as somebody new, who has to wait until the transaction of the dead has timed
// out. Who reads what is committed sees each count of each word once, from 1 on, without a gap.
func TestStreamsExactlyOnce(t *testing.T) {
	javaStreams.needs(t, "kafka-streams")
	t.Parallel() // it waits much of the time
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	k := inMemory(t, samsa.Options{}).within(t, javaPatience+time.Duration(howMany(3))*patiencePerKill)
	k.create(lineTopic, linePartitions)
	k.create(countTopic, 1)
	w := &exactWordCount{wordCount: wordCount{kit: k, want: make(map[string]int64), has: make(map[string]int64)},
		all: k.readUncommitted(countTopic), committed: k.readCommitted(countTopic)}

	const guarantee = "processing.guarantee=exactly_once_v2"
	state := t.TempDir()
	for i := range kills(t, 3) {
		app := w.run(state, guarantee)
		w.untilSent(1 + rng.IntN(3000))
		app.kill()
		if i%2 == 1 {
			state = t.TempDir() // has nothing
		}
	}
	app := w.run(state, guarantee)
	w.write("last")
	for !w.counted() {
		w.take(w.committed.more())
	}
	app.stop()
	w.take(w.committed.rest(1))
	sent := w.sent + len(w.all.rest(1))
	w.exactly(sent)
	w.wordCount.committed()
}

// exactWordCount is a word count whose output is read by isolation level.
type exactWordCount struct {
	wordCount
	all, committed reader
	sent           int // that all has read
	taken          int // that committed has read
}

// untilSent writes lines, until the application has sent so many counts, whether committed or not.
func (w *exactWordCount) untilSent(n int) {
	w.t.Helper()
	for sent, written := 0, 0; sent < n; {
		if sent+100 > written { // it has not to wait for more
			w.write("some")
			written += 800
		}
		more := len(w.all.more())
		sent += more
		w.sent += more
	}
}

// take takes counts that are committed. The counts of a word come one after the other.
func (w *exactWordCount) take(counts []*kgo.Record) {
	w.t.Helper()
	for _, r := range counts {
		word, n := string(r.Key), int64(binary.BigEndian.Uint64(r.Value))
		if want := w.has[word] + 1; n != want {
			w.t.Errorf("at offset %d %q is counted %d times, want %d", r.Offset, word, n, want)
		}
		w.has[word] = n
		w.taken++
	}
}

// exactly checks that each word is counted as often as it was written, and tells how many counts were sent in vain.
func (w *exactWordCount) exactly(sent int) {
	w.t.Helper()
	for word, n := range w.want {
		if w.has[word] != n {
			w.t.Errorf("%q is counted %d times, want %d", word, w.has[word], n)
		}
	}
	w.t.Logf("%d counts are committed, %d are not", w.taken, sent-w.taken)
}
