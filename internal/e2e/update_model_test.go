package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"github.com/samsa-go/samsa"
)

// Random transactions against a model. The n-th transaction that is committed is a plan
// that the seed and n determine, and it counts itself under a key. So whatever order the
// transactions of several workers take, through conflicts, aborts and kills, a broker
// that says n must hold what the plans 1 to n leave behind, and nothing else.

// txPlan is what one transaction does.
type txPlan struct {
	writes  []samsa.KeyValue // nil values are deletions
	records []samsa.Record
	commit  int64 // offset for planInput, 0 for none
}

const (
	planTopic   = "out"
	planParts   = 3
	planGroup   = "g"
	planWorkers = 3
)

var (
	planCounter = []byte("n")
	planInput   = samsa.TopicPartition{Topic: "in"}
)

// planOf returns the n-th plan.
func planOf(seed uint64, n int) txPlan {
	rng := rand.New(rand.NewPCG(seed, uint64(n)))
	text := func() []byte {
		size := rng.IntN(40)
		if rng.IntN(20) == 0 {
			size = 20_000 // too much for the index of a store
		}
		return append(fmt.Appendf(nil, "%d/", n), bytes.Repeat([]byte{byte('a' + n%26)}, size)...)
	}
	var p txPlan
	for range rng.IntN(5) {
		w := samsa.KeyValue{Key: fmt.Appendf(nil, "key/%d", rng.IntN(8))}
		if rng.IntN(3) > 0 {
			w.Value = text()
		}
		p.writes = append(p.writes, w)
	}
	for range rng.IntN(6) {
		p.records = append(p.records, samsa.Record{Topic: planTopic, Partition: rng.Int32N(planParts), Value: text()})
	}
	if rng.IntN(2) == 0 {
		p.commit = int64(n) // never goes back
	}
	return p
}

// carryOut does what p says.
func (p txPlan) carryOut(tx *samsa.Tx, c *samsa.Consumer) error {
	for _, w := range p.writes {
		var err error
		if w.Value == nil {
			err = tx.Delete(w.Key)
		} else {
			err = tx.Set(w.Key, w.Value)
		}
		if err != nil {
			return err
		}
	}
	if err := tx.Produce(p.records...); err != nil {
		return err
	}
	if p.commit > 0 {
		return tx.CommitOffsets(c, map[samsa.TopicPartition]samsa.CommittedOffset{planInput: {Offset: p.commit}})
	}
	return nil
}

var errPlanAborted = errors.New("aborted by the plan")

// planWorker commits plans, now and then aborts one that is nobody's, and hands the number
// of each that was committed to committed, until that or a transaction fails.
func planWorker(ctx context.Context, b *samsa.Broker, c *samsa.Consumer, seed uint64, committed func(n int) error) error {
	for {
		n := 0
		abort := rand.IntN(5) == 0
		err := b.Update(ctx, func(tx *samsa.Tx) (err error) {
			if n, err = countPlan(tx); err != nil {
				return err
			}
			if abort {
				return errors.Join(planOf(rand.Uint64(), n).carryOut(tx, c), errPlanAborted)
			}
			return planOf(seed, n).carryOut(tx, c)
		})
		switch {
		case errors.Is(err, errPlanAborted), errors.Is(err, samsa.ErrConflict):
			continue
		case err != nil:
			return err
		}
		if err := committed(n); err != nil {
			return err
		}
	}
}

// countPlan returns the number of the plan that tx is to carry out.
func countPlan(tx *samsa.Tx) (n int, err error) {
	before, err := tx.Get(planCounter)
	if err == nil {
		n, err = strconv.Atoi(string(before))
	}
	if err != nil && !errors.Is(err, samsa.ErrKeyNotFound) {
		return 0, err
	}
	n++
	return n, tx.Set(planCounter, strconv.AppendInt(nil, int64(n), 10))
}

// planConsumer returns a consumer that has the input, and what ends it.
func planConsumer(ctx context.Context, b *samsa.Broker) (*samsa.Consumer, func() error, error) {
	assigned := make(chan struct{}, 1)
	c, err := b.NewConsumer(ctx, samsa.ConsumerOptions{
		Topics: []string{planInput.Topic}, Group: planGroup,
		Member: samsa.MemberOptions{ManualCommit: true, OnAssigned: func(context.Context, *samsa.Consumer, []samsa.TopicPartition) {
			assigned <- struct{}{}
		}},
	})
	if err != nil {
		return nil, nil, err
	}
	polled := make(chan error, 1)
	go func() {
		for {
			if _, err := c.Poll(ctx); err != nil {
				polled <- err
				return
			}
		}
	}()
	end := func() error {
		err := c.Close()
		if polled := <-polled; !errors.Is(polled, samsa.ErrClosed) {
			err = errors.Join(err, polled)
		}
		return err
	}
	select {
	case <-assigned:
		return c, end, nil
	case err := <-polled:
		return nil, nil, errors.Join(err, c.Close())
	}
}

// runPlans has workers commit plans until one of them, or committed, fails, and returns
// why.
func runPlans(ctx context.Context, b *samsa.Broker, seed uint64, committed func(n int) error) error {
	c, end, err := planConsumer(ctx, b)
	if err != nil {
		return err
	}
	working, cancel := context.WithCancel(ctx)
	ended := make(chan error)
	for range planWorkers {
		go func() { ended <- planWorker(working, b, c, seed, committed) }()
	}
	err = <-ended
	cancel()
	for range planWorkers - 1 {
		if other := <-ended; !errors.Is(other, context.Canceled) && !errors.Is(err, other) {
			err = errors.Join(err, other)
		}
	}
	return errors.Join(err, end())
}

// createPlanTopics creates what plans need.
func createPlanTopics(t testing.TB, b *samsa.Broker) {
	t.Helper()
	mustCreate(t, b, planTopic, planParts)
	mustCreate(t, b, planInput.Topic, 1)
}

// planState is what a broker holds, or should hold.
type planState struct {
	keys    map[string]string
	records [planParts][]string
	commit  int64
}

// plansUpTo returns what the plans 1 to n leave behind.
func plansUpTo(seed uint64, n int) planState {
	s := planState{keys: make(map[string]string)}
	for i := 1; i <= n; i++ {
		p := planOf(seed, i)
		for _, w := range p.writes {
			if w.Value == nil {
				delete(s.keys, string(w.Key))
			} else {
				s.keys[string(w.Key)] = string(w.Value)
			}
		}
		for _, r := range p.records {
			s.records[r.Partition] = append(s.records[r.Partition], string(r.Value))
		}
		s.commit = max(s.commit, p.commit)
		s.keys[string(planCounter)] = strconv.Itoa(i)
	}
	return s
}

// checkPlans compares a broker with the model, and returns how many plans it holds.
func checkPlans(t testing.TB, b *samsa.Broker, seed uint64) (n int) {
	t.Helper()
	got := planState{keys: make(map[string]string)}
	err := b.View(patient(t), func(tx *samsa.ReadTx) error {
		for kv, err := range tx.Scan(nil) {
			if err != nil {
				return err
			}
			got.keys[string(kv.Key)] = string(kv.Value)
		}
		offsets, err := tx.Committed(planGroup)
		got.commit = offsets[planInput].Offset
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	all := ends(t, b)
	maps.DeleteFunc(all, func(tp samsa.TopicPartition, _ int64) bool { return tp.Topic != planTopic })
	readRange(t, b, nil, all, func(r samsa.Record, err error) {
		if err != nil {
			t.Fatal(err)
		}
		got.records[r.Partition] = append(got.records[r.Partition], string(r.Value))
	})
	if s, ok := got.keys[string(planCounter)]; ok {
		if n, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	want := plansUpTo(seed, n)
	if len(got.keys) != len(want.keys) {
		t.Errorf("after %d transactions there are %d keys, want %d", n, len(got.keys), len(want.keys))
	}
	for key, value := range want.keys {
		if got.keys[key] != value {
			t.Errorf("after %d transactions key %q is %.20q, want %.20q", n, key, got.keys[key], value)
		}
	}
	for i := range want.records {
		if !slices.Equal(got.records[i], want.records[i]) {
			t.Errorf("after %d transactions partition %d has %d records, want %d, or they differ", n, i, len(got.records[i]), len(want.records[i]))
		}
	}
	if got.commit != want.commit {
		t.Errorf("after %d transactions the group is at %d, want %d", n, got.commit, want.commit)
	}
	return n
}

var errEnoughPlans = errors.New("enough")

func TestTransactionsAgreeWithTheModel(t *testing.T) {
	for name, opts := range map[string]samsa.Options{"disk": {}, "memory": {InMemory: true}} {
		t.Run(name, func(t *testing.T) {
			opts.Produce.Partitioner = samsa.ManualPartitioner()
			dir := ""
			if !opts.InMemory {
				dir = t.TempDir()
			}
			seed := rand.Uint64()
			t.Logf("seed %d", seed)
			b := mustOpen(t, dir, opts)
			createPlanTopics(t, b)
			for _, until := range []int{100, 300} {
				err := runPlans(patient(t), b, seed, func(n int) error {
					if n >= until {
						return errEnoughPlans
					}
					return nil
				})
				if fmt.Sprint(err) != errEnoughPlans.Error() { // nothing else has gone wrong either
					t.Fatal(err)
				}
				if n := checkPlans(t, b, seed); n < until {
					t.Errorf("%d transactions, %d were acknowledged", n, until)
				}
				if !opts.InMemory { // and again from the disk
					mustClose(t, b)
					b = mustOpen(t, dir, opts)
					checkPlans(t, b, seed)
				}
			}
		})
	}
}

// A process that commits plans is killed at any moment, again and again on one directory.
func TestCrashTransactions(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	dir := t.TempDir()
	b := mustOpen(t, dir, samsa.Options{})
	createPlanTopics(t, b)
	mustClose(t, b)
	for round := range kills(t, 3) {
		acks := killWhen(t, "plans", after(rand.IntN(120)), dir, fmt.Sprint(seed))
		acked := 0
		for _, line := range acks {
			n, err := strconv.Atoi(line)
			if err != nil {
				t.Fatal(err)
			}
			acked = max(acked, n)
		}
		b := mustOpen(t, dir, samsa.Options{})
		if n := checkPlans(t, b, seed); n < acked {
			t.Errorf("%d transactions are there, %d were acknowledged", n, acked)
		}
		mustClose(t, b)
		if t.Failed() {
			t.Fatalf("round %d, killed after %d transactions", round, acked)
		}
	}
}

// commitPlansUntilKilled is the child. Its arguments are the directory and the seed. It
// writes the number of each transaction that was committed.
func commitPlansUntilKilled(args []string) error {
	seed, err := strconv.ParseUint(args[1], 10, 64)
	if err != nil {
		return err
	}
	b, err := samsa.Open(args[0], samsa.Options{Produce: samsa.ProduceOptions{Partitioner: samsa.ManualPartitioner()}})
	if err != nil {
		return err
	}
	return runPlans(context.Background(), b, seed, func(n int) error { return tell("%d\n", n) })
}
