package streams

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/samsa-go/samsa/log"
)

// What is too much to keep is refused.
func TestBounds(t *testing.T) {
	long := strings.Repeat("x", maxTopologyBytes)
	if _, err := (Topology{Subtopologies: []Subtopology{{ID: "0", Sources: []string{long}}}}).Normal(); !errors.Is(err, log.ErrInvalidTopology) {
		t.Errorf("a long name: %v", err)
	}
	wide := readTopology("0: a | 1: b")
	if _, err := Configure(&wide, readTopics("a=100000 b=1")); !errors.Is(err, log.ErrInvalidTopology) {
		t.Errorf("too many tasks: %v", err)
	}
	topology := readTopology("0: a")
	around := Surroundings{Config: DefaultConfig(), Topic: func(string) (Topic, bool) { return Topic{Partitions: 1}, true }}
	offsets := make(map[TaskID]int64)
	for i := range int32(maxTasks + 1) {
		offsets[TaskID{"0", i}] = 0
	}
	for what, req := range map[string]Heartbeat{
		"long tags":    {Tags: map[string]string{"zone": long}},
		"many offsets": {Offsets: offsets},
	} {
		g := NewGroup("g")
		req.MemberID, req.Topology = "a", &topology
		if _, _, err := g.Heartbeat(time.Unix(0, 0), req, around); !errors.Is(err, log.ErrInvalidHeartbeat) || len(g.members) > 0 {
			t.Errorf("%s: %v", what, err)
		}
	}
}
