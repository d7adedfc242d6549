package e2e

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/samsa-go/samsa"
)

// worker is a consumer of a group, and what happens to it. Its polls run in a goroutine of
// their own, between start and stop.
type worker struct {
	*samsa.Consumer
	k    *kit
	name string
	end  func() // stop polling and wait for it; nil when it does not poll

	mu     sync.Mutex     // guards what follows
	got    []string       // values, since they were taken
	read   []samsa.Record // all
	events []string       // callbacks, since they were taken
	errs   []error        // of Poll
}

// story runs a test in a bubble, where time costs nothing, with a topic t.
func story(t *testing.T, partitions int, fn func(k *kit)) {
	synctest.Test(t, func(t *testing.T) {
		k := inMemory(t, samsa.Options{})
		k.create("t", partitions)
		fn(k)
	})
}

// worker adds a consumer to group g, of topic t if opts name none. Its callbacks are noted.
func (k *kit) worker(g string, opts samsa.ConsumerOptions) *worker {
	k.t.Helper()
	w := &worker{k: k}
	opts.Group = g
	if opts.Topics == nil && opts.TopicPattern == nil {
		opts.Topics = []string{"t"}
	}
	o := &opts.Member
	w.name = opts.ClientID
	note := func(what string, then func(context.Context, *samsa.Consumer, []samsa.TopicPartition)) func(context.Context, *samsa.Consumer, []samsa.TopicPartition) {
		return func(ctx context.Context, c *samsa.Consumer, tps []samsa.TopicPartition) {
			w.note(fmt.Sprint(what, tps))
			if then != nil {
				then(ctx, c, tps)
			}
		}
	}
	o.OnAssigned, o.OnRevoked, o.OnLost = note("assigned", o.OnAssigned), note("revoked", o.OnRevoked), note("lost", o.OnLost)
	w.Consumer = k.consumer(opts)
	k.t.Cleanup(w.stop)
	return w
}

// started is worker and start, and waits until everything is quiet.
func (k *kit) started(g string, opts samsa.ConsumerOptions) *worker {
	k.t.Helper()
	w := k.worker(g, opts)
	w.start()
	synctest.Wait()
	return w
}

func (w *worker) note(event string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events = append(w.events, event)
}

// start polls until stop, or until the consumer is closed.
func (w *worker) start() {
	ctx, cancel := context.WithCancel(w.k.ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			records, err := w.Poll(ctx)
			w.mu.Lock()
			w.got = append(w.got, values(records)...)
			w.read = append(w.read, records...)
			if err != nil && ctx.Err() == nil {
				w.errs = append(w.errs, err)
			}
			w.mu.Unlock()
			if ctx.Err() != nil || errors.Is(err, samsa.ErrClosed) || errors.Is(err, samsa.ErrFencedInstance) {
				return
			}
		}
	}()
	w.end = func() { cancel(); <-done }
}

func (w *worker) stop() {
	if w.end != nil {
		w.end()
		w.end = nil
	}
}

// leave closes the consumer.
func (w *worker) leave() {
	w.k.t.Helper()
	if err := w.Close(); err != nil {
		w.k.t.Error(err)
	}
}

// took returns the values that came since it was called last, sorted.
func (w *worker) took() string {
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	slices.Sort(w.got)
	s := strings.Join(w.got, " ")
	w.got = nil
	return s
}

func (w *worker) wantTook(want string) {
	w.k.t.Helper()
	if got := w.took(); got != want {
		w.k.t.Errorf("%s got %q, want %q", w.name, got, want)
	}
}

// wantEvents compares the callbacks since it was called last, but for OnAssigned without
// partitions: whether two rebalances become one is a matter of luck.
func (w *worker) wantEvents(want ...string) {
	w.k.t.Helper()
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	got := slices.DeleteFunc(w.events, func(e string) bool { return e == "assigned[]" })
	if !slices.Equal(got, want) {
		w.k.t.Errorf("%s: callbacks %q, want %q", w.name, got, want)
	}
	w.events = nil
}

func (w *worker) wantOwns(want string) {
	w.k.t.Helper()
	synctest.Wait()
	if got := strings.Trim(fmt.Sprint(w.Assigned()), "[]"); got != want {
		w.k.t.Errorf("%s owns %q, want %q", w.name, got, want)
	}
}

// err returns the last error of Poll.
func (w *worker) err() error {
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.errs) == 0 {
		return nil
	}
	return w.errs[len(w.errs)-1]
}

func (k *kit) wantCommitted(g string, want string) {
	k.t.Helper()
	offsets, err := k.Groups().Committed(k.ctx, g)
	if err != nil {
		k.t.Fatal(err)
	}
	var all []string
	for tp, o := range offsets {
		all = append(all, strings.TrimSpace(fmt.Sprintf("%s@%d %s", tp, o.Offset, o.Metadata)))
	}
	slices.Sort(all)
	if got := strings.Join(all, ", "); got != want {
		k.t.Errorf("group %s has committed %q, want %q", g, got, want)
	}
}

func (k *kit) describe(g string) samsa.GroupInfo {
	k.t.Helper()
	d, err := k.Groups().Describe(k.ctx, g)
	if err != nil {
		k.t.Fatal(err)
	}
	return d
}

// memberID returns the id of the member of a group with that client id.
func (k *kit) memberID(group, client string) string {
	k.t.Helper()
	members := k.describe(group).Members
	i := slices.IndexFunc(members, func(m samsa.MemberInfo) bool { return m.ClientID == client })
	if i < 0 {
		k.t.Fatalf("%s is not in %v", client, members)
	}
	return members[i].ID
}

// fill puts a record into each partition of t: its value is the prefix and the partition.
func (k *kit) fill(prefix string, partitions int) {
	k.t.Helper()
	for p := range int32(partitions) {
		k.put("t", p, fmt.Sprint(prefix, p))
	}
}

func named(name string) samsa.ConsumerOptions {
	return samsa.ConsumerOptions{ClientID: name}
}

func manual(name string) samsa.ConsumerOptions {
	return samsa.ConsumerOptions{ClientID: name, Member: samsa.MemberOptions{ManualCommit: true}}
}

func eager(name string) samsa.ConsumerOptions {
	return samsa.ConsumerOptions{ClientID: name, Member: samsa.MemberOptions{Assignors: []samsa.Assignor{samsa.RangeAssignor()}}}
}

// without returns the elements of a that are not in b.
func without(a, b []samsa.TopicPartition) []samsa.TopicPartition {
	return slices.DeleteFunc(slices.Clone(a), func(tp samsa.TopicPartition) bool { return slices.Contains(b, tp) })
}
