package clienttest

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/samsa-go/samsa"
)

const (
	copierPartitions = 2
	copierPart       = 1000 // records of each partition, for each kill and for the end
	copierGroup      = "copiers"
)

// copying is a server that is a process, and Kafka's TransactionalMessageCopier, as many as there are partitions,
// from in to out.
type copying struct {
	*kit
	proxy         *proxy
	command, data string // samsa, and where it has its data
	server        *exec.Cmd
	group         bool // the group gives the copiers their partitions
	copiers       [copierPartitions]*copier
}

// copier is one that runs, or has run.
type copier struct {
	cmd   *exec.Cmd
	said  *logbook
	ended chan struct{} // closed when it has
}

// serve starts the server.
func (c *copying) serve() {
	c.t.Helper()
	c.server = exec.CommandContext(c.ctx, c.command, "serve", "--listen", "127.0.0.1:0", "--advertise", c.addr, "--data", c.data,
		"--topic", fmt.Sprint("in:", copierPartitions), "--topic", fmt.Sprint("out:", copierPartitions),
		"--group-initial-rebalance-delay", "0")
	stdout, err := c.server.StdoutPipe()
	if err != nil {
		c.t.Fatal(err)
	}
	if err := c.server.Start(); err != nil {
		c.t.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	addr := serving.FindStringSubmatch(line)
	if addr == nil {
		c.t.Fatalf("samsa serve said %q (%v)", line, err)
	}
	c.proxy.to(addr[1])
}

func (c *copying) killServer() {
	_ = c.server.Process.Kill() // it may have ended
	_ = c.server.Wait()         // says that it was killed
}

// run starts copier i, which aborts every third of its transactions. It ends when it is at the end.
func (c *copying) run(i int) {
	c.t.Helper()
	args := []string{"org.apache.kafka.tools.TransactionalMessageCopier", "--broker-list", c.addr, "--consumer-group", copierGroup,
		"--input-topic", "in", "--input-partition", strconv.Itoa(i), "--output-topic", "out", "--transactional-id", fmt.Sprint("copier", i),
		"--transaction-size", "25", "--transaction-timeout", "10000", "--enable-random-aborts", "--use-group-metadata"}
	if c.group {
		args = append(args, "--group-mode")
	}
	p := &copier{cmd: javaTools.command(c.ctx, args...), said: &logbook{changed: make(chan struct{})}, ended: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = p.said, p.said
	if err := p.cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	c.copiers[i] = p
	go func() {
		defer close(p.ended)
		_ = p.cmd.Wait() // the state of the process tells
	}()
	c.t.Cleanup(func() {
		c.cancel()
		<-p.ended
		if said := p.said.String(); c.t.Failed() || logLevel() != 0 {
			c.t.Logf("copier %d said:\n%s", i, said[max(0, len(said)-4<<10):])
		}
	})
}

func (c *copying) killCopier(i int) {
	_ = c.copiers[i].cmd.Process.Kill() // it may have ended
	<-c.copiers[i].ended
}

// write produces so many records to each partition of in, which have numbers.
func (c *copying) write(n int) {
	c.t.Helper()
	cl := c.franz(kgo.RecordPartitioner(kgo.ManualPartitioner()))
	defer cl.Close()
	var records []*kgo.Record
	for i := range n {
		for p := range int32(copierPartitions) {
			records = append(records, &kgo.Record{Topic: "in", Partition: p, Key: []byte("number"), Value: []byte(strconv.Itoa(i))})
		}
	}
	if err := cl.ProduceSync(c.ctx, records...).FirstErr(); err != nil {
		c.t.Fatal(err)
	}
}

// untilSent waits until so many records have been copied, whether committed or not.
func (c *copying) untilSent(n int) {
	c.t.Helper()
	out := c.readUncommitted("out")
	defer out.cl.Close()
	for sent := 0; sent < n; {
		sent += len(out.more())
	}
}

// done waits until the copiers have ended.
func (c *copying) done() {
	c.t.Helper()
	for i, p := range c.copiers {
		select {
		case <-p.ended:
		case <-c.ctx.Done():
			c.t.Fatalf("copier %d goes on and on", i)
		}
		if !p.cmd.ProcessState.Success() {
			c.t.Errorf("copier %d has failed: %v", i, p.cmd.ProcessState)
		}
	}
}

// exact checks that who reads what is committed sees each of n records of each partition once, in its order.
func (c *copying) exact(n int) {
	c.t.Helper()
	records := c.readCommitted("out").rest(copierPartitions)
	var next [copierPartitions]int
	for _, r := range records {
		if want := strconv.Itoa(next[r.Partition]); string(r.Value) != want {
			c.t.Fatalf("at offset %d of partition %d is number %s, want %s", r.Offset, r.Partition, r.Value, want)
		}
		next[r.Partition]++
	}
	for p, got := range next {
		if got != n {
			c.t.Errorf("partition %d has %d records, want %d", p, got, n)
		}
	}
	all := c.readUncommitted("out").rest(copierPartitions)
	c.t.Logf("%d records are committed, %d are not", len(records), len(all)-len(records))
}

// committedAll checks, when the server has gone, that the group has committed all n records of each partition.
func (c *copying) committedAll(n int64) {
	c.t.Helper()
	b, err := samsa.Open(c.data, samsa.Options{})
	if err != nil {
		c.t.Fatal(err)
	}
	defer func() {
		if err := b.Close(); err != nil {
			c.t.Error(err)
		}
	}()
	committed, err := b.Groups().Committed(c.ctx, copierGroup)
	if err != nil {
		c.t.Fatal(err)
	}
	for p := range int32(copierPartitions) {
		if got := committed[samsa.TopicPartition{Topic: "in", Partition: p}].Offset; got != n {
			c.t.Errorf("of partition %d is committed %d, want %d", p, got, n)
		}
	}
}

// Kafka's TransactionalMessageCopier copies each record exactly once, and commits how far it has got, though copiers
// are killed, and the server too.
func TestMessageCopier(t *testing.T) {
	t.Run("of partitions", func(t *testing.T) { testCopiers(t, false, 3) })
	t.Run("of a group", func(t *testing.T) { testCopiers(t, true, 2) })
}

func testCopiers(t *testing.T, group bool, least int) {
	javaTools.needs(t, "kafka-tools")
	t.Parallel() // it waits much of the time
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	c := &copying{proxy: newProxy(t), command: samsaCommand(t), data: t.TempDir(), group: group}
	c.kit = (&kit{addr: c.proxy.Addr().String()}).within(t, javaPatience+time.Duration(howMany(least))*patiencePerKill)
	c.serve()
	t.Cleanup(func() { c.killServer() })
	n := copierPart * (howMany(least) + 1)
	c.write(n)
	for i := range c.copiers {
		c.run(i)
	}
	var killed []string
	for i := range kills(t, least) {
		c.untilSent(copierPartitions*copierPart*i + 1 + rng.IntN(copierPartitions*copierPart))
		if victim := rng.IntN(copierPartitions + 1); victim < copierPartitions {
			c.killCopier(victim)
			c.run(victim)
			killed = append(killed, fmt.Sprint("copier ", victim))
		} else {
			c.killServer()
			c.serve()
			killed = append(killed, "server")
		}
	}
	slices.Sort(killed)
	t.Logf("killed: %v", killed)
	c.done()
	c.exact(n)
	c.killServer()
	c.committedAll(int64(n))
}
