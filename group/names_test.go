package group

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/samsa-go/samsa/log"
)

// others is a Keeper of groups that are either empty or not.
type others struct {
	kind  Kind
	names *Names

	mu     sync.Mutex
	groups map[string]bool // whether it has members
}

func (o *others) List() []Listing {
	o.mu.Lock()
	defer o.mu.Unlock()
	var all []Listing
	for name := range o.groups {
		all = append(all, Listing{Name: name, Kind: o.kind, State: Stable})
	}
	return all
}

func (o *others) Describe(name string) (Description, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, ok := o.groups[name]; !ok {
		return Description{}, fmt.Errorf("group %s: %w", name, log.ErrUnknownGroup)
	}
	return Description{Kind: o.kind}, nil
}

func (o *others) Delete(_ context.Context, name string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.groups[name] {
		return log.ErrGroupNotEmpty
	}
	delete(o.groups, name)
	o.names.Release(name, o.kind)
	return nil
}

func (o *others) Yield(name string, to Kind) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, ok := o.groups[name]; o.groups[name] || ok && (to == Share || o.kind == Share) {
		return false
	}
	delete(o.groups, name)
	return true
}

// make makes a group as Claim asks.
func (o *others) make(name string, members bool) error {
	for {
		if err := o.names.Claim(name, o.kind); err != nil {
			return err
		}
		o.mu.Lock()
		kind, ok := o.names.Of(name)
		if ok = ok && kind == o.kind; ok {
			o.groups[name] = members
		}
		o.mu.Unlock()
		if ok {
			return nil
		}
	}
}

// streams is others with offsets.
type streams struct{ *others }

func (s streams) CheckCommit(_ time.Time, name string, req CommitRequest, _ bool) (entered func(), err error) {
	if req.Generation != 7 {
		return nil, fmt.Errorf("group %s: %w", name, log.ErrIllegalGeneration)
	}
	s.mu.Lock()
	return s.mu.Unlock, nil
}

func (s streams) CheckFetch(string, string, int32) error { return nil }

func (s streams) Subscribed(string) (func(string) bool, error) {
	return func(topic string) bool { return topic == "orders" }, nil
}

func (s streams) EmptySince(name string) (time.Time, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Now(), !s.groups[name]
}

func keepOthers(c *Coordinator) (share *others, st streams) {
	share = &others{kind: Share, names: c.Names(), groups: make(map[string]bool)}
	st = streams{&others{kind: Streams, names: c.Names(), groups: make(map[string]bool)}}
	c.Names().Keep(share, Share)
	c.Names().Keep(st, Streams)
	return share, st
}

// A name has one kind at a time, and all groups are behind one door.
func TestNamesHaveOneKind(t *testing.T) {
	inOffice(t, Options{}, func(t *testing.T, o *office) {
		share, st := keepOthers(o.Coordinator)
		ctx := context.Background()
		o.mustEnter("a", "")
		for name, err := range map[string]error{
			"a share group for one with members":   share.make("g", true),
			"a streams group for one with members": st.make("g", true),
		} {
			o.wantError(name, err, log.ErrGroupKind)
		}
		o.wantError("a share group", share.make("shared", false), nil)
		o.wantError("a streams group", st.make("tasks", true), nil)
		kinds := ""
		for _, l := range o.List() {
			kinds += fmt.Sprint(l.Name, " ", l.Kind, " ", l.State, ", ")
		}
		if want := "g classic Stable, shared share Stable, tasks streams Stable, "; kinds != want {
			t.Errorf("listed are %s, want %s", kinds, want)
		}
		if d, err := o.Describe("shared"); d.Kind != Share || err != nil {
			t.Errorf("described as %v, %v", d.Kind, err)
		}
		for _, name := range []string{"shared", "tasks"} {
			o.wantError("join "+name, o.Join(ctx, name, joinRequest("b", "")).Err, log.ErrGroupKind)
			o.wantError("join again "+name, o.Join(ctx, name, joinRequest("b", "b")).Err, log.ErrGroupKind)
			o.wantError("sync "+name, o.Sync(ctx, name, SyncRequest{MemberID: "b"}).Err, log.ErrUnknownMember)
			o.wantError("heartbeat "+name, o.Heartbeat(name, "b", "", 1), log.ErrUnknownMember)
			o.wantError("leave "+name, o.Leave(name, []LeaveMember{{MemberID: "b"}})[0], log.ErrUnknownMember)
			o.wantError("watch "+name, o.Watch(name, nil), log.ErrGroupKind)
		}
		o.wantError("delete with members", o.Delete(ctx, "tasks"), log.ErrGroupNotEmpty)
		o.wantError("delete", o.Delete(ctx, "shared"), nil)
		o.wantError("the name is free", o.Join(ctx, "shared", joinRequest("b", "")).Err, nil)
	})
}

// A snapshot of somebody's may have anything for a name.
func TestNamesTakeAnyName(t *testing.T) {
	var n Names
	if err := n.Claim("", Classic); err != nil {
		t.Error(err)
	}
	if kind, ok := n.Of(""); ok && kind != Classic {
		t.Errorf("it is a %v group", kind)
	}
}

// What is empty yields, as far as Kafka lets it, and committed offsets stay with the name.
func TestNamesYield(t *testing.T) {
	inOffice(t, Options{}, func(t *testing.T, o *office) {
		share, st := keepOthers(o.Coordinator)
		offset := func(generation int32, offset int64) error {
			return o.commit("", generation, offset)
		}
		o.wantError("commit", offset(-1, 5), nil)
		o.wantError("a share group for committed offsets", share.make("g", true), log.ErrGroupKind)
		o.wantError("a streams group", st.make("g", true), nil)
		o.wantOffset(5)
		o.wantError("commit of a streams group", offset(7, 6), nil)
		o.wantError("its epoch is wrong", offset(3, 7), log.ErrIllegalGeneration)
		o.wantOffset(6)
		kept, err := o.DeleteOffsets(context.Background(), "g", orders(0))
		if err != nil || len(kept) != 1 {
			t.Errorf("offsets of a subscribed topic: kept %v, %v", kept, err)
		}
		o.wantError("alter offsets", o.AlterOffsets(context.Background(), "g", map[log.TopicPartition]Offset{orders(0): {}}), log.ErrGroupNotEmpty)
		st.groups["g"] = false
		o.wantError("join when it is empty", o.Join(context.Background(), "g", joinRequest("a", "")).Err, nil)
		o.wantOffset(6)
		if l := o.List(); len(l) != 1 || l[0].Kind != Classic {
			t.Errorf("listed are %v", l)
		}

		o.wantError("a streams group", st.make("tasks", false), nil)
		o.wantError("commit of it", o.Commit(context.Background(), "tasks", CommitRequest{Generation: 7, Offsets: map[log.TopicPartition]Offset{orders(0): {}}}), nil)
		o.wantError("delete it", o.Delete(context.Background(), "tasks"), nil)
		if found, err := o.Fetch("tasks"); len(found) > 0 || err != nil {
			t.Errorf("of a group that is deleted there are %v, %v", found, err)
		}

		o.wantError("a share group", share.make("shared", true), nil)
		err = o.Commit(context.Background(), "shared", CommitRequest{Generation: -1, Offsets: map[log.TopicPartition]Offset{orders(0): {}}})
		o.wantError("commit for a share group", err, log.ErrGroupKind)
	})
}

// Of all who make a group of one name at once, those of one kind do.
func TestNamesRace(t *testing.T) {
	inOffice(t, Options{}, func(t *testing.T, o *office) {
		share, st := keepOthers(o.Coordinator)
		for i := range 100 {
			name := fmt.Sprint("g", i)
			var wg sync.WaitGroup
			errs := make([]error, 3)
			wg.Go(func() { errs[0] = share.make(name, true) })
			wg.Go(func() { errs[1] = st.make(name, true) })
			wg.Go(func() { errs[2] = o.Join(context.Background(), name, joinRequest("a", "")).Err })
			wg.Wait()
			won := 0
			for _, err := range errs {
				if err == nil {
					won++
				} else if !errors.Is(err, log.ErrGroupKind) {
					t.Errorf("%s: %v", name, err)
				}
			}
			if won != 1 || len(o.List()) != i+1 {
				t.Fatalf("%s: %d have it, %v", name, won, errs)
			}
		}
	})
}
