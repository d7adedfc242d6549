package streams

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/samsa-go/samsa/group"
	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/internal/writer"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/topic"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var ctx = context.Background()

// house is a coordinator with all it stands on, over a store in memory that outlives it, and the topic lines.
type house struct {
	t  *testing.T
	st *floor
	*Coordinator
	groups    *group.Coordinator
	catalogue *topic.Catalogue
	config    Config
}

// floor is the store, and how many entries were written to it.
type floor struct {
	store.Store
	entries int
	limits  store.Limits                  // if not zero
	left    atomic.Int64                  // commits until one fails, if not zero
	hold    atomic.Pointer[chan struct{}] // commits wait until it is closed; nil for none
}

func (f *floor) Limits() store.Limits {
	if f.limits.Entries > 0 {
		return f.limits
	}
	return f.Store.Limits()
}

func (f *floor) Commit(b *store.Batch) error {
	f.entries += b.Len()
	if hold := f.hold.Load(); hold != nil {
		<-*hold
	}
	if f.left.Load() != 0 && f.left.Add(-1) == 0 {
		f.left.Store(1)
		return errors.New("the floor is broken")
	}
	return f.Store.Commit(b)
}

func inHouse(t *testing.T, fn func(t *testing.T, h *house)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		h := &house{t: t, st: &floor{Store: store.OpenMemory()}, config: DefaultConfig()}
		h.config.InitialDelay, h.config.AssignmentInterval = 0, 0
		h.open()
		defer h.shut()
		if _, err := h.catalogue.Create(ctx, "lines", topic.Config{Partitions: 2}); err != nil {
			t.Fatal(err)
		}
		fn(t, h)
	})
}

func (h *house) open() {
	h.t.Helper()
	c := writer.NewCommitter(h.st, zap.NewNop())
	var err error
	h.catalogue, _, err = topic.Open(h.st, c, zap.NewNop())
	if err == nil {
		h.groups, err = group.Open(h.st, c, h.catalogue, group.Options{})
	}
	if err == nil {
		h.Coordinator, err = Open(Parts{Store: h.st, Committer: c, Topics: h.catalogue, Groups: h.groups},
			Options{Config: func(string) Config { return h.config }})
	}
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) shut() {
	h.Close()
	h.groups.Close()
	h.catalogue.Close(log.ErrClosed)
	h.committer.Close()
}

func (h *house) reopen() {
	h.t.Helper()
	h.shut()
	h.open()
}

// join has a member join the group g, each a process of its own.
func (h *house) join(id, topology string) Answer {
	h.t.Helper()
	answer, err := h.tryJoin("g", id, topology)
	if err != nil {
		h.t.Fatal(err)
	}
	return answer
}

func (h *house) tryJoin(name, id, text string) (Answer, error) {
	topology, err := readTopology(text).Normal()
	if err != nil {
		h.t.Fatal(err)
	}
	none := newTasks()
	answer, _, err := h.Heartbeat(ctx, name, Heartbeat{MemberID: id, ProcessID: id, Topology: &topology, Owned: &none, RebalanceTimeout: 10 * time.Second})
	return answer, err
}

// beat is a heartbeat of a member that has what it was told.
func (h *house) beat(of Answer) Answer {
	h.t.Helper()
	answer, _, err := h.Heartbeat(ctx, "g", Heartbeat{MemberID: of.MemberID, Epoch: of.Epoch, Owned: of.Tasks})
	if err != nil {
		h.t.Fatal(err)
	}
	if answer.Tasks == nil {
		answer.Tasks = of.Tasks
	}
	return answer
}

func (h *house) wantTasks(a Answer, want string) {
	h.t.Helper()
	if got := tellTasks(*a.Tasks); got != want {
		h.t.Fatalf("%s has %q, want %q: %v", a.MemberID, got, want, a.Statuses)
	}
}

func (h *house) wantErr(what string, err, want error) {
	h.t.Helper()
	if !errors.Is(err, want) || want == nil && err != nil {
		h.t.Fatalf("%s: %v, want %v", what, err, want)
	}
}

// commit commits an offset for a partition of lines.
func (h *house) commit(id string, epoch, partition int32, offset int64) error {
	return h.groups.Commit(ctx, "g", group.CommitRequest{MemberID: id, Generation: epoch,
		Offsets: map[log.TopicPartition]group.Offset{{Topic: "lines", Partition: partition}: {Offset: offset}}})
}

// offset is the committed one of a partition, -1 for none.
func (h *house) offset(partition int32) int64 {
	h.t.Helper()
	tp := log.TopicPartition{Topic: "lines", Partition: partition}
	found, err := h.groups.Fetch("g", tp)
	if err != nil {
		h.t.Fatal(err)
	}
	if o, ok := found[tp]; ok {
		return o.Offset
	}
	return -1
}

// Internal topics are made with their configs, and are there with the next heartbeat.
func TestInternalTopicsAreMade(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		a := h.join("a", "0: lines > words | 1: words* ~counts")
		h.wantTasks(a, "")
		if len(a.Statuses) != 1 || a.Statuses[0].Code != MissingInternalTopics {
			t.Errorf("told %v", a.Statuses)
		}
		h.wantTasks(h.beat(a), "00 01 10 11")
		counts, err := h.catalogue.Get("counts")
		if err != nil || len(counts.Partitions()) != 2 || counts.Config().Configs()["cleanup.policy"] != "compact" {
			t.Errorf("counts: %v, %v", counts.Config().Configs(), err)
		}
	})
}

// What keeps a topic from being made is told.
func TestInternalTopicsThatCannotBeMade(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		topology, _ := readTopology("0: lines ~counts").Normal()
		topology.Subtopologies[0].Changelogs[0].Configs = []TopicConfig{{"retention.ms", "long"}}
		none := newTasks()
		a, _, err := h.Heartbeat(ctx, "g", Heartbeat{MemberID: "a", Topology: &topology, Owned: &none})
		if err != nil || len(a.Statuses) != 1 || !strings.Contains(a.Statuses[0].Detail, "Internal topics are missing: counts; Creation failed: counts (invalid config") {
			t.Errorf("%v, %v", a.Statuses, err)
		}
	})
}

// Members go on after the broker has died, and so do those that are not heard of, for a session.
func TestGroupsOutliveTheBroker(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		a := h.join("a", "0: lines")
		b := h.join("b", "0: lines")
		a = h.beat(a)
		h.wantTasks(a, "00")
		h.reopen()
		h.wantTasks(h.beat(a), "00")
		b = h.beat(b)
		h.wantTasks(b, "01")
		h.reopen()
		time.Sleep(44 * time.Second)
		h.wantTasks(h.beat(b), "01")
		time.Sleep(2 * time.Second)
		synctest.Wait()
		d, err := h.DescribeGroup("g")
		if err != nil || len(d.Members) != 1 || d.Members[0].ID != "b" {
			t.Fatalf("members are %v, %v", d.Members, err)
		}
		_, _, err = h.Heartbeat(ctx, "g", Heartbeat{MemberID: "a", Epoch: a.Epoch})
		h.wantErr("heartbeat of who is out", err, log.ErrUnknownMember)
	})
}

// Offsets are with the coordinator of package group, which asks who may commit.
func TestOffsetsOfMembers(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		h.wantErr("commit before there is a group", h.commit("", -1, 0, 3), nil)
		a := h.join("a", "0: lines")
		h.wantErr("commit", h.commit("a", a.Epoch, 0, 5), nil)
		h.wantErr("commit of the future", h.commit("a", a.Epoch+1, 0, 6), log.ErrStaleMemberEpoch)
		h.wantErr("commit of nobody", h.commit("", -1, 0, 6), log.ErrUnknownMember)
		if got := h.offset(0); got != 5 {
			t.Errorf("committed is %d", got)
		}
		h.wantErr("fetch", h.CheckFetch("g", "a", a.Epoch), nil)
		h.wantErr("fetch of nobody", h.CheckFetch("g", "", -1), nil)
		h.wantErr("fetch of the past", h.CheckFetch("g", "a", a.Epoch-1), log.ErrStaleMemberEpoch)
		h.wantErr("fetch of another", h.CheckFetch("g", "b", 1), log.ErrUnknownMember)
		kept, err := h.groups.DeleteOffsets(ctx, "g", log.TopicPartition{Topic: "lines"})
		if err != nil || len(kept) != 1 {
			t.Errorf("deleted although it is read: kept %v, %v", kept, err)
		}
		h.wantErr("alter", h.groups.AlterOffsets(ctx, "g", map[log.TopicPartition]group.Offset{{Topic: "lines"}: {}}), log.ErrGroupNotEmpty)
		h.wantErr("delete", h.groups.Delete(ctx, "g"), log.ErrGroupNotEmpty)
		h.reopen()
		h.wantErr("commit after", h.commit("a", a.Epoch, 0, 7), nil)
		h.leave("a")
		h.wantErr("commit when it is empty", h.commit("", -1, 1, 8), nil)
		if h.offset(0) != 7 || h.offset(1) != 8 {
			t.Errorf("committed are %d and %d", h.offset(0), h.offset(1))
		}
		h.wantErr("delete", h.groups.Delete(ctx, "g"), nil)
		if l := h.groups.List(); h.offset(0) != -1 || len(l) != 0 {
			t.Errorf("after it %d, %v", h.offset(0), l)
		}
		h.reopen()
		_, err = h.DescribeGroup("g")
		h.wantErr("describe", err, log.ErrUnknownGroup)
	})
}

func (h *house) leave(id string) {
	h.t.Helper()
	if _, _, err := h.Heartbeat(ctx, "g", Heartbeat{MemberID: id, Epoch: leaveEpoch}); err != nil {
		h.t.Fatal(err)
	}
}

// Who deletes a group and does not wait for it has not, and who joins meanwhile waits to know that.
func TestDeletionThatIsGivenUp(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		a := h.join("a", "0: lines")
		h.leave("a")
		h.wantErr("commit", h.commit("", -1, 0, 5), nil)
		for _, joins := range []bool{false, true} {
			hold := make(chan struct{})
			h.st.hold.Store(&hold)
			other, deleted, joined := make(chan error, 1), make(chan error, 1), make(chan error, 1)
			go func() {
				other <- h.groups.Commit(ctx, "other", group.CommitRequest{Generation: -1, Offsets: map[log.TopicPartition]group.Offset{{Topic: "lines"}: {}}})
			}()
			synctest.Wait()
			until, end := context.WithCancel(ctx)
			go func() { deleted <- h.groups.Delete(until, "g") }()
			synctest.Wait()
			h.wantErr("another deletion", h.groups.Delete(ctx, "g"), log.ErrUnknownGroup)
			h.wantErr("another kind", h.groups.Names().Claim("g", group.Classic), log.ErrGroupKind)
			if joins {
				go func() {
					b, err := h.tryJoin("g", "b", "0: lines")
					if b.Epoch <= a.Epoch && err == nil {
						err = fmt.Errorf("epoch %d, before it %d", b.Epoch, a.Epoch)
					}
					joined <- err
				}()
				synctest.Wait()
			}
			end()
			h.wantErr("delete", <-deleted, context.Canceled)
			close(hold)
			h.wantErr("the commit before", <-other, nil)
			if joins {
				h.wantErr("join", <-joined, nil)
				h.leave("b")
			}
			for range 2 {
				if l := h.groups.List(); h.offset(0) != 5 || len(l) != 2 || fmt.Sprint(l[0]) != "{g streams Empty streams}" {
					t.Fatalf("after it %d, %v", h.offset(0), l)
				}
				h.reopen()
			}
		}
		h.wantErr("delete", h.groups.Delete(ctx, "g"), nil)
		h.reopen()
		if l := h.groups.List(); len(l) != 1 {
			t.Errorf("left are %v", l)
		}
	})
}

// A name is that of one kind; what is empty goes from one to another, and keeps its offsets.
func TestNamesOfStreamsGroups(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		classic := func(member string) group.JoinResponse {
			return h.groups.Join(ctx, "g", group.JoinRequest{MemberID: member, NewMemberID: "c", SessionTimeout: time.Minute, RebalanceTimeout: time.Minute,
				ProtocolType: "consumer", Protocols: []group.Protocol{{Name: "range"}}})
		}
		h.wantErr("commit", h.commit("", -1, 0, 5), nil)
		h.join("a", "0: lines")
		h.wantErr("a classic member", classic("").Err, log.ErrGroupKind)
		if l := h.groups.List(); len(l) != 1 || fmt.Sprint(l[0]) != "{g streams Stable streams}" {
			t.Errorf("listed is %v", l)
		}
		d, err := h.groups.Describe("g")
		if err != nil || d.Kind != group.Streams || len(d.Members) != 1 {
			t.Errorf("described as %v, %v", d, err)
		}
		h.leave("a")
		r := classic("")
		h.wantErr("a classic member of the empty group", r.Err, nil)
		if h.offset(0) != 5 {
			t.Errorf("committed is %d", h.offset(0))
		}
		_, err = h.tryJoin("g", "a", "0: lines")
		h.wantErr("join of a classic group", err, log.ErrGroupKind)
		_, _, err = h.Heartbeat(ctx, "g", Heartbeat{MemberID: "a", Epoch: 3})
		h.wantErr("heartbeat of a classic group", err, log.ErrGroupKind)
		_, _, err = h.Heartbeat(ctx, "none", Heartbeat{MemberID: "a", Epoch: 3})
		h.wantErr("heartbeat of no group", err, log.ErrUnknownGroup)
		_, err = h.tryJoin("", "a", "0: lines")
		h.wantErr("a group without a name", err, log.ErrInvalidGroup)
		h.groups.Leave("g", []group.LeaveMember{{MemberID: r.MemberID}})
		h.join("a", "0: more") // the topology is forgotten
		h.reopen()
		if l := h.groups.List(); len(l) != 1 || l[0].Kind != group.Streams {
			t.Errorf("listed is %v", l)
		}
	})
}

// A join that is refused makes no group.
func TestRefusedJoins(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		topology, _ := readTopology("0: lines > a | 1: b*").Normal()
		none := newTasks()
		_, _, err := h.Heartbeat(ctx, "g", Heartbeat{MemberID: "a", Topology: &topology, Owned: &none})
		h.wantErr("join", err, log.ErrInvalidTopology)
		if _, ok := h.groups.Names().Of("g"); ok || len(h.Coordinator.groups) > 0 {
			t.Error("there is a group")
		}
		h.wantErr("delete", h.groups.Delete(ctx, "g"), log.ErrUnknownGroup)
		h.join("a", "0: lines")
	})
}

// One that is damaged stays what it is, until it is deleted.
func TestDamagedGroups(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		h.join("a", "0: lines")
		h.shut()
		var b store.Batch
		b.Set(store.StreamsKey("g", ""), []byte("{"))
		if err := h.st.Commit(&b); err != nil {
			t.Fatal(err)
		}
		h.open()
		if h.Damaged() != 1 {
			t.Errorf("%d are damaged", h.Damaged())
		}
		_, err := h.tryJoin("g", "a", "0: lines")
		h.wantErr("join", err, log.ErrCorruptValue)
		if l := h.groups.List(); len(l) != 1 || l[0].State != group.Dead {
			t.Errorf("listed is %v", l)
		}
		h.wantErr("delete", h.groups.Delete(ctx, "g"), nil)
		h.join("a", "0: lines")
	})
}

// Old groups go with their offsets, as those of other kinds.
func TestGroupsExpire(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		a := h.join("a", "0: lines")
		h.wantErr("commit", h.commit("a", a.Epoch, 0, 5), nil)
		h.leave("a")
		time.Sleep(6 * 24 * time.Hour)
		if len(h.groups.List()) != 1 || h.offset(0) != 5 {
			t.Fatalf("too early: %v, %d", h.groups.List(), h.offset(0))
		}
		time.Sleep(25 * time.Hour)
		synctest.Wait()
		if len(h.groups.List()) != 0 || h.offset(0) != -1 {
			t.Errorf("too late: %v, %d", h.groups.List(), h.offset(0))
		}
	})
}

// Many members come and go at once, while the group is asked for, and deleted whenever it is empty.
func TestManyAtOnce(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				id := fmt.Sprint("m", i)
				for range 20 {
					a, err := h.tryJoin("g", id, "0: lines ~counts")
					for range 3 {
						if err == nil {
							a, _, err = h.Heartbeat(ctx, "g", Heartbeat{MemberID: id, Epoch: a.Epoch})
						}
					}
					if err == nil {
						_, _, err = h.Heartbeat(ctx, "g", Heartbeat{MemberID: id, Epoch: leaveEpoch})
					}
					if err != nil && !errors.Is(err, log.ErrUnknownMember) {
						t.Errorf("%s: %v", id, err)
						return
					}
				}
			})
		}
		wg.Go(func() {
			for range 50 {
				_, _ = h.groups.Describe("g")
				h.groups.List()
				if err := h.groups.Delete(ctx, "g"); err != nil && !errors.Is(err, log.ErrGroupNotEmpty) && !errors.Is(err, log.ErrUnknownGroup) {
					t.Errorf("delete: %v", err)
				}
			}
		})
		wg.Wait()
		_ = h.groups.Delete(ctx, "g")
		if l := h.groups.List(); len(l) != 0 {
			t.Errorf("left are %v", l)
		}
		h.reopen()
		if l := h.groups.List(); len(l) != 0 {
			t.Errorf("stored are %v", l)
		}
	})
}

// A member that is fenced has committed before its successor is told, or does not commit any more.
func TestCommitsOfWhoIsFenced(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		for range 50 {
			a := h.join("a", "0: lines")
			done := make(chan error)
			go func() { done <- h.commit("a", a.Epoch, 0, 9) }()
			h.leave("a")
			b := h.join("b", "0: lines")
			h.wantErr("commit of the successor", h.commit("b", b.Epoch, 0, 1), nil)
			if err := <-done; err != nil {
				h.wantErr("commit that comes too late", err, log.ErrUnknownMember)
			}
			if h.offset(0) != 1 {
				t.Fatalf("committed is %d", h.offset(0))
			}
			h.leave("b")
		}
	})
}

// What changes of a group is what is written.
func TestWhatIsWritten(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		var members []Answer
		for i := range 50 {
			members = append(members, h.join(fmt.Sprint("m", i), "0: lines"))
		}
		for range 3 {
			for i := range members {
				members[i] = h.beat(members[i])
			}
		}
		h.st.entries = 0
		for i := range members {
			members[i] = h.beat(members[i])
		}
		if h.st.entries != 0 {
			t.Errorf("heartbeats of nothing new write %d entries", h.st.entries)
		}
		tags, _, err := h.Heartbeat(ctx, "g", Heartbeat{MemberID: "m0", Epoch: members[0].Epoch, Endpoint: &Endpoint{"here", 80}})
		if err != nil || h.st.entries != 2 {
			t.Errorf("a member that changes writes %d entries, %v", h.st.entries, err)
		}
		h.st.entries = 0
		for i := range members {
			if i > 0 {
				members[i] = h.beat(members[i])
			}
		}
		if h.st.entries != 49 {
			t.Errorf("49 members that come to a new epoch write %d entries", h.st.entries)
		}
		h.beat(Answer{MemberID: "m0", Epoch: tags.Epoch, Tasks: members[0].Tasks})
		h.reopen()
		for i := range members {
			if i > 0 && h.beat(members[i]).Epoch != members[i].Epoch {
				t.Errorf("m%d has another epoch", i)
			}
		}
	})
}

// A group that is ahead of its store has no members any more.
func TestRefusedWrites(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		a := h.join("a", "0: lines")
		h.committer.Refuse(log.ErrReadOnly)
		_, err := h.tryJoin("g", "b", "0: lines")
		h.wantErr("join", err, log.ErrReadOnly)
		_, _, err = h.Heartbeat(ctx, "g", Heartbeat{MemberID: "a", Epoch: a.Epoch})
		h.wantErr("heartbeat", err, log.ErrUnknownMember)
	})
}

// After Close nothing is done.
func TestClosed(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		a := h.join("a", "0: lines")
		h.Close()
		_, _, err := h.Heartbeat(ctx, "g", Heartbeat{MemberID: "a", Epoch: a.Epoch})
		h.wantErr("heartbeat", err, log.ErrClosed)
		_, err = h.tryJoin("new", "a", "0: lines")
		h.wantErr("join", err, log.ErrClosed)
		if len(h.Coordinator.groups) != 1 {
			t.Errorf("there are %d groups", len(h.Coordinator.groups))
		}
	})
}
