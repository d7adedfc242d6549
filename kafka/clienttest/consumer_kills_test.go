package clienttest

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	drillPartitions = 8
	drillPace       = 2 * time.Millisecond // between records
	drillSettles    = 8                    // kills between two looks at who has what
)

// consumerMember is a member, of franz-go, of a group of the consumer protocol. It reads records, and commits after each few. It
// says each step in a line:
//
//	assigned|revoked|lost PARTITION...
//	read PARTITION FIRST LAST          offsets
//	committed PARTITION OFFSET         when it is acknowledged
//
// and others, of which it matters only that they come.
func consumerMember() error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	id := strings.Fields(os.Getenv(childID))
	told := func(step string) func(context.Context, *kgo.Client, map[string][]int32) {
		return func(_ context.Context, _ *kgo.Client, of map[string][]int32) {
			fmt.Println(step, strings.Trim(fmt.Sprint(of["input"]), "[]"))
		}
	}
	opts := append(steady(os.Getenv(childAddr)), kgo.ConsumerGroup("drill"), kgo.ConsumeTopics("input"), kgo.ServerSideBalancer(),
		kgo.ClientID(id[0]), kgo.DisableAutoCommit(), kgo.BlockRebalanceOnPoll(), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.OnPartitionsAssigned(told("assigned")), kgo.OnPartitionsRevoked(told("revoked")), kgo.OnPartitionsLost(told("lost")))
	if len(id) > 1 {
		opts = append(opts, kgo.InstanceID(id[1]))
	}
	cl, err := kgo.NewClient(opts...)
	if err != nil {
		return err
	}
	defer cl.Close()
	for ctx.Err() == nil {
		fetches := cl.PollRecords(ctx, 10)
		fmt.Println("polled", fetches.NumRecords(), fetches.Err())
		fetches.EachPartition(func(p kgo.FetchTopicPartition) {
			if n := len(p.Records); n > 0 {
				fmt.Println("read", p.Partition, p.Records[0].Offset, p.Records[n-1].Offset)
			}
		})
		err := cl.CommitRecords(context.Background(), fetches.Records()...)
		fetches.EachPartition(func(p kgo.FetchTopicPartition) {
			if n := len(p.Records); n > 0 && err == nil {
				fmt.Println("committed", p.Partition, p.Records[n-1].Offset+1)
			}
		})
		if err != nil {
			fmt.Println("error", err)
		}
		cl.AllowRebalance()
	}
	return nil
}

// drillMember is one of the members, and who it has been until now.
type drillMember struct {
	name, instance string // instance is "" for a dynamic one
	command        func(name, instance string) *exec.Cmd
	*process
	lives []*process
}

func (m *drillMember) id() string { return fmt.Sprintf("%s-%d", m.name, len(m.lives)) }

// consumerDrill is a server, and members of one group, which are killed, and what they say.
type consumerDrill struct {
	*kit
	command, dir string
	gate         *gate
	server       *process
	members      []*drillMember
	asking       *kgo.Client
	ends         [drillPartitions]int64 // of what was fed, when feed has ended
}

// Members of the consumer protocol, of several clients, static and dynamic, come, go and are killed, with a server that is killed
// too. Each record is read, no commit that was acknowledged is lost, no two members have a partition at once, and none is left to
// nobody: what each says is compared. KILLS says how often something is killed.
func TestConsumerProtocolKills(t *testing.T) {
	least := 8
	if testing.Short() {
		least = 3
	}
	n, seed := howMany(least), rand.Uint64()
	t.Logf("seed %d", seed)
	d := &consumerDrill{command: samsaCommand(t), dir: t.TempDir(), gate: newGate(t)}
	d.kit = (&kit{}).within(t, javaPatience+time.Duration(n)*15*time.Second)
	d.addr = d.gate.Addr().String()
	d.enlist()
	var err error
	if d.asking, err = kgo.NewClient(steady(d.addr)...); err != nil {
		t.Fatal(err)
	}
	defer d.asking.Close()
	d.run(rand.New(rand.NewPCG(seed, 0)), n)
	d.check()
	t.Logf("%d kills", n)
}

// enlist lists the members of the clients that there are.
func (d *consumerDrill) enlist() {
	franz := func(name, instance string) *exec.Cmd {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), childName+"=consumer member", childAddr+"="+d.addr, childID+"="+name+" "+instance)
		return cmd
	}
	args := func(name, instance string) []string {
		return append([]string{d.addr, "drill", "input", name}, strings.Fields(instance)...)
	}
	d.members = []*drillMember{{name: "franz", command: franz}, {name: "franz-static", instance: "franz", command: franz}}
	if python := installed("librdkafka", "bin", "python"); exec.Command(python, "-c", "import confluent_kafka").Run() == nil {
		rdkafka := func(name, instance string) *exec.Cmd {
			return exec.Command(python, append([]string{filepath.Join("testdata", "confluent_member.py")}, args(name, instance)...)...)
		}
		d.members = append(d.members, &drillMember{name: "rdkafka", command: rdkafka}, &drillMember{name: "rdkafka-static", instance: "rdkafka", command: rdkafka})
	}
	if jars, _ := filepath.Glob(installed(string(javaStreams), "kafka-clients-*.jar")); len(jars) > 0 {
		d.members = append(d.members, &drillMember{name: "java", command: func(name, instance string) *exec.Cmd {
			return javaStreams.command(context.Background(), append([]string{filepath.Join("testdata", "java", "Member.java")}, args(name, instance)...)...)
		}})
	}
}

func (d *consumerDrill) run(rng *rand.Rand, kills int) {
	d.serve()
	feeding, stop := context.WithCancel(d.ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	wg.Go(func() { d.feed(feeding) })
	for killed := 0; killed < kills; {
		d.revive()
		m := d.members[rng.IntN(len(d.members))]
		m.more(1 + rng.IntN(8))
		switch rng.IntN(10) {
		case 0, 1, 2, 3:
			m.kill()
			killed++
		case 4, 5:
			d.restart()
			killed++
		case 6:
			m.kill()
			d.restart()
			killed += 2
		case 7:
			d.gate.cut()
		case 8, 9:
			m.leave()
		}
		if killed%drillSettles == 0 {
			d.settle()
		}
	}
	d.settle()
	stop()
	wg.Wait()
	d.eventually("all is committed", func() bool { return d.committed() == d.ends })
}

func (d *consumerDrill) serve() {
	d.t.Helper()
	args := []string{"serve", "--listen", "127.0.0.1:0", "--advertise", d.addr, "--data", d.dir, "--topic", fmt.Sprint("input:", drillPartitions)}
	for _, config := range []string{"min.heartbeat.interval.ms=100", "heartbeat.interval.ms=200", "min.session.timeout.ms=1000", "session.timeout.ms=2000",
		"assignment.interval.ms=0"} {
		args = append(args, "--group-config", "group.consumer."+config)
	}
	d.server = d.start(exec.Command(d.command, args...))
	d.gate.lead(d.server.await(serving)[1])
}

func (d *consumerDrill) restart() {
	d.t.Helper()
	d.gate.lead("")
	d.server.kill()
	d.serve()
}

// revive starts the members that have ended.
func (d *consumerDrill) revive() {
	d.t.Helper()
	for _, m := range d.members {
		if m.process != nil && !m.over() {
			continue
		}
		m.lives = append(m.lives, nil)
		m.process = d.start(m.command(m.id(), m.instance))
		m.asked.Store(true) // it may end
		m.lives[len(m.lives)-1] = m.process
	}
}

// feed writes the input until ctx ends.
func (d *consumerDrill) feed(ctx context.Context) {
	cl, err := kgo.NewClient(append(steady(d.addr), kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
	if err != nil {
		d.t.Error(err)
		return
	}
	defer cl.Close()
	var mu sync.Mutex // guards ends
	pace := time.NewTicker(drillPace)
	defer pace.Stop()
	for i := 0; ctx.Err() == nil; i++ {
		select {
		case <-ctx.Done():
		case <-pace.C:
			cl.Produce(d.ctx, &kgo.Record{Topic: "input", Partition: int32(i % drillPartitions)}, func(r *kgo.Record, err error) {
				mu.Lock()
				defer mu.Unlock()
				if err != nil && d.ctx.Err() == nil {
					d.t.Errorf("input: %v", err)
				} else if err == nil {
					d.ends[r.Partition] = max(d.ends[r.Partition], r.Offset+1)
				}
			})
		}
	}
	if err := cl.Flush(d.ctx); err != nil && d.ctx.Err() == nil {
		d.t.Error(err)
	}
}

// drillRequest asks the server.
func drillRequest[T kmsg.Response](d *consumerDrill, req kmsg.Request) (resp T, err error) {
	answer, err := d.asking.Request(d.ctx, req)
	if err != nil {
		return resp, err
	}
	return answer.(T), nil
}

// committed is what the server has as committed.
func (d *consumerDrill) committed() (offsets [drillPartitions]int64) {
	d.t.Helper()
	req := kmsg.NewPtrOffsetFetchRequest()
	req.Groups = []kmsg.OffsetFetchRequestGroup{{Group: "drill", MemberEpoch: -1}}
	resp, err := drillRequest[*kmsg.OffsetFetchResponse](d, req)
	if err != nil {
		d.t.Fatal(err)
	}
	for _, topic := range resp.Groups[0].Topics {
		for _, p := range topic.Partitions {
			offsets[p.Partition] = p.Offset
		}
	}
	return offsets
}

// settle waits until the group consists of those who live now, each partition is with one of them, and each knows it.
func (d *consumerDrill) settle() {
	d.t.Helper()
	var last string
	ctx := d.ctx
	defer func() {
		if ctx.Err() != nil {
			d.t.Log(last)
		}
	}()
	d.eventually("each partition is with one member, who knows it", func() bool {
		d.revive()
		req := kmsg.NewPtrConsumerGroupDescribeRequest()
		req.Groups = []string{"drill"}
		resp, err := drillRequest[*kmsg.ConsumerGroupDescribeResponse](d, req)
		if err != nil || len(resp.Groups) != 1 {
			last = fmt.Sprint(err)
			return false
		}
		g := &resp.Groups[0]
		want, got, all := make(map[string][]int32), make(map[string][]int32), []int32(nil)
		for _, m := range d.members {
			want[m.id()] = holds(m.said.String())
		}
		stable := g.State == "Stable"
		for _, m := range g.Members {
			var has, target []int32
			for _, t := range m.Assignment.TopicPartitions {
				has = append(has, t.Partitions...)
			}
			for _, t := range m.TargetAssignment.TopicPartitions {
				target = append(target, t.Partitions...)
			}
			stable = stable && m.MemberEpoch == g.Epoch && slices.Equal(has, target)
			got[m.ClientID] = has
			all = append(all, has...)
		}
		last = fmt.Sprintf("group %+v, the members say %v", g, want)
		slices.Sort(all)
		return stable && len(g.Members) == len(got) && maps.EqualFunc(got, want, slices.Equal) && slices.Equal(all, everyPartition())
	})
}

func everyPartition() (all []int32) {
	for p := range int32(drillPartitions) {
		all = append(all, p)
	}
	return all
}

// tenure is a time in which a member has a partition.
type tenure struct {
	who         string
	first, last int64 // offsets read; last is -1 for none
	committed   int64 // last offset that was acknowledged, -1 for none
}

// tenures returns those of each partition that a life tells of, and an error if one has read out of order.
func tenures(who, said string) (all [drillPartitions][]tenure, holding map[int32]*tenure, err error) {
	holding = make(map[int32]*tenure)
	end := func(p int32) {
		if t := holding[p]; t != nil && t.last >= 0 {
			all[p] = append(all[p], *t)
		}
		delete(holding, p)
	}
	for line := range strings.Lines(said) {
		if !strings.HasSuffix(line, "\n") {
			break // it was killed
		}
		words := strings.Fields(line)
		if len(words) == 0 || !slices.Contains([]string{"assigned", "revoked", "lost", "read", "committed"}, words[0]) {
			continue
		}
		n := make([]int64, len(words)-1)
		for i, w := range words[1:] {
			if n[i], err = strconv.ParseInt(w, 10, 64); err != nil {
				return all, holding, fmt.Errorf("%s says %q", who, line)
			}
		}
		switch words[0] {
		case "assigned":
			for _, p := range n {
				if holding[int32(p)] != nil {
					return all, holding, fmt.Errorf("%s is assigned partition %d, which it has", who, p)
				}
				holding[int32(p)] = &tenure{who: who, last: -1, committed: -1}
			}
			continue
		case "revoked", "lost":
			for _, p := range n {
				end(int32(p))
			}
			continue
		}
		t := holding[int32(n[0])]
		switch {
		case t == nil:
			return all, holding, fmt.Errorf("%s has no partition %d, and says %q", who, n[0], line)
		case words[0] == "committed":
			t.committed = n[1]
		case t.last >= 0 && n[1] != t.last+1:
			return all, holding, fmt.Errorf("%s reads partition %d from %d on after %d", who, n[0], n[1], t.last)
		default:
			if t.last < 0 {
				t.first = n[1]
			}
			t.last = n[2]
		}
	}
	return all, holding, nil
}

// holds returns which partitions a member has, by what it says.
func holds(said string) []int32 {
	_, holding, _ := tenures("", said)
	return slices.Sorted(maps.Keys(holding))
}

// check compares what all members have said.
func (d *consumerDrill) check() {
	var all [drillPartitions][]tenure
	lives := 0
	for _, m := range d.members {
		for i, life := range m.lives {
			lives++
			of, holding, err := tenures(fmt.Sprintf("%s-%d", m.name, i+1), life.said.String())
			if err != nil {
				d.t.Error(err)
			}
			for p, t := range holding {
				if t.last >= 0 {
					of[p] = append(of[p], *t)
				}
			}
			for p := range of {
				all[p] = append(all[p], of[p]...)
			}
		}
	}
	told, records := 0, int64(0)
	for p, ts := range all {
		// Who takes a partition over begins where the one before has committed. So between the first that one has read and the
		// last it has committed nobody else begins.
		slices.SortFunc(ts, func(a, b tenure) int {
			return cmp.Or(cmp.Compare(a.first, b.first), cmp.Compare(a.committed, b.committed))
		})
		read, committed := int64(0), tenure{committed: -1}
		for _, t := range ts {
			if t.first > read {
				d.t.Errorf("partition %d: nobody has read from %d to %d", p, read, t.first)
			}
			if t.first < committed.committed {
				d.t.Errorf("partition %d: %+v begins although %+v has committed", p, t, committed)
			}
			read = max(read, t.last+1)
			if t.committed > committed.committed {
				committed = t
			}
		}
		if read != d.ends[p] {
			d.t.Errorf("partition %d: read up to %d of %d", p, read, d.ends[p])
		}
		told += len(ts)
		records += read
	}
	d.t.Logf("%d lives, %d tenures, %d records", lives, told, records)
}
