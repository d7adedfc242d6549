package group

import (
	"fmt"
	"testing"

	"github.com/samsa-go/samsa/log"
)

// asked counts the questions about topics: one for each offset that somebody looks at.
type asked struct {
	catalogue
	n int
}

func (a *asked) TopicID(name string) (id [16]byte, partitions int32, err error) {
	a.n++
	return a.catalogue.TopicID(name)
}

// commitAlone commits offsets for a group without members.
func (o *office) commitAlone(group string, offsets map[log.TopicPartition]Offset) {
	o.t.Helper()
	if err := o.Commit(o.t.Context(), group, CommitRequest{Generation: -1, Offsets: offsets}); err != nil {
		o.t.Fatal(err)
	}
}

// A question about some partitions costs what these have, however many groups there are and
// however much they have committed elsewhere.
func TestOffsetsAreFoundByTopic(t *testing.T) {
	inOffice(t, Options{}, func(t *testing.T, o *office) {
		topics := &asked{catalogue: catalogue{"orders": 1, "jobs": 2, "other": 3}}
		o.topics = topics
		everywhere := make(map[log.TopicPartition]Offset)
		for i := range int32(100) {
			everywhere[log.TopicPartition{Topic: "other", Partition: i}] = Offset{Offset: 1}
		}
		for i := range 50 {
			o.commitAlone(fmt.Sprint("g", i), everywhere)
		}
		job := log.TopicPartition{Topic: "jobs", Partition: 1}
		o.commitAlone("g7", map[log.TopicPartition]Offset{job: {Offset: 5}})
		o.commitAlone("g8", map[log.TopicPartition]Offset{job: {Offset: 4}, {Topic: "jobs", Partition: 2}: {Offset: 9}})

		costs := func(what string, want int, fn func()) {
			t.Helper()
			topics.n = 0
			fn()
			if topics.n != want {
				t.Errorf("%s: looked at %d offsets, want %d", what, topics.n, want)
			}
		}
		costs("Consumed of a topic that nobody reads", 0, func() {
			if _, ok := o.Consumed("orders", 100); ok {
				t.Error("somebody has")
			}
		})
		costs("Consumed", 3, func() {
			if least, ok := o.Consumed("jobs", 3); !ok || fmt.Sprint(least) != "[0 4 0]" {
				t.Errorf("got %v", least)
			}
		})
		costs("Fetch", 1, func() {
			if got, err := o.Fetch("g7", job); err != nil || len(got) != 1 || got[job].Offset != 5 {
				t.Errorf("got %v, %v", got, err)
			}
		})
		snap, err := o.desk.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		defer snap.Close()
		costs("FetchFrom", 1, func() {
			got, err := o.FetchFrom(snap, "g7", job, log.TopicPartition{Topic: "jobs"})
			if err != nil || len(got) != 1 || got[job].Offset != 5 {
				t.Errorf("got %v, %v", got, err)
			}
		})

		if _, err := o.DeleteOffsets(t.Context(), "g8", job); err != nil {
			t.Fatal(err)
		}
		if err := o.Delete(t.Context(), "g7"); err != nil {
			t.Fatal(err)
		}
		costs("Consumed when one group is left", 1, func() {
			if least, ok := o.Consumed("jobs", 3); !ok || fmt.Sprint(least) != "[0 0 9]" {
				t.Errorf("got %v", least)
			}
		})
		if err := o.Delete(t.Context(), "g8"); err != nil {
			t.Fatal(err)
		}
		costs("Consumed when none is", 0, func() { o.Consumed("jobs", 3) })
	})
}
