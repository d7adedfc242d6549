package clienttest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	transformPartitions = 4
	transformBatch      = 10  // records a transaction, at most
	transformAhead      = 400 // records of the input that are not in the output yet, at most

	// Names of the environment that tell a transformer who it is, and whether its group remembers it when it is gone.
	childID     = "SAMSA_CLIENTTEST_ID"
	childStatic = "SAMSA_CLIENTTEST_STATIC"
)

// steady are the options of clients that are to outlive their server.
func steady(addr string) []kgo.Opt {
	return []kgo.Opt{kgo.SeedBrokers(addr), kgo.MetadataMinAge(metadataMinAge), kgo.FetchMaxWait(4 * soon), kgo.RequestRetries(1000), kgo.AlwaysRetryEOF(),
		kgo.RetryBackoffFn(func(int) time.Duration { return 4 * soon })}
}

// transformer is a program that writes, of each record of the input, where it was to the same partition of the output, in
// transactions with its offsets. It says a line after each step, and ends when a transaction cannot go on.
func transformer() error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	id := os.Getenv(childID)
	opts := append(steady(os.Getenv(childAddr)), kgo.TransactionalID(id), kgo.ConsumerGroup("transform"), kgo.ConsumeTopics("input"),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.TransactionTimeout(5*time.Second),
		kgo.SessionTimeout(2*time.Second), kgo.HeartbeatInterval(200*time.Millisecond), kgo.RebalanceTimeout(5*time.Second))
	// A cooperative assignment leaves out a partition that its owner is to give up first: when that member joins again, without
	// it, there is another generation. A static member that is killed before it does comes back to a stable group, and gets its
	// assignment without a rebalance, in Kafka 4.4.0 too (updateStaticMemberThenRebalanceOrCompleteJoin in
	// GroupMetadataManager). The partition is nobody's then until something else makes the group rebalance. So these are eager.
	opts = append(opts, kgo.Balancers(kgo.StickyBalancer()))
	if os.Getenv(childStatic) != "" {
		opts = append(opts, kgo.InstanceID(id))
	}
	session, err := kgo.NewGroupTransactSession(opts...)
	if err != nil {
		return err
	}
	// What the one before it has left open ends now. Else offsets that are pending would hold this one up till they time out.
	if _, _, err := session.Client().ProducerID(ctx); err != nil {
		return err
	}
	for ctx.Err() == nil {
		fetches := session.PollRecords(ctx, transformBatch)
		fmt.Println(id, "read", fetches.NumRecords(), fetches.Err0())
		if fetches.NumRecords() == 0 {
			continue
		}
		if err := session.Begin(); err != nil {
			return err
		}
		written := kgo.AbortingFirstErrPromise(session.Client())
		fetches.EachRecord(func(r *kgo.Record) {
			out := &kgo.Record{Topic: "output", Partition: r.Partition, Value: fmt.Appendf(nil, "%d/%d", r.Partition, r.Offset)}
			session.Produce(context.Background(), out, written.Promise())
		})
		fmt.Println(id, "wrote")
		committed, err := session.End(context.Background(), written.Err() == nil)
		fmt.Println(id, "ended", committed, err)
		if err != nil {
			return err
		}
	}
	session.CloseAllowingRebalance()
	return nil
}

// loop is a server and transformers, which are killed, and what goes through them.
type loop struct {
	*kit
	command, dir string
	gate         *gate
	server       *process
	transformers [3]*process // the last one leaves its group when it ends
	free         chan struct{}
}

// Transformers that come, go and are killed, with a server that is killed too, write each record of their input to their
// output exactly once, and in its order. KILLS says how often something is killed.
func TestTransform(t *testing.T) {
	least := 12
	if testing.Short() {
		least = 4
	}
	command := samsaCommand(t)
	for _, level := range []int16{2, 0} {
		t.Run(fmt.Sprint("version ", level), func(t *testing.T) {
			seed := rand.Uint64()
			t.Logf("seed %d", seed)
			n := howMany(least) / 2
			l := &loop{kit: (&kit{}).within(t, patience+time.Duration(n)*5*time.Second), command: command, dir: t.TempDir(), gate: newGate(t),
				free: make(chan struct{}, transformAhead)}
			l.addr = l.gate.Addr().String()
			l.run(rand.New(rand.NewPCG(seed, 0)), n, level)
			t.Logf("%d kills", n)
		})
	}
}

func (l *loop) run(rng *rand.Rand, kills int, level int16) {
	l.serve()
	l.transactionVersion(level)
	for range transformAhead {
		l.free <- struct{}{}
	}
	feeding, stop := context.WithCancel(l.ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer l.cancel()
	defer l.explain()
	wg.Go(func() { l.feed(feeding) })
	wg.Go(l.check)
	for range kills {
		l.revive()
		i := rng.IntN(len(l.transformers))
		p := l.transformers[i]
		p.more(1 + rng.IntN(6))
		switch rng.IntN(8) {
		case 0, 1, 2, 3:
			p.kill()
		case 4, 5:
			l.gate.lead("")
			l.server.kill()
			l.serve()
		case 6:
			l.gate.cut()
		case 7:
			p.leave()
		}
	}
	stop()
	l.revive()
	for range transformAhead {
		select {
		case <-l.free:
		case <-l.ctx.Done():
			l.t.Fatal("the output lacks records of the input")
		}
	}
}

// explain has the server tell what may have held things up, and the transformers where they are, if the test has failed.
func (l *loop) explain() {
	if !l.t.Failed() {
		return
	}
	k := l.within(l.t, patience)
	cl := k.franz()
	defer cl.Close()
	offsets, group, producers := kmsg.NewPtrOffsetFetchRequest(), kmsg.NewPtrDescribeGroupsRequest(), kmsg.NewPtrDescribeProducersRequest()
	offsets.Group, offsets.RequireStable, group.Groups = "transform", true, []string{"transform"}
	offsets.Groups = []kmsg.OffsetFetchRequestGroup{{Group: "transform"}}
	for _, topic := range []string{"input", "output"} {
		producers.Topics = append(producers.Topics, kmsg.DescribeProducersRequestTopic{Topic: topic, Partitions: []int32{0, 1, 2, 3}})
	}
	for _, req := range []kmsg.Request{offsets, group, producers, kmsg.NewPtrListTransactionsRequest()} {
		resp, err := cl.Request(k.ctx, req)
		l.t.Logf("%T: %+v, %v", req, resp, err)
	}
	for _, p := range l.transformers {
		if p.cmd.Process.Signal(syscall.SIGQUIT) == nil {
			<-p.ended
		}
	}
}

// serve starts the server.
func (l *loop) serve() {
	l.t.Helper()
	l.server = l.start(exec.Command(l.command, "serve", "--listen", "127.0.0.1:0", "--advertise", l.addr, "--data", l.dir,
		"--group-min-session-timeout", "100ms",
		"--topic", fmt.Sprint("input:", transformPartitions), "--topic", fmt.Sprint("output:", transformPartitions)))
	l.gate.lead(l.server.await(serving)[1])
}

// revive starts the transformers that have ended.
func (l *loop) revive() {
	l.t.Helper()
	for i, p := range l.transformers {
		if p != nil && !p.over() {
			continue
		}
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), childName+"=transformer", childAddr+"="+l.addr, fmt.Sprint(childID, "=transformer ", i))
		if i < len(l.transformers)-1 {
			cmd.Env = append(cmd.Env, childStatic+"=yes")
		}
		l.transformers[i] = l.start(cmd)
		l.transformers[i].asked.Store(true) // it may end
	}
}

// more waits until a program has said so many more lines, or has ended.
func (p *process) more(lines int) {
	p.k.t.Helper()
	lines += strings.Count(p.said.String(), "\n")
	p.until(fmt.Sprint("it has said ", lines, " lines"), func() bool {
		return p.over() || strings.Count(p.said.String(), "\n") >= lines
	})
}

func (p *process) over() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// leave is stop for a program that may have ended.
func (p *process) leave() {
	p.k.t.Helper()
	if !p.over() {
		p.stop()
	}
}

// feed writes the input until ctx ends.
func (l *loop) feed(ctx context.Context) {
	cl, err := kgo.NewClient(append(steady(l.addr), kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
	if err != nil {
		l.t.Error(err)
		return
	}
	defer cl.Close()
	for i := 0; ctx.Err() == nil; i++ {
		select {
		case <-ctx.Done():
		case <-l.free:
			cl.Produce(l.ctx, &kgo.Record{Topic: "input", Partition: int32(i % transformPartitions)}, func(_ *kgo.Record, err error) {
				if err != nil && l.ctx.Err() == nil {
					l.t.Errorf("input: %v", err)
				}
			})
		}
	}
	if err := cl.Flush(l.ctx); err != nil && l.ctx.Err() == nil {
		l.t.Error(err)
	}
}

// check reads the output, as what is committed.
func (l *loop) check() {
	from := make(map[int32]kgo.Offset)
	for p := range int32(transformPartitions) {
		from[p] = kgo.NewOffset().AtStart()
	}
	cl, err := kgo.NewClient(append(steady(l.addr), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{"output": from}))...)
	if err != nil {
		l.t.Error(err)
		return
	}
	defer cl.Close()
	next := make(map[int32]int)
	for l.ctx.Err() == nil {
		for _, r := range cl.PollFetches(l.ctx).Records() {
			if want := fmt.Sprintf("%d/%d", r.Partition, next[r.Partition]); string(r.Value) != want {
				l.t.Errorf("partition %d of the output has %s at offset %d, want %s", r.Partition, r.Value, r.Offset, want)
				l.cancel()
				return
			}
			next[r.Partition]++
			select {
			case l.free <- struct{}{}:
			default: // more than was fed, which is an error already
			}
		}
	}
}
