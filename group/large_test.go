package group

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/samsa-go/samsa/group/epochs"
	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/log"
)

// inSmallOffice is inOffice over a store in whose commits little has room.
func inSmallOffice(t *testing.T, limits store.Limits, fn func(t *testing.T, o *office)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		o := &office{t: t, desk: &desk{Store: store.OpenMemory(), limits: limits}}
		done := o.open(Options{})
		fn(t, o)
		done()
	})
}

// What concerns more members than a commit has room for is stored in several.
func TestModernOfMoreMembersThanACommit(t *testing.T) {
	inSmallOffice(t, store.Limits{Entries: 16, Bytes: 1 << 20}, func(t *testing.T, o *office) {
		var all []*modernMate
		join := func(n int) {
			for range n {
				m := &modernMate{o: o, id: fmt.Sprintf("m%02d", len(all))}
				all = append(all, m)
				o.wantError("join", m.beat().Err, nil)
			}
		}
		settle := func(partitions int) {
			t.Helper()
			for range 3 {
				time.Sleep(2 * time.Second)
				for _, m := range all {
					o.wantError(m.id, m.beat().Err, nil)
				}
			}
			for _, m := range all {
				m.want(all[0].epoch, partitions)
			}
		}
		join(50)
		settle(2)
		o.Close()
		defer o.open(Options{})()
		settle(2)
		for _, m := range all[25:] {
			m.epoch = LeaveEpoch
			o.wantError("leave", m.beat().Err, nil)
		}
		all = all[:25]
		settle(4)
		time.Sleep(time.Minute) // all at once
		o.wantState(fmt.Sprintf("Empty %d 0", all[0].epoch+1))
		n := 0
		if err := o.desk.Scan(store.MemberRange("g"), func(store.Entry) (bool, error) { n++; return true, nil }); err != nil || n > 0 {
			t.Errorf("%d members are stored, %v", n, err)
		}
	})
}

// dying is a store that fails after some commits.
type dying struct {
	store.Store
	left atomic.Int64
}

func (d *dying) Commit(b *store.Batch) error {
	if d.left.Add(-1) < 0 {
		return errBroken
	}
	return d.Store.Commit(b)
}

// Between any two of these commits the broker may end: nobody has what another one has, and in the end all is somebody's.
func TestModernIsStoredInPartsWhenTheBrokerEnds(t *testing.T) {
	for left := range 9 {
		for name, leave := range map[string]bool{"they join": false, "they are silent": true} {
			t.Run(fmt.Sprintf("%s/%d", name, left), func(t *testing.T) { endInParts(t, left, leave) })
		}
	}
}

func endInParts(t *testing.T, left int, leave bool) {
	inSmallOffice(t, store.Limits{Entries: 16, Bytes: 1 << 20}, func(t *testing.T, o *office) {
		store := &dying{Store: o.desk.Store}
		store.left.Store(1 << 30)
		o.desk.Store = store
		var all []*modernMate
		join := func() {
			for range 32 { // they fill commits, and the group as such has one of its own
				all = append(all, &modernMate{o: o, id: fmt.Sprintf("m%02d", len(all))})
			}
		}
		rounds := func(n int) {
			for range n {
				for _, m := range all {
					if m.beat().Err != nil {
						m.epoch, m.has = 0, nil
					}
				}
				time.Sleep(2 * time.Second)
			}
		}
		join()
		rounds(3)
		join()
		rounds(1)
		if leave {
			rounds(3)
			all = all[:32]
			rounds(19)
		}
		store.left.Store(int64(left))
		rounds(3)
		o.Close()
		synctest.Wait() // the one that has failed commits nothing any more
		store.left.Store(1 << 30)
		defer o.open(Options{})()
		if en, err := o.entry("g", false); err == nil && en.damaged != nil {
			t.Error(en.damaged)
		}
		rounds(30)
		owners := make(map[PartitionID]string)
		for _, m := range all {
			for _, p := range m.has {
				if owners[p] != "" {
					t.Errorf("%s and %s have %v", owners[p], m.id, p)
				}
				owners[p] = m.id
			}
		}
		if len(owners) != 100 {
			t.Errorf("%d partitions are somebody's", len(owners))
		}
	})
}

// A member that says more than is stored of one is refused, and costs nobody anything else.
func TestMembersThatSayTooMuch(t *testing.T) {
	inOffice(t, Options{}, func(t *testing.T, o *office) {
		a := &modernMate{o: o, id: "a"}
		a.beat()
		a.want(2, 100)
		hostile := func(change func(*MemberHeartbeat)) error {
			h := MemberHeartbeat{MemberID: "h", RebalanceTimeout: time.Minute, Topics: []string{}, Owned: epochs.SetOf[PartitionID]()}
			change(&h)
			return o.HeartbeatModern(context.Background(), "g", h).Err
		}
		regex := func(text string) func(*MemberHeartbeat) {
			return func(h *MemberHeartbeat) { h.Regex = &text }
		}
		name := strings.Repeat("n", 200)
		o.wantError("names", hostile(func(h *MemberHeartbeat) {
			for range 200_000 {
				h.Topics = append(h.Topics, name)
			}
		}), log.ErrInvalidHeartbeat)
		o.wantError("a name", hostile(func(h *MemberHeartbeat) { h.Topics = []string{strings.Repeat("n", 40<<20)} }), log.ErrInvalidHeartbeat)
		for _, text := range []string{
			strings.Repeat(".{1000}", 3000), "(.{0,999}){0,1000}", strings.Repeat("n", 40<<20), strings.Repeat("(.?){1000}", 100), "(((.{10}){10}){10}){1000}",
		} {
			o.wantError("regex", hostile(regex(text)), log.ErrInvalidRegex)
		}
		o.wantError("a long one", hostile(regex(strings.Repeat(name+"|", 20)+"orders|[a-z]{1,249}")), nil)
		o.wantError("it is there", a.beat().Err, nil)
	})
	inOffice(t, Options{}, func(t *testing.T, o *office) {
		join := func(id string, bytes int) JoinResponse {
			req := joinRequest(id, "")
			req.Protocols[0].Metadata = append(req.Protocols[0].Metadata, make([]byte, bytes)...)
			return o.Join(context.Background(), "g", req)
		}
		leader := join("leader", 0)
		o.wantError("join", leader.Err, nil)
		o.wantError("hostile", join("hostile", 30<<20).Err, log.ErrInvalidOption)
		sync := func(bytes int) error {
			return o.Sync(context.Background(), "g", SyncRequest{
				MemberID: leader.MemberID, Generation: leader.Generation, Assignments: map[string][]byte{leader.MemberID: make([]byte, bytes)},
			}).Err
		}
		o.wantError("hostile assignment", sync(30<<20), log.ErrInvalidOption)
		o.wantError("sync", sync(0), nil)
		o.wantError("it is there", o.Heartbeat("g", leader.MemberID, "", leader.Generation), nil)
	})
}
