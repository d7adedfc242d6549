package members

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/samsa-go/samsa/group"
	"github.com/samsa-go/samsa/group/config"
	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/internal/writer"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/share"
)

// records is what package share would keep.
type records struct {
	mu     sync.Mutex
	groups map[string][]string
	inside map[string][]share.Member
	fail   error
}

func (r *records) Groups() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var names []string
	for name := range r.groups {
		names = append(names, name)
	}
	return names
}

func (r *records) Inside(name string) []share.Member { return r.inside[name] }

func (r *records) Initialize(_ context.Context, k share.Key) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fail == nil {
		r.groups[k.Group] = append(r.groups[k.Group], k.TopicPartition.String())
	}
	return r.fail
}

func (r *records) DeleteGroup(_ context.Context, name string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fail == nil {
		delete(r.groups, name)
	}
	return r.fail
}

type topics map[string]int32

// The groups of another kind would ask this.
func (topics) TopicName([16]byte) (string, bool) { return "", false }
func (topics) TopicNames() []string              { return nil }
func (topics) Version() uint64                   { return 0 }

func (t topics) TopicID(name string) ([16]byte, int32, error) {
	n, ok := t[name]
	if !ok {
		return [16]byte{}, 0, log.ErrUnknownTopic
	}
	return [16]byte{1}, n, nil
}

// house is a coordinator with what is around it.
type house struct {
	*Coordinator
	t       *testing.T
	st      store.Store
	records *records
	logs    *observer.ObservedLogs
	groups  *group.Coordinator
}

// play has play with a house in a bubble.
func play(t *testing.T, play func(t *testing.T, h *house)) {
	synctest.Test(t, func(t *testing.T) {
		h := &house{t: t, st: store.OpenMemory(), records: &records{groups: make(map[string][]string)}}
		h.open()
		defer h.end()
		play(t, h)
	})
}

func (h *house) open() {
	h.t.Helper()
	core, logs := observer.New(zap.WarnLevel)
	committer := writer.NewCommitter(h.st, zap.NewNop())
	configs, err := config.Open(h.st, committer, config.Broker{}, zap.NewNop())
	if err != nil {
		h.t.Fatal(err)
	}
	all := topics{"orders": 2}
	if h.groups, err = group.Open(h.st, committer, all, group.Options{Configs: configs}); err != nil {
		h.t.Fatal(err)
	}
	h.logs = logs
	h.Coordinator, err = Open(Parts{Store: h.st, Committer: committer, Topics: all, Names: h.groups.Names(), Configs: configs, Records: h.records, Kept: new(Kept), Logger: zap.New(core)})
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) end() {
	h.Close()
	h.groups.Close()
	h.Committer.Close()
}

// beat returns what a heartbeat comes to.
func (h *house) beat(name, member string, epoch int32, topics ...string) string {
	a, interval, err := h.Heartbeat(context.Background(), name, Heartbeat{MemberID: member, Epoch: epoch, Topics: topics})
	if err != nil {
		return err.Error()
	}
	text := fmt.Sprintf("epoch %d in %s", a.Epoch, interval)
	if a.Told {
		text += ": " + names(a.Partitions)
	}
	return text
}

func (h *house) is(what, got, want string) {
	h.t.Helper()
	if got != want {
		h.t.Errorf("%s: got %s, want %s", what, got, want)
	}
}

func TestLifeOfAGroup(t *testing.T) {
	play(t, func(t *testing.T, h *house) {
		var mu sync.Mutex // guards told
		var told []string
		unwatch := h.WatchGone(func(name, member string, left bool) {
			mu.Lock()
			defer mu.Unlock()
			if told = append(told, name+" "+member); left {
				told[len(told)-1] += " left"
			}
		})
		gone := func() string {
			mu.Lock()
			defer mu.Unlock()
			return strings.Join(told, ",")
		}
		h.is("join", h.beat("mailer", "a", 0, "orders"), "epoch 1 in 5s: orders/0 orders/1")
		h.is("begun", strings.Join(h.records.groups["mailer"], " "), "orders/0 orders/1")
		h.is("beat", h.beat("mailer", "a", 1), "epoch 1 in 5s")
		h.is("begun once", fmt.Sprint(len(h.records.groups["mailer"])), "2")
		if err := h.groups.Delete(t.Context(), "mailer"); !errors.Is(err, log.ErrGroupNotEmpty) {
			t.Errorf("delete: %v", err)
		}
		time.Sleep(44 * time.Second)
		synctest.Wait()
		h.is("before the session is over", gone(), "")
		time.Sleep(2 * time.Second)
		synctest.Wait()
		h.is("after it", gone(), "mailer a")
		h.is("too late", h.beat("mailer", "a", 1), `group mailer: unknown member: "a"`)
		h.is("again", h.beat("mailer", "a", 0, "orders"), "epoch 3 in 5s: orders/0 orders/1")
		h.is("leave", h.beat("mailer", "a", Leave), "epoch -1 in 5s")
		h.is("gone", gone(), "mailer a,mailer a left")
		unwatch()

		h.end()
		h.open()
		d, err := h.groups.Describe("mailer")
		if err != nil || d.Kind != group.Share || d.State != group.Empty || d.Generation != 4 {
			t.Errorf("got %+v, %v", d, err)
		}
		if err := h.groups.Delete(t.Context(), "mailer"); err != nil {
			t.Fatal(err)
		}
		if _, err := h.groups.Describe("mailer"); !errors.Is(err, log.ErrUnknownGroup) || len(h.groups.List()) > 0 || len(h.records.Groups()) > 0 {
			t.Errorf("after the deletion: %v", err)
		}
		h.is("unknown", h.beat("mailer", "a", 4), "group mailer: unknown group")
		h.is("another one", h.beat("mailer", "a", 0, "orders"), "epoch 1 in 5s: orders/0 orders/1")
	})
}

// A name is of one kind, and a heartbeat that is refused takes none.
func TestNames(t *testing.T) {
	play(t, func(t *testing.T, h *house) {
		h.records.groups["queue"] = []string{"orders/0"}
		if err := h.Names.Claim("queue", group.Share); err != nil { // as package share does
			t.Fatal(err)
		}
		if err := h.Names.Claim("classic", group.Classic); err != nil {
			t.Fatal(err)
		}
		if err := h.groups.AlterOffsets(t.Context(), "classic", map[log.TopicPartition]group.Offset{{Topic: "orders"}: {Offset: 1}}); err != nil {
			t.Fatal(err)
		}
		_, _, err := h.Heartbeat(t.Context(), "classic", Heartbeat{MemberID: "a", Topics: []string{"orders"}})
		if !errors.Is(err, log.ErrGroupKind) {
			t.Errorf("a classic group: %v", err)
		}
		if _, _, err = h.Heartbeat(t.Context(), "classic", Heartbeat{MemberID: "a", Epoch: 1}); !errors.Is(err, log.ErrGroupKind) {
			t.Errorf("a classic group: %v", err)
		}
		if _, err = h.Describe("classic"); !errors.Is(err, log.ErrGroupKind) {
			t.Errorf("a classic group: %v", err)
		}
		h.is("no topics", h.beat("none", "a", 0), "group none: invalid heartbeat: who joins says to which topics it subscribes")
		if _, ok := h.Names.Of("none"); ok {
			t.Error("a heartbeat that was refused took a name")
		}
		if _, _, err = h.Heartbeat(t.Context(), "", Heartbeat{}); !errors.Is(err, log.ErrInvalidGroup) {
			t.Errorf("no name: %v", err)
		}
		var listed []string
		for _, l := range h.groups.List() {
			listed = append(listed, fmt.Sprint(l.Name, " ", l.Kind, " ", l.State))
		}
		slices.Sort(listed)
		h.is("list", strings.Join(listed, ", "), "classic classic Empty, queue share Empty")
		h.records.inside = map[string][]share.Member{"queue": {{ID: "go", ClientID: "worker", Topics: []string{"orders"}}}}
		if info, err := h.Describe("queue"); err != nil || len(info.Members) != 1 || names(info.Members[0].Partitions) != "orders/0 orders/1" || !h.HasMembers("queue") {
			t.Errorf("got %+v, %v", info, err)
		}
		h.is("a queue's group", h.beat("queue", "a", 1), `group queue: unknown member: "a"`)
		h.is("a queue's group", h.beat("queue", "a", 0, "orders"), "epoch 1 in 5s: orders/0 orders/1")
		if err := h.groups.Delete(t.Context(), "classic"); err != nil {
			t.Error(err)
		}
	})
}

// What is damaged begins anew, and what cannot begin in a partition is tried again.
func TestWhatGoesWrong(t *testing.T) {
	play(t, func(t *testing.T, h *house) {
		h.records.fail = log.ErrStorage
		h.is("join", h.beat("mailer", "a", 0, "orders"), "epoch 1 in 5s: orders/0 orders/1")
		if h.logs.Len() != 2 {
			t.Errorf("%d lines", h.logs.Len())
		}
		h.is("leave", h.beat("mailer", "b", Leave), `group mailer: unknown member: "b"`)
		h.records.fail = nil
		h.is("beat", h.beat("mailer", "a", 1), "epoch 1 in 5s")
		h.is("begun", strings.Join(h.records.groups["mailer"], " "), "orders/0 orders/1")
		h.beat("mailer", "a", Leave)
		h.records.fail = log.ErrStorage
		if err := h.groups.Delete(t.Context(), "mailer"); !errors.Is(err, log.ErrStorage) {
			t.Errorf("delete: %v", err)
		}
		h.is("the group stays", h.beat("mailer", "a", 0, "orders"), "epoch 3 in 5s: orders/0 orders/1")
		h.records.fail = nil
		h.end()
		var b store.Batch
		b.Set(store.MembersKey("mailer"), []byte("{"))
		if err := h.st.Commit(&b); err != nil {
			t.Fatal(err)
		}
		h.open()
		h.is("damaged", h.beat("mailer", "a", 0, "orders"), "epoch 1 in 5s: orders/0 orders/1")
		h.Close()
		if _, _, err := h.Heartbeat(t.Context(), "mailer", Heartbeat{MemberID: "a", Epoch: 1}); !errors.Is(err, log.ErrClosed) {
			t.Errorf("after the end: %v", err)
		}
	})
}

// What could not be stored is no member's luck: each hears of it, until it is.
func TestWhatCannotBeStored(t *testing.T) {
	play(t, func(t *testing.T, h *house) {
		h.Committer.Refuse(log.ErrReadOnly)
		h.is("join", h.beat("mailer", "a", 0, "orders"), "group mailer: "+log.ErrReadOnly.Error())
		h.is("join once more", h.beat("mailer", "a", 0, "orders"), "group mailer: "+log.ErrReadOnly.Error())
		h.is("beat", h.beat("mailer", "a", 1), "group mailer: "+log.ErrReadOnly.Error())
		h.Committer.Refuse(nil)
		h.is("beat", h.beat("mailer", "a", 1), "epoch 1 in 5s")
		if v, err := h.st.Get(store.MembersKey("mailer")); err != nil || !strings.Contains(string(v), `"epoch":1`) {
			t.Errorf("stored is %s, %v", v, err)
		}
	})
}

func FuzzDecodeSnapshot(f *testing.F) {
	f.Add(Snapshot{7}.Encode())
	f.Add([]byte(`{"version":2}`))
	f.Fuzz(func(t *testing.T, v []byte) {
		s, err := DecodeSnapshot(v)
		if err != nil {
			if !errors.Is(err, log.ErrCorruptValue) {
				t.Errorf("%q: %v", v, err)
			}
			return
		}
		if again, err := DecodeSnapshot(s.Encode()); err != nil || again != s {
			t.Errorf("%+v became %+v, %v", s, again, err)
		}
	})
}
