package group

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/internal/writer"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/partition"
)

// office is a coordinator over a store in memory that can be told to misbehave.
type office struct {
	*Coordinator
	t    *testing.T
	desk *desk
}

// desk is a store. Its fields are set while nothing is under way.
type desk struct {
	store.Store
	mu     sync.Mutex
	full   bool          // no room, not even for essential writes
	hold   chan struct{} // commits wait until it is closed; nil for none
	fsync  chan struct{} // and so does Sync
	broken bool          // commits fail
	limits store.Limits  // if not zero
}

func (d *desk) set(change func(*desk)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change(d)
}

func (d *desk) Room(int, bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.full {
		return fmt.Errorf("%w: 3 bytes free", store.ErrDiskFull)
	}
	return nil
}

var errBroken = errors.New("the desk is broken")

func (d *desk) Commit(b *store.Batch) error {
	d.mu.Lock()
	hold, broken := d.hold, d.broken
	d.mu.Unlock()
	if hold != nil {
		<-hold
	}
	if broken {
		return errBroken
	}
	return d.Store.Commit(b)
}

func (d *desk) Sync() error {
	d.mu.Lock()
	hold := d.fsync
	d.mu.Unlock()
	if hold != nil {
		<-hold
	}
	return d.Store.Sync()
}

func (d *desk) Limits() store.Limits {
	if d.limits.Entries > 0 {
		return d.limits
	}
	return d.Store.Limits()
}

// catalogue is the topics "orders", with 100 partitions, and what else it has.
type catalogue map[string]byte

func (c catalogue) TopicID(name string) (id [16]byte, partitions int32, err error) {
	id[0] = c[name]
	if id[0] == 0 {
		return id, 0, fmt.Errorf("%w: %q", log.ErrUnknownTopic, name)
	}
	return id, 100, nil
}

func (c catalogue) TopicName(id [16]byte) (string, bool) {
	for name, b := range c {
		if id == [16]byte{b} {
			return name, true
		}
	}
	return "", false
}

func (c catalogue) TopicNames() []string { return slices.Sorted(maps.Keys(c)) }

func (c catalogue) Version() uint64 { return uint64(len(c)) }

// inOffice runs a test in a bubble, with a coordinator that is closed at its end.
func inOffice(t *testing.T, opts Options, fn func(t *testing.T, o *office)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		o := &office{t: t, desk: &desk{Store: store.OpenMemory()}}
		done := o.open(opts)
		fn(t, o)
		done()
	})
}

// open opens a coordinator over the desk; the function that it returns closes it.
func (o *office) open(opts Options) (done func()) {
	o.t.Helper()
	committer := writer.NewCommitter(o.desk, zap.NewNop())
	c, err := Open(o.desk, committer, catalogue{"orders": 1}, opts)
	if err != nil {
		o.t.Fatal(err)
	}
	o.Coordinator = c
	return func() {
		c.Close()
		committer.Close()
	}
}

// joinRequest is that of a member of id, or of a new one called name.
func joinRequest(name, id string) JoinRequest {
	return JoinRequest{
		MemberID: id, NewMemberID: name, ClientID: name,
		SessionTimeout: 10 * time.Second, RebalanceTimeout: time.Minute, ProtocolType: consumerType,
		Protocols: []Protocol{{"range", EncodeSubscription(Subscription{Topics: []string{"orders"}})}},
	}
}

// enter joins group g and syncs; if the member leads it assigns everybody their own id.
func (o *office) enter(ctx context.Context, name, id string) (JoinResponse, SyncResponse) {
	j := o.Join(ctx, "g", joinRequest(name, id))
	if j.Err != nil {
		return j, SyncResponse{}
	}
	req := SyncRequest{MemberID: j.MemberID, Generation: j.Generation}
	if j.Leader == j.MemberID {
		req.Assignments = make(map[string][]byte)
		for _, m := range j.Members {
			req.Assignments[m.ID] = []byte(m.ID)
		}
	}
	return j, o.Sync(ctx, "g", req)
}

func (o *office) mustEnter(name, id string) JoinResponse {
	o.t.Helper()
	j, s := o.enter(context.Background(), name, id)
	if j.Err != nil || s.Err != nil || string(s.Assignment) != j.MemberID {
		o.t.Fatalf("%s: join %v, sync %v, assigned %q", name, j.Err, s.Err, s.Assignment)
	}
	return j
}

func (o *office) wantError(what string, err, want error) {
	o.t.Helper()
	if !errors.Is(err, want) || want == nil && err != nil {
		o.t.Errorf("%s: %v, want %v", what, err, want)
	}
}

func (o *office) state() string {
	o.t.Helper()
	d, err := o.Describe("g")
	if err != nil {
		return short(err)
	}
	return fmt.Sprintf("%s %d %d", d.State, d.Generation, len(d.Members))
}

func (o *office) wantState(want string) {
	o.t.Helper()
	if got := o.state(); got != want {
		o.t.Errorf("group is %s, want %s", got, want)
	}
}

func orders(p int32) log.TopicPartition { return log.TopicPartition{Topic: "orders", Partition: p} }

// commit commits an offset of orders/0, by nobody if id is "".
func (o *office) commit(id string, generation int32, offset int64) error {
	return o.Commit(context.Background(), "g", CommitRequest{
		MemberID: id, Generation: generation, Offsets: map[log.TopicPartition]Offset{orders(0): {Offset: offset}},
	})
}

func (o *office) wantOffset(want int64) {
	o.t.Helper()
	found, err := o.Fetch("g", orders(0))
	got, ok := found[orders(0)]
	if !ok {
		got.Offset = -1
	}
	if err != nil || got.Offset != want {
		o.t.Errorf("committed offset %d, %v, want %d", got.Offset, err, want)
	}
}

func TestCoordinatorMembersComeAndGo(t *testing.T) {
	inOffice(t, Options{Rules: Rules{InitialDelay: time.Second}}, func(t *testing.T, o *office) {
		w := partition.NewWaiter()
		if err := o.Watch("g", w); err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for _, name := range []string{"a", "b", "c"} {
			wg.Go(func() { o.mustEnter(name, "") })
		}
		wg.Wait()
		o.wantState("Stable 1 3")
		o.wantError("heartbeat", o.Heartbeat("g", "a", "", 1), nil)
		o.wantError("heartbeat of the next generation", o.Heartbeat("g", "a", "", 2), log.ErrIllegalGeneration)
		<-w.C()
		errs := o.Leave("g", []LeaveMember{{MemberID: "b"}, {MemberID: "x"}})
		o.wantError("leave", errs[0], nil)
		o.wantError("leave of a stranger", errs[1], log.ErrUnknownMember)
		<-w.C() // woken
		o.wantError("heartbeat", o.Heartbeat("g", "a", "", 1), log.ErrRebalanceInProgress)
		o.wantError("commit before it rejoins", o.commit("a", 1, 5), nil)
		wg.Go(func() { o.mustEnter("", "a") })
		wg.Go(func() { o.mustEnter("", "c") })
		wg.Wait()
		o.wantState("Stable 2 2")
		o.wantError("commit in the last generation", o.commit("a", 1, 9), log.ErrIllegalGeneration)
		o.wantError("commit of who has left", o.commit("b", 2, 9), log.ErrUnknownMember)
		o.wantOffset(5)
		time.Sleep(10 * time.Second) // of silence
		synctest.Wait()
		o.wantState("Empty 3 0")
		o.Unwatch("g", w)
	})
}

func TestCoordinatorUnknownGroup(t *testing.T) {
	inOffice(t, Options{}, func(t *testing.T, o *office) {
		o.wantError("heartbeat", o.Heartbeat("g", "a", "", 1), log.ErrUnknownMember)
		o.wantError("sync", o.Sync(t.Context(), "g", SyncRequest{MemberID: "a"}).Err, log.ErrUnknownMember)
		o.wantError("leave", o.Leave("g", make([]LeaveMember, 2))[1], log.ErrUnknownMember)
		o.wantError("commit of a member", o.commit("a", 1, 1), log.ErrUnknownMember)
		_, err := o.Describe("g")
		o.wantError("describe", err, log.ErrUnknownGroup)
		if all := o.List(); len(all) > 0 {
			t.Errorf("groups %v", all)
		}
		o.wantError("no name", o.Join(t.Context(), "", joinRequest("a", "")).Err, log.ErrInvalidGroup)
	})
}

// A caller that goes away while it waits to join leaves nothing behind; one that was answered
// just then learns it.
func TestCoordinatorJoinCancelled(t *testing.T) {
	inOffice(t, Options{Rules: Rules{InitialDelay: time.Second}}, func(t *testing.T, o *office) {
		ctx, cancel := context.WithCancel(context.Background())
		var wg sync.WaitGroup
		wg.Go(func() {
			o.wantError("cancelled", o.Join(ctx, "g", joinRequest("a", "")).Err, context.Canceled)
		})
		synctest.Wait()
		o.wantState("PreparingRebalance 0 1")
		cancel()
		wg.Wait()
		o.wantState("Empty 1 0")
		o.wantError("cancelled before", o.Join(ctx, "g", joinRequest("a", "")).Err, context.Canceled)

		ctx, cancel = context.WithCancel(context.Background())
		hold := make(chan struct{})
		o.desk.set(func(d *desk) { d.hold = hold })
		wg.Go(func() {
			j := o.Join(ctx, "g", joinRequest("b", ""))
			if j.Err != nil || j.Generation != 2 {
				t.Errorf("joined in the middle of being stored: %+v", j)
			}
		})
		time.Sleep(2 * time.Second) // the generation is on its way to the store
		cancel()
		synctest.Wait()
		o.desk.set(func(d *desk) { d.hold = nil })
		close(hold)
		wg.Wait()
		o.wantState("CompletingRebalance 2 1")
	})
}

// Close answers who waits, and everybody after that.
func TestCoordinatorClose(t *testing.T) {
	inOffice(t, Options{}, func(t *testing.T, o *office) {
		a := o.mustEnter("a", "")
		var wg sync.WaitGroup
		wg.Go(func() {
			j, _ := o.enter(context.Background(), "b", "")
			o.wantError("join", j.Err, log.ErrClosed)
		})
		wg.Go(func() {
			o.Join(context.Background(), "other", joinRequest("c", ""))
			j := o.Join(context.Background(), "other", joinRequest("d", "")) // c does not rejoin
			o.wantError("join of another group", j.Err, log.ErrClosed)
		})
		synctest.Wait()
		o.Close()
		wg.Wait()
		o.Close()
		ctx := context.Background()
		o.wantError("join", o.Join(ctx, "g", joinRequest("e", "")).Err, log.ErrClosed)
		o.wantError("sync", o.Sync(ctx, "g", SyncRequest{MemberID: "a"}).Err, log.ErrClosed)
		o.wantError("heartbeat", o.Heartbeat("g", "a", "", a.Generation), log.ErrClosed)
		o.wantError("leave", o.Leave("g", []LeaveMember{{MemberID: "a"}})[0], log.ErrClosed)
		o.wantError("commit", o.commit("a", a.Generation, 1), log.ErrClosed)
		o.wantError("delete", o.Delete(ctx, "g"), log.ErrClosed)
		o.wantError("watch", o.Watch("g", partition.NewWaiter()), log.ErrClosed)
		_, err := o.Fetch("g")
		o.wantError("fetch", err, log.ErrClosed)
	})
}

func TestCoordinatorSyncWaitsAndIsClosed(t *testing.T) {
	inOffice(t, Options{Rules: Rules{InitialDelay: time.Second}}, func(t *testing.T, o *office) {
		var wg sync.WaitGroup
		for _, name := range []string{"a", "b"} {
			wg.Go(func() {
				j := o.Join(context.Background(), "g", joinRequest(name, ""))
				if j.Err != nil || j.Leader == j.MemberID {
					return // a leader that does not sync
				}
				s := o.Sync(context.Background(), "g", SyncRequest{MemberID: j.MemberID, Generation: j.Generation})
				o.wantError("sync", s.Err, log.ErrClosed)
			})
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		o.wantState("CompletingRebalance 1 2")
		o.Close()
		wg.Wait()
	})
}

// What cannot be stored is not told. When there is room again the members join anew, in a
// generation that nobody was in.
func TestCoordinatorDiskFull(t *testing.T) {
	inOffice(t, Options{}, func(t *testing.T, o *office) {
		a := o.mustEnter("a", "")
		o.wantError("commit", o.commit("a", a.Generation, 7), nil)
		o.desk.set(func(d *desk) { d.full = true })
		var wg sync.WaitGroup
		wg.Go(func() {
			j, _ := o.enter(context.Background(), "b", "")
			o.wantError("join of a second member", j.Err, log.ErrDiskFull)
		})
		synctest.Wait()
		j, _ := o.enter(context.Background(), "", "a")
		o.wantError("join of the first", j.Err, log.ErrDiskFull)
		wg.Wait()
		o.wantError("heartbeat", o.Heartbeat("g", "a", "", a.Generation+1), log.ErrUnknownMember)
		o.wantError("commit", o.commit("", -1, 9), log.ErrDiskFull)
		o.wantError("reset", o.AlterOffsets(t.Context(), "g", map[log.TopicPartition]Offset{orders(0): {Offset: 1}}), log.ErrDiskFull)
		_, err := o.DeleteOffsets(t.Context(), "g", orders(0))
		o.wantError("delete offsets", err, log.ErrDiskFull)
		o.wantOffset(7)
		generation := a.Generation + 1
		o.wantError("delete", o.Delete(t.Context(), "g"), log.ErrDiskFull)
		o.wantState(fmt.Sprintf("Empty %d 0", generation)) // it goes on as it was
		o.wantOffset(7)
		o.desk.set(func(d *desk) { d.full = false })
		if j := o.mustEnter("a", ""); j.Generation <= generation {
			t.Errorf("generation %d, %d was begun before", j.Generation, generation)
		}
		o.wantOffset(7)
	})
}

// A store that is broken fails everybody, and Close still returns.
func TestCoordinatorBrokenStore(t *testing.T) {
	inOffice(t, Options{}, func(t *testing.T, o *office) {
		a := o.mustEnter("a", "")
		o.desk.set(func(d *desk) { d.broken = true })
		o.wantError("commit", o.commit("a", a.Generation, 7), log.ErrFailed)
		o.wantOffset(-1)
		j, _ := o.enter(context.Background(), "", "a")
		o.wantError("join", j.Err, log.ErrFailed)
		o.wantError("heartbeat", o.Heartbeat("g", "a", "", a.Generation), log.ErrUnknownMember)
		j, _ = o.enter(context.Background(), "b", "")
		o.wantError("join", j.Err, log.ErrFailed)
	})
}

// A commit that waits for fsync is in the order of the store: a later one is not undone by it.
func TestCommitsStayInOrder(t *testing.T) {
	inOffice(t, Options{}, func(t *testing.T, o *office) {
		fsync := make(chan struct{})
		o.desk.set(func(d *desk) { d.fsync = fsync })
		var wg sync.WaitGroup
		wg.Go(func() {
			err := o.Commit(context.Background(), "g", CommitRequest{
				Generation: -1, Synced: true, Offsets: map[log.TopicPartition]Offset{orders(0): {Offset: 10}},
			})
			o.wantError("synced commit", err, nil)
		})
		synctest.Wait()
		o.wantError("stored commit", o.commit("", -1, 20), nil)
		o.wantOffset(20)
		close(fsync)
		wg.Wait()
		o.wantOffset(20)
		done := o.open(Options{})
		defer done()
		o.wantOffset(20)
	})
}

// A commit that has not begun when its context ends is not made; one that has is waited for.
func TestCommitCancelled(t *testing.T) {
	inOffice(t, Options{}, func(t *testing.T, o *office) {
		hold := make(chan struct{})
		o.desk.set(func(d *desk) { d.hold = hold })
		ctx, cancel := context.WithCancel(context.Background())
		var wg sync.WaitGroup
		for i, want := range []error{nil, context.Canceled} {
			wg.Go(func() {
				err := o.Commit(ctx, "g", CommitRequest{
					Generation: -1, Offsets: map[log.TopicPartition]Offset{orders(int32(i)): {Offset: 1}},
				})
				o.wantError(fmt.Sprint("commit ", i), err, want)
			})
			synctest.Wait()
		}
		cancel()
		synctest.Wait()
		close(hold)
		wg.Wait()
		found, err := o.Fetch("g")
		if _, ok := found[orders(0)]; err != nil || len(found) != 1 || !ok {
			t.Errorf("committed %v, %v", found, err)
		}
		o.ExpireOffsets(time.Now().Add(8 * 24 * time.Hour)) // nothing counts as under way
		if found, _ := o.Fetch("g"); len(found) > 0 {
			t.Errorf("left: %v", found)
		}
	})
}

func TestCommitRefused(t *testing.T) {
	inOffice(t, Options{}, func(t *testing.T, o *office) {
		commit := func(tp log.TopicPartition, off Offset) error {
			return o.Commit(t.Context(), "g", CommitRequest{
				Generation: -1, Offsets: map[log.TopicPartition]Offset{orders(0): {Offset: 1}, tp: off},
			})
		}
		o.wantError("unknown topic", commit(log.TopicPartition{Topic: "no"}, Offset{}), log.ErrUnknownTopic)
		o.wantError("unknown partition", commit(orders(100), Offset{}), log.ErrUnknownPartition)
		o.wantError("negative partition", commit(orders(-1), Offset{}), log.ErrUnknownPartition)
		o.wantError("negative offset", commit(orders(1), Offset{Offset: -1}), log.ErrOffsetOutOfRange)
		o.wantError("metadata", commit(orders(1), Offset{Metadata: strings.Repeat("m", MaxMetadata+1)}), log.ErrMetadataTooLarge)
		o.wantOffset(-1) // all or nothing
	})
}

// A group with more offsets than fit into one transaction can be deleted and expires whole.
func TestManyOffsetsGo(t *testing.T) {
	for name, remove := range map[string]func(*office) error{
		"deleted": func(o *office) error { return o.Delete(context.Background(), "g") },
		"expired": func(o *office) error {
			for range 2 { // offsets, then the group
				o.ExpireOffsets(time.Now().Add(8 * 24 * time.Hour))
			}
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			inOffice(t, Options{}, func(t *testing.T, o *office) {
				o.desk.limits = store.Limits{Entries: 40, Bytes: 1 << 20}
				for p := range int32(100) {
					o.wantError("commit", o.Commit(t.Context(), "g", CommitRequest{
						Generation: -1, Offsets: map[log.TopicPartition]Offset{orders(p): {Offset: 1}},
					}), nil)
				}
				o.wantError("remove", remove(o), nil)
				if all := o.List(); len(all) > 0 {
					t.Errorf("left: %v", all)
				}
				keys := 0
				for _, r := range []store.Range{store.OffsetRange(), store.GroupRange()} {
					if err := o.desk.Scan(r, func(store.Entry) (bool, error) { keys++; return true, nil }); err != nil {
						t.Fatal(err)
					}
				}
				if keys > 0 {
					t.Errorf("%d keys left in the store", keys)
				}
			})
		})
	}
}

// Whoever joins while the group is being deleted becomes a member of the next one.
func TestJoinDuringDelete(t *testing.T) {
	inOffice(t, Options{}, func(t *testing.T, o *office) {
		o.wantError("commit", o.commit("", -1, 3), nil)
		hold := make(chan struct{})
		o.desk.set(func(d *desk) { d.hold = hold })
		var wg sync.WaitGroup
		wg.Go(func() { o.wantError("delete", o.Delete(t.Context(), "g"), nil) })
		synctest.Wait()
		wg.Go(func() { o.mustEnter("a", "") })
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		o.wantError("join that does not wait for it", o.Join(ctx, "g", joinRequest("b", "")).Err, context.DeadlineExceeded)
		o.wantError("delete twice", o.Delete(t.Context(), "g"), log.ErrUnknownGroup)
		o.desk.set(func(d *desk) { d.hold = nil })
		close(hold)
		wg.Wait()
		o.wantState("Stable 1 1")
		o.wantOffset(-1)
	})
}

// Who commits without a generation while the group is being deleted makes the next one.
func TestCommitDuringDelete(t *testing.T) {
	inOffice(t, Options{}, func(t *testing.T, o *office) {
		o.wantError("commit", o.commit("", -1, 3), nil)
		hold := make(chan struct{})
		o.desk.set(func(d *desk) { d.hold = hold })
		var wg sync.WaitGroup
		wg.Go(func() { o.wantError("delete", o.Delete(t.Context(), "g"), nil) })
		synctest.Wait()
		wg.Go(func() { o.wantError("commit for the next group", o.commit("", -1, 4), nil) })
		o.wantError("commit of a generation", o.commit("a", 1, 5), log.ErrUnknownMember)
		o.desk.set(func(d *desk) { d.hold = nil })
		close(hold)
		wg.Wait()
		o.wantOffset(4)
	})
}

// TestCoordinatorManyAtOnce has clients do everything at once, for the race detector, and
// closes the coordinator under them.
func TestCoordinatorManyAtOnce(t *testing.T) {
	defer goleak.VerifyNone(t)
	o := &office{t: t, desk: &desk{Store: store.OpenMemory()}}
	done := o.open(Options{})
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	var wg sync.WaitGroup
	for i := range 8 {
		rng := rand.New(rand.NewPCG(seed, uint64(i)))
		wg.Go(func() {
			for n := range 50 {
				name := fmt.Sprintf("m%d-%d", i, n)
				if err := o.drop(name, rng); errors.Is(err, log.ErrClosed) {
					return
				} else if err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
		})
	}
	wg.Go(func() {
		for range 200 {
			for _, l := range o.List() {
				_, _ = o.Describe(l.Name)
				_, _ = o.Fetch(l.Name)
			}
			o.ExpireOffsets(time.Now())
			if err := o.Delete(context.Background(), "g"); err != nil && !errors.Is(err, log.ErrGroupNotEmpty) && !errors.Is(err, log.ErrUnknownGroup) {
				t.Errorf("delete: %v", err)
			}
		}
		o.Close()
	})
	wg.Wait()
	done()
}

// drop is a member that drops in: it joins, commits, beats, and leaves or goes away. Only
// ErrClosed and what must not happen is returned.
func (o *office) drop(name string, rng *rand.Rand) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(rng.IntN(20))*time.Millisecond)
	defer cancel()
	j, s := o.enter(ctx, name, "")
	err := errors.Join(j.Err, s.Err)
	if err == nil {
		for _, err := range []error{
			o.Heartbeat("g", j.MemberID, "", j.Generation),
			o.commit(j.MemberID, j.Generation, rng.Int64N(100)),
		} {
			if err := known(err); err != nil {
				return err
			}
		}
	}
	errs := o.Leave("g", []LeaveMember{{MemberID: name}})
	return errors.Join(known(err), known(errs[0]))
}

// known drops errors that members of a busy group get.
func known(err error) error {
	if slices.ContainsFunc([]error{
		log.ErrRebalanceInProgress, log.ErrIllegalGeneration, log.ErrUnknownMember, log.ErrUnknownGroup,
		context.Canceled, context.DeadlineExceeded,
	}, func(e error) bool { return errors.Is(err, e) }) {
		return nil
	}
	return err
}
