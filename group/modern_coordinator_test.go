package group

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/samsa-go/samsa/group/epochs"
	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/log"
)

// modernMate is a member of the consumer protocol of group g, which subscribes to orders.
type modernMate struct {
	o     *office
	id    string
	epoch int32
	has   []PartitionID
}

// beat is a heartbeat in which the member says what it has, and does as it is told.
func (m *modernMate) beat() MemberAnswer {
	m.o.t.Helper()
	h := MemberHeartbeat{MemberID: m.id, Epoch: m.epoch, ClientID: m.id, RebalanceTimeout: -1, Owned: epochs.SetOf(m.has...)}
	if m.epoch == 0 {
		h.RebalanceTimeout, h.Topics, h.Owned = time.Minute, []string{"orders"}, epochs.SetOf[PartitionID]()
	}
	a := m.o.HeartbeatModern(context.Background(), "g", h)
	if a.Err != nil {
		return a
	}
	if m.epoch = a.Epoch; a.Told {
		m.has = a.Assigned
	}
	return a
}

func (m *modernMate) want(epoch int32, partitions int) {
	m.o.t.Helper()
	if m.epoch != epoch || len(m.has) != partitions {
		m.o.t.Errorf("%s is in %d with %d partitions, want %d with %d", m.id, m.epoch, len(m.has), epoch, partitions)
	}
}

// Members and what they have outlive the broker; a restart is nothing to them.
func TestModernOutlivesTheBroker(t *testing.T) {
	inOffice(t, Options{}, func(t *testing.T, o *office) {
		a, b := &modernMate{o: o, id: "a"}, &modernMate{o: o, id: "b"}
		a.beat()
		a.want(2, 100)
		time.Sleep(2 * time.Second)
		b.beat()
		a.beat()
		a.want(2, 50)
		o.wantState("Reconciling 3 2")
		o.Close()
		defer o.open(Options{})()
		o.wantState("Reconciling 3 2")
		b.beat()
		b.want(3, 0) // a has not said that it has given up
		a.beat()
		b.beat()
		a.want(3, 50)
		b.want(3, 50)
		o.wantState("Stable 3 2")
		o.wantError("an epoch of the past", o.commit("a", 2, 5), nil) // of what it has had since
		o.wantError("of the future", o.commit("a", 4, 5), log.ErrStaleMemberEpoch)
		o.wantError("somebody", o.commit("", -1, 5), log.ErrUnknownMember)
		o.wantOffset(5)
		if err := o.CheckFetch("g", "a", 2); err == nil {
			t.Error("fetched in an epoch of the past")
		}
		o.wantError("delete", o.Delete(context.Background(), "g"), log.ErrGroupNotEmpty)
		a.epoch = LeaveEpoch
		a.beat()
		time.Sleep(time.Minute)
		o.wantState("Empty 5 0")
		if l := o.List(); len(l) != 1 || l[0].Kind != Consumer || l[0].ProtocolType != consumerType {
			t.Errorf("listed are %v", l)
		}
		o.wantError("delete", o.Delete(context.Background(), "g"), nil)
		if kind, ok := o.Names().Of("g"); ok {
			t.Errorf("its name is that of a %s group", kind)
		}
	})
}

// A live classic group becomes one of the consumer protocol, and back, with its members; a commit is possible all the time.
func TestLiveUpgradeAndDowngrade(t *testing.T) {
	for name, limits := range map[string]store.Limits{"one commit": {}, "several": {Entries: 4, Bytes: 1 << 20}} {
		t.Run(name, func(t *testing.T) { inSmallOffice(t, limits, liveUpgradeAndDowngrade) })
	}
}

func liveUpgradeAndDowngrade(t *testing.T, o *office) {
	classic := func(id string, generation int32, owned int) (JoinResponse, Assignment) {
		req := joinRequest(id, id)
		if generation < 0 {
			req = joinRequest(id, "")
		}
		j := o.Join(context.Background(), "g", req)
		sync := SyncRequest{MemberID: j.MemberID, Generation: j.Generation}
		if j.Leader == j.MemberID {
			sync.Assignments = map[string][]byte{}
			all := Assignment{}
			for i := range int32(100) {
				all["orders"] = append(all["orders"], i)
			}
			sync.Assignments[j.MemberID] = EncodeAssignment(all)
		}
		s := o.Sync(context.Background(), "g", sync)
		a, err := DecodeAssignment(s.Assignment)
		if j.Err != nil || s.Err != nil || err != nil || len(a["orders"]) != owned {
			t.Fatalf("%s: join %v, sync %v, %d partitions, want %d", id, j.Err, s.Err, len(a["orders"]), owned)
		}
		return j, a
	}
	old, _ := classic("old", -1, 100)
	o.wantError("commit before", o.commit("old", old.Generation, 1), nil)
	next := &modernMate{o: o, id: "next"}
	next.beat()
	next.want(2, 0)
	if l := o.List(); l[0].Kind != Consumer {
		t.Fatalf("listed are %v", l)
	}
	o.wantError("commit while it changes", o.commit("old", old.Generation, 2), nil)
	o.wantError("heartbeat", o.Heartbeat("g", "old", "", old.Generation), log.ErrRebalanceInProgress)
	old, _ = classic("old", old.Generation, 50)
	next.beat()
	next.want(2, 50)
	o.wantState("Stable 2 2")
	d, err := o.DescribeModern("g")
	if err != nil || len(d.Members) != 2 || !d.Members[0].Classic || d.Members[1].Classic || len(d.Members[0].Target) != 50 {
		t.Errorf("described as %+v, %v", d, err)
	}
	next.epoch = LeaveEpoch
	next.beat()
	if l := o.List(); l[0].Kind != Classic {
		t.Fatalf("listed are %v", l)
	}
	o.wantError("commit while it changes back", o.commit("old", old.Generation, 3), nil)
	o.wantError("heartbeat", o.Heartbeat("g", "old", "", old.Generation), log.ErrRebalanceInProgress)
	classic("old", old.Generation, 100)
	o.wantState("Stable 3 1")
	o.wantOffset(3)
	if _, err := o.DescribeModern("g"); err == nil {
		t.Error("a classic group is described as one of the consumer protocol")
	}
	next.epoch = 7
	o.wantError("heartbeat to a classic group", next.beat().Err, log.ErrGroupKind)
}

// Who joins by the classic protocol finds the group's configs as they are, not as they were when one of the consumer protocol was heard last.
func TestClassicJoinGoesByConfigs(t *testing.T) {
	inOffice(t, Options{}, func(t *testing.T, o *office) {
		interval := func(ms string) {
			t.Helper()
			o.wantError("configs", o.configs.Change(t.Context(), "g", false, func(own map[string]string) error {
				own["consumer.assignment.interval.ms"] = ms
				return nil
			}), nil)
		}
		interval("15000")
		a := &modernMate{o: o, id: "a"}
		a.beat()
		interval("0")
		if j := o.Join(t.Context(), "g", joinRequest("c", "")); j.Err != nil || j.Generation != 3 {
			t.Errorf("it is in %d, %v; want a target of epoch 3 at once", j.Generation, j.Err)
		}
	})
}

// A group that nobody is in any more becomes the other one at once.
func TestEmptyGroupsChange(t *testing.T) {
	inOffice(t, Options{}, func(t *testing.T, o *office) {
		a := &modernMate{o: o, id: "a", epoch: 3}
		o.wantError("no group", a.beat().Err, log.ErrUnknownGroup)
		o.mustEnter("c", "")
		o.wantError("leave", o.Leave("g", []LeaveMember{{MemberID: "c"}})[0], nil)
		a.epoch = 0
		a.beat()
		a.want(2, 100)
		a.epoch = LeaveEpoch
		a.beat()
		o.wantState("Empty 3 0")
		o.mustEnter("c", "")
		o.wantState("Stable 1 1")
		defer o.open(Options{})()
	})
}

// What cannot be stored is told to nobody: the members join anew.
func TestModernIsNotAheadOfTheStore(t *testing.T) {
	inOffice(t, Options{}, func(t *testing.T, o *office) {
		a := &modernMate{o: o, id: "a"}
		a.beat()
		o.desk.set(func(d *desk) { d.full = true })
		b := &modernMate{o: o, id: "b"}
		if err := b.beat().Err; err == nil {
			t.Error("a member joined, and the store was full")
		}
		o.wantError("heartbeat", a.beat().Err, log.ErrUnknownMember)
		o.desk.set(func(d *desk) { d.full = false })
		a.epoch = 0
		a.beat()
		if len(a.has) != 100 {
			t.Errorf("it has %d partitions", len(a.has))
		}
		o.Close()
		defer o.open(Options{})()
		a.beat()
		if d, err := o.DescribeModern("g"); err != nil || len(d.Members) != 1 {
			t.Errorf("there are %+v, %v", d, err)
		}
	})
}

// Many at once: each partition is with one in the end.
func TestModernTogether(t *testing.T) {
	inOffice(t, Options{}, func(t *testing.T, o *office) {
		mates := make([]*modernMate, 7)
		var wg sync.WaitGroup
		for i := range mates {
			mates[i] = &modernMate{o: o, id: fmt.Sprint("m", i)}
			wg.Go(func() {
				for range 10 {
					if a := mates[i].beat(); a.Err != nil {
						t.Error(a.Err)
					}
					time.Sleep(5 * time.Second)
				}
			})
		}
		wg.Wait()
		owner := make(map[PartitionID]string)
		for _, m := range mates {
			if len(m.has) < 14 || len(m.has) > 15 {
				t.Errorf("%s has %d partitions", m.id, len(m.has))
			}
			for _, p := range m.has {
				if owner[p] != "" {
					t.Errorf("%s and %s have %v", owner[p], m.id, p)
				}
				owner[p] = m.id
			}
		}
		if len(owner) != 100 {
			t.Errorf("%d partitions are with somebody", len(owner))
		}
	})
}

// What is damaged is told, and can be deleted.
func TestDamagedModern(t *testing.T) {
	for _, v := range []string{
		"{", `{"version":3,"kind":"consumer"}`, `{"version":2,"kind":"share"}`, `{"version":2,"kind":"consumer","epoch":1,"targetEpoch":2,"shape":"0"}`,
		`{"version":2,"kind":"consumer","epoch":1,"targetEpoch":1,"shape":"x"}`,
	} {
		if _, err := RestoreModern("g", DefaultModernRules(), []byte(v)); err == nil || !strings.Contains(err.Error(), "group snapshot") {
			t.Errorf("%s: %v", v, err)
		}
	}
	fine := `{"version":1,"rebalanceMs":5,"epoch":1,"state":0,"assigned":{"%032x":{"0":1}}}`
	for what, v := range map[string]string{
		"text":           "{",
		"a version":      `{"version":2}`,
		"an epoch":       `{"version":1,"epoch":8}`,
		"a topic":        `{"version":1,"assigned":{"zz":{"0":1}}}`,
		"a partition":    `{"version":1,"assigned":{"` + fmt.Sprintf("%032x", 1) + `":{"-1":1}}}`,
		"a target":       `{"version":1,"target":{"1":[1]}}`,
		"what a has":     fmt.Sprintf(fine, 7),
		"a state":        `{"version":1,"state":7}`,
		"a time":         `{"version":1,"rebalanceMs":-1}`,
		"no protocols":   `{"version":1,"classic":{"sessionMs":5}}`,
		"a's instance":   `{"version":1,"instanceId":"A"}`,
		"the same twice": `{"version":1}`,
	} {
		g, err := RestoreModern("g", DefaultModernRules(), []byte(`{"version":2,"kind":"consumer","epoch":3,"targetEpoch":2,"shape":"ff"}`))
		if err != nil {
			t.Fatal(err)
		}
		now := time.Now()
		if err := g.RestoreMember(now, "a", []byte(strings.Replace(fmt.Sprintf(fine, 7), "{", `{"instanceId":"A",`, 1))); err != nil {
			t.Fatal(err)
		}
		id := "b"
		if what == "the same twice" {
			id = "a"
		}
		if err := g.RestoreMember(now, id, []byte(v)); err == nil || !strings.Contains(err.Error(), "group snapshot: member "+id) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// What was not stored of a change of protocol, and of members, is made good by what is stored next.
func TestStoreFailsWhileAGroupChanges(t *testing.T) {
	inOffice(t, Options{}, func(t *testing.T, o *office) {
		full := func(is bool) { o.desk.set(func(d *desk) { d.full = is }) }
		a := &modernMate{o: o, id: "a"}
		a.beat()
		if r := o.Join(context.Background(), "g", joinRequest("c", "c")); r.Err != nil {
			t.Fatal(r.Err)
		}
		full(true)
		a.epoch = LeaveEpoch
		if err := a.beat().Err; err == nil { // it becomes a classic group, in vain
			t.Error("a member has left, and the store was full")
		}
		o.wantError("heartbeat", o.Heartbeat("g", "c", "", 3), log.ErrUnknownMember)
		full(false)
		o.mustEnter("d", "")
		o.Close()
		done := o.open(Options{})
		if n := o.Damaged(); n > 0 {
			t.Errorf("%d values are damaged", n)
		}
		if l := o.List(); len(l) != 1 || l[0].Kind != Classic {
			t.Errorf("listed are %v", l)
		}
		full(true)
		a.epoch = 0
		if err := a.beat().Err; err == nil { // and the other way
			t.Error("a member has joined, and the store was full")
		}
		full(false)
		a.epoch = 0
		a.beat()
		o.Close()
		defer o.open(Options{})()
		done()
		if d, err := o.DescribeModern("g"); o.Damaged() > 0 || err != nil || len(d.Members) != 1 {
			t.Errorf("%d values are damaged, the group is %+v, %v", o.Damaged(), d, err)
		}
	})
}

// A member in the process that has ended is out as soon as the broker is there again; others have their sessions.
func TestLocalMembersEndWithTheBroker(t *testing.T) {
	inOffice(t, Options{}, func(t *testing.T, o *office) {
		a := &modernMate{o: o, id: "a"}
		a.beat()
		time.Sleep(2 * time.Second)
		local := joinRequest("local", "local")
		local.Local = true
		if r := o.Join(context.Background(), "g", local); r.Err != nil {
			t.Fatal(r.Err)
		}
		o.wantState("Reconciling 3 2")
		o.Close()
		defer o.open(Options{})()
		time.Sleep(time.Millisecond)
		if d, err := o.DescribeModern("g"); err != nil || len(d.Members) != 1 || d.Members[0].ID != "a" {
			t.Errorf("there are %+v, %v", d, err)
		}
		a.beat()
		a.want(4, 100)
	})
}
