package streams

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/topic"
)

// What concerns more members than a commit has room for is stored in several, between which the broker may end.
func TestMoreMembersThanACommit(t *testing.T) {
	for left := range 8 {
		inHouse(t, func(t *testing.T, h *house) {
			const members = 40
			h.config.AssignmentInterval = 10 * time.Second
			h.st.limits = store.Limits{Entries: 16, Bytes: 1 << 20}
			h.reopen()
			if _, err := h.catalogue.Create(ctx, "many", topic.Config{Partitions: members}); err != nil {
				t.Fatal(err)
			}
			told := make(map[string]Answer)
			rounds := func(n int) {
				for range n {
					for i := range members {
						id := fmt.Sprintf("m%02d", i)
						a, ok := told[id]
						var err error
						if ok {
							beat := Heartbeat{MemberID: id, Epoch: a.Epoch, Owned: a.Tasks}
							var next Answer
							if next, _, err = h.Heartbeat(ctx, "g", beat); next.Tasks == nil {
								next.Tasks = a.Tasks
							}
							a = next
						} else {
							a, err = h.tryJoin("g", id, "0: many")
						}
						if told[id] = a; err != nil {
							delete(told, id)
						}
					}
					time.Sleep(5 * time.Second)
				}
			}
			rounds(1)
			h.st.left.Store(int64(left)) // of the target for all
			rounds(3)
			if left == 0 && len(told) < members {
				t.Errorf("%d members are in", len(told))
			}
			synctest.Wait()
			h.st.left.Store(0)
			h.reopen()
			rounds(12)
			owners := make(map[TaskID]string)
			for id, a := range told {
				for task := range a.Tasks[Active] {
					if owners[task] != "" {
						t.Errorf("%d: %s and %s have %s", left, owners[task], id, task)
					}
					owners[task] = id
				}
			}
			if len(owners) != members || len(told) != members {
				t.Errorf("%d: %d members have %d tasks", left, len(told), len(owners))
			}
		})
	}
}

func TestTopologiesThatAreTooLarge(t *testing.T) {
	var topology Topology
	for i := range maxSubtopologies + 1 {
		topology.Subtopologies = append(topology.Subtopologies, Subtopology{ID: fmt.Sprint(i), Sources: []string{"lines"}})
	}
	inHouse(t, func(t *testing.T, h *house) {
		_, err := topology.Normal()
		h.wantErr("too many", err, log.ErrInvalidTopology)
		topology.Subtopologies = topology.Subtopologies[1:]
		_, err = topology.Normal()
		h.wantErr("not too many", err, nil)
	})
}
