package clienttest

import (
	"encoding/binary"
	"fmt"
	"maps"
	"path/filepath"
	"strings"
	"testing"

	"github.com/samsa-go/samsa"
)

const (
	streamsApp   = "wordcount" // the application and its group
	lineTopic    = "lines"
	countTopic   = "counts"
	countLog     = streamsApp + "-counts-changelog"
	countShuffle = streamsApp + "-counts-repartition"

	linePartitions = 2
)

// wordCount is the application's input and output as the broker has them.
type wordCount struct {
	*kit
	want map[string]int64 // occurrences written
	has  map[string]int64 // the newest count of each word
	out  *samsa.Consumer  // of the counts
}

// run starts an instance of the application, with configs.
func (w *wordCount) run(state string, configs ...string) *process {
	w.t.Helper()
	args := append([]string{filepath.Join("testdata", "streams", "WordCount.java"), w.addr, state}, configs...)
	return w.start(javaStreams.command(w.ctx, args...))
}

// write produces lines and returns how often each word is in them.
func (w *wordCount) write(part string) map[string]int64 {
	w.t.Helper()
	words := make(map[string]int64)
	var lines []samsa.Record
	for i := range 200 {
		line := []string{"all", part, fmt.Sprint("i", i%7), fmt.Sprint("i", i%5)}
		for _, word := range line {
			words[word]++
			w.want[word]++
		}
		lines = append(lines, samsa.Record{Topic: lineTopic, Key: fmt.Append(nil, i), Value: []byte(strings.Join(line, " "))})
	}
	if _, err := w.Produce(w.ctx, lines...); err != nil {
		w.t.Fatal(err)
	}
	return words
}

// until reads counts until enough says so.
func (w *wordCount) until(enough func() bool) {
	w.t.Helper()
	for !enough() {
		records, err := w.out.Poll(w.ctx)
		if err != nil {
			w.t.Fatalf("counts are %v, want %v: %v", w.has, w.want, err)
		}
		for _, r := range records {
			w.has[string(r.Key)] = int64(binary.BigEndian.Uint64(r.Value))
		}
	}
}

// counted says whether each word is counted at least as often as it was written.
func (w *wordCount) counted() bool {
	for word, n := range w.want {
		if w.has[word] < n {
			return false
		}
	}
	return true
}

// allRead says whether every count that there is has been read.
func (w *wordCount) allRead() bool {
	lag, err := w.out.Lag(samsa.TopicPartition{Topic: countTopic})
	if err != nil {
		w.t.Fatal(err)
	}
	return lag == 0
}

// committed checks that the application has committed all that there was for it to read.
func (w *wordCount) committed() {
	w.t.Helper()
	info, err := w.Groups().Describe(w.ctx, streamsApp)
	if err != nil {
		w.t.Fatal(err)
	}
	of := make(map[string]int) // partitions of each topic
	for _, p := range info.Partitions {
		if of[p.Topic]++; p.Lag > 0 {
			w.t.Errorf("%s of %s: %d of %d is committed", streamsApp, p.Topic, p.Committed, p.HighWatermark)
		}
	}
	if want := map[string]int{lineTopic: linePartitions, countShuffle: linePartitions}; !maps.Equal(of, want) {
		w.t.Errorf("%s has committed offsets of partitions %v, want %v", streamsApp, of, want)
	}
}

// exact checks that each word is counted as often as it was written.
func (w *wordCount) exact() {
	w.t.Helper()
	w.until(w.counted)
	if !maps.Equal(w.has, w.want) {
		w.t.Errorf("counts are %v, want %v", w.has, w.want)
	}
}

// Kafka Streams counts words. Another instance goes on where one has stopped, with the counts that
// the changelog brings it. One that is killed and started again counts each word at least once, and
// again at most what the one before had not committed.
func TestStreams(t *testing.T) {
	javaStreams.needs(t, "kafka-streams")
	t.Parallel() // it waits much of the time
	k := inMemory(t, samsa.Options{}).within(t, javaPatience)
	k.create(lineTopic, linePartitions)
	k.create(countTopic, 1)
	out, err := k.NewConsumer(k.ctx, samsa.ConsumerOptions{Topics: []string{countTopic}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = out.Close() }()
	w := &wordCount{kit: k, want: make(map[string]int64), has: make(map[string]int64), out: out}

	app := w.run(t.TempDir())
	w.write("first")
	w.exact()
	app.stop()
	w.committed()

	state := t.TempDir() // has nothing
	app = w.run(state)
	inDoubt := w.write("second")
	w.exact()
	for word, n := range w.write("third") {
		inDoubt[word] += n
	}
	w.until(func() bool { return w.has["third"] > 0 })
	app.kill()
	w.write("fourth")
	app = w.run(state)
	w.until(w.counted)
	app.stop()
	w.until(w.allRead)
	for word, has := range w.has {
		// A word in doubt may come again from its line, and from the topic between.
		if want, most := w.want[word], w.want[word]+2*inDoubt[word]; has < want || has > most {
			t.Errorf("%q is counted %d times, want %d to %d", word, has, want, most)
		}
	}
	k.compacted(countLog)
}
