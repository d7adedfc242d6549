// Package kafkatest runs Apache Kafka for tests and benchmarks: a broker or several on loopback, whose jars Maven fetches.
package kafkatest

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Version of Kafka that pom.xml names.
const Version = "4.4.0"

//go:embed node.sh pom.xml
var files embed.FS

// Options of a cluster.
type Options struct {
	Nodes   int               // each is broker and controller; 0 means 1
	Dir     string            // of the data: a new directory in it, which goes with Stop; "" for that of temporary files
	Java    []string          // options of Java; nil means a heap of 512 MB
	Configs map[string]string // of the brokers, besides those that the package sets
	Racks   []string          // of the nodes, in their order; a node that has none listed has no rack

	Secure   Secure         // how clients are let in
	Features map[string]int // levels of features of the cluster that are not the newest: "transaction.version": 1
	Networks bool           // each node is in a network namespace of its own, so that Cut can part them: see NeedNetworks
}

// Cluster is a running one. Its methods are for one goroutine at a time.
type Cluster struct {
	opts  Options
	dir   string
	nodes []*node
	nets  *networks // nil without
	certs *certs    // nil without
}

// Start runs a cluster and returns when it answers. The first time Maven fetches it before. It needs bash, flock, java and mvn. Settings
// are Kafka's defaults, but that retention and the removal of deleted segments come within a second and not within minutes, that a
// new group does not wait for members, and that the cluster's own topics are small: who needs one first waits for it; and with three nodes or more that
// topics have three replicas, writes wait for two, and a node that is gone is noticed within seconds.
// The cluster ends with Stop, or with this process, however that ends.
func Start(ctx context.Context, opts Options) (_ *Cluster, err error) {
	opts.Nodes = max(1, opts.Nodes)
	if opts.Java == nil {
		opts.Java = []string{"-Xms512M", "-Xmx512M", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"} // it starts faster
	}
	c := &Cluster{opts: opts}
	if c.dir, err = os.MkdirTemp(opts.Dir, "samsa-kafka-"); err != nil {
		return nil, err
	}
	for i := range opts.Nodes {
		c.nodes = append(c.nodes, &node{id: i + 1, dir: filepath.Join(c.dir, strconv.Itoa(i+1)), host: "127.0.0.1"})
	}
	err = os.CopyFS(c.dir, files)
	if err == nil {
		err = c.place()
	}
	if err == nil && opts.Secure.TLS {
		c.certs, err = newCerts(c.hosts())
	}
	for _, n := range c.nodes {
		if err == nil {
			err = c.configure(n)
		}
		if err == nil {
			err = c.run(n)
		}
	}
	if err == nil {
		err = c.Ready(ctx)
	}
	if err == nil {
		c.archive(ctx)
		err = c.enlist(ctx)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start Kafka: %w%s", err, c.said()), c.Stop())
	}
	return c, nil
}

// archive has the node keep the classes that it has loaded for those that start after it on this machine, if there is no such archive: see
// node.sh. It stops for seconds meanwhile, so it is not done where other nodes would miss it. Without an archive they start all the same.
func (c *Cluster) archive(ctx context.Context) {
	path, err := os.ReadFile(filepath.Join(c.nodes[0].dir, "no-archive"))
	pid, errPid := c.Pid(1)
	if err != nil || errPid != nil || len(c.nodes) > 1 {
		return
	}
	archive := strings.TrimSpace(string(path))
	made := fmt.Sprint(archive, ".", pid) // two may be at it
	err = exec.CommandContext(ctx, "jcmd", strconv.Itoa(pid), "VM.cds", "dynamic_dump", made).Run()
	if err == nil { // Java dies of half an archive
		err = exec.CommandContext(ctx, "java", "-Xshare:on", "-XX:SharedArchiveFile="+made, "-cp", filepath.Join(filepath.Dir(archive), "*"), "-version").Run()
	}
	if err == nil {
		err = os.Rename(made, archive)
	}
	if err != nil {
		_ = os.Remove(made)
	}
}

// node is a process of the cluster.
type node struct {
	id    int
	dir   string
	host  string
	ports [3]string // by listener
	input io.Closer // when it is closed, the process ends
	ended chan struct{}
	exit  error // once it has ended
}

// The listeners of a node.
const (
	client     = iota // for clients, as Secure says
	inside            // for the other nodes, and for tests that need no permission
	controller        // for the other nodes
)

func (n *node) addr(listener int) string { return n.host + ":" + n.ports[listener] }

// place gives the nodes their addresses.
func (c *Cluster) place() (err error) {
	if c.opts.Networks {
		if c.nets, err = newNetworks(len(c.nodes)); err != nil {
			return err
		}
		for _, n := range c.nodes {
			n.host, n.ports = c.nets.host(n.id), [3]string{"9092", "9093", "9094"}
		}
		return nil
	}
	ports, err := freePorts(3 * len(c.nodes))
	if err != nil {
		return err
	}
	for i, n := range c.nodes {
		n.ports = [3]string(ports[3*i:])
	}
	return nil
}

func (c *Cluster) hosts() (all []string) {
	for _, n := range c.nodes {
		all = append(all, n.host)
	}
	return all
}

// configure writes the settings of a node.
func (c *Cluster) configure(n *node) error {
	if err := os.MkdirAll(n.dir, 0o700); err != nil {
		return err
	}
	var voters []string
	for _, v := range c.nodes {
		voters = append(voters, fmt.Sprintf("%d@%s", v.id, v.addr(controller)))
	}
	copies, inSync := min(3, len(c.nodes)), min(3, len(c.nodes))-1
	configs := map[string]string{
		"process.roles":                  "broker,controller",
		"node.id":                        strconv.Itoa(n.id),
		"controller.quorum.voters":       strings.Join(voters, ","),
		"listeners":                      fmt.Sprintf("CLIENT://%s,INSIDE://%s,CONTROLLER://%s", n.addr(client), n.addr(inside), n.addr(controller)),
		"controller.listener.names":      "CONTROLLER",
		"inter.broker.listener.name":     "INSIDE",
		"listener.security.protocol.map": "CLIENT:" + c.opts.Secure.protocol() + ",INSIDE:PLAINTEXT,CONTROLLER:PLAINTEXT",
		"log.dirs":                       filepath.Join(n.dir, "data"),

		"default.replication.factor":                       strconv.Itoa(copies),
		"min.insync.replicas":                              strconv.Itoa(max(1, inSync)),
		"offsets.topic.replication.factor":                 strconv.Itoa(copies),
		"transaction.state.log.replication.factor":         strconv.Itoa(copies),
		"transaction.state.log.min.isr":                    strconv.Itoa(max(1, inSync)),
		"share.coordinator.state.topic.replication.factor": strconv.Itoa(copies),
		"share.coordinator.state.topic.min.isr":            strconv.Itoa(max(1, inSync)),
		"group.initial.rebalance.delay.ms":                 "0",
		"log.retention.check.interval.ms":                  "1000",
		"log.segment.delete.delay.ms":                      "1000",
		"offsets.topic.num.partitions":                     "5",
		"transaction.state.log.num.partitions":             "5",
		"share.coordinator.state.topic.num.partitions":     "5",
	}
	if len(c.nodes) > 1 {
		maps.Copy(configs, several)
	}
	if err := c.secure(n, configs); err != nil {
		return err
	}
	maps.Copy(configs, c.opts.Configs)
	if n.id <= len(c.opts.Racks) {
		configs["broker.rack"] = c.opts.Racks[n.id-1]
	}
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(configs)) {
		fmt.Fprintf(&text, "%s=%s\n", name, configs[name])
	}
	var format strings.Builder
	for _, name := range slices.Sorted(maps.Keys(c.opts.Features)) {
		fmt.Fprintf(&format, "--feature\n%s=%d\n", name, c.opts.Features[name])
	}
	return errors.Join(
		os.WriteFile(filepath.Join(n.dir, "server.properties"), []byte(text.String()), 0o600),
		os.WriteFile(filepath.Join(n.dir, "format"), []byte(format.String()), 0o600),
	)
}

// several are settings of a cluster of several nodes: one that is gone is noticed soon.
var several = map[string]string{
	"broker.session.timeout.ms":    "3000",
	"broker.heartbeat.interval.ms": "500",
}

// run starts the process of a node.
func (c *Cluster) run(n *node) error {
	out, err := os.OpenFile(filepath.Join(n.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = out.Close() }() // the process has its own
	args := append([]string{"bash", filepath.Join(c.dir, "node.sh"), n.dir}, c.opts.Java...)
	if c.nets != nil {
		args = append(c.nets.within(n.id), args...)
	}
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdout, cmd.Stderr = out, out
	if n.input, err = cmd.StdinPipe(); err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		n.input = nil
		return err
	}
	ended := make(chan struct{})
	n.ended = ended
	go func() { // Kill waits for it
		n.exit = cmd.Wait()
		close(ended)
	}()
	return nil
}

// errEnded: a process is not there any more.
var errEnded = errors.New("it has ended")

// startWithin is enough for a slow download.
const startWithin = 10 * time.Minute

// Ready returns when all nodes that run know of each other, all replicas of all partitions on them are in sync, and the cluster has
// what groups need.
func (c *Cluster) Ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	client, err := kgo.NewClient(kgo.SeedBrokers(c.running()...), kgo.MetadataMinAge(100*time.Millisecond))
	if err != nil {
		return err
	}
	defer client.Close()
	for {
		asked, cancel := context.WithTimeout(ctx, 2*time.Second)
		err := c.answers(asked, client)
		cancel()
		if err == nil {
			return nil
		}
		if err := c.ended(); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ctx.Err(), err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// running returns the addresses of the nodes that run.
func (c *Cluster) running() (addrs []string) {
	for _, n := range c.nodes {
		if n.input != nil {
			addrs = append(addrs, n.addr(inside))
		}
	}
	return addrs
}

// answers asks each node for itself: another one may not have noticed yet that it is not there.
func (c *Cluster) answers(ctx context.Context, client *kgo.Client) error {
	all := len(c.running())
	for _, seed := range client.SeedBrokers() {
		resp, err := kmsg.NewPtrMetadataRequest().RequestWith(ctx, seed)
		if err != nil {
			return err
		}
		if n := len(resp.Brokers); n != all {
			return fmt.Errorf("a node knows of %d nodes, and %d run", n, all)
		}
		for _, t := range resp.Topics {
			for _, p := range t.Partitions {
				if p.Leader < 0 || len(p.ISR) < min(all, len(p.Replicas)) {
					return fmt.Errorf("a partition has %d of %d replicas in sync", len(p.ISR), len(p.Replicas))
				}
			}
		}
	}
	return kadm.NewClient(client).FindGroupCoordinators(ctx, "samsa").Error()
}

// ended returns an error if the process of a node has ended by itself.
func (c *Cluster) ended() error {
	for _, n := range c.nodes {
		if n.input == nil {
			continue
		}
		select {
		case <-n.ended:
			return fmt.Errorf("node %d: %w", n.id, errors.Join(errEnded, n.exit))
		default:
		}
	}
	return nil
}

// said returns what nodes have said last.
func (c *Cluster) said() string {
	var all strings.Builder
	for _, n := range c.nodes {
		said, _ := os.ReadFile(filepath.Join(n.dir, "log"))
		fmt.Fprintf(&all, "\nnode %d:\n%s", n.id, said[max(0, len(said)-4<<10):])
	}
	return all.String()
}

// Seeds returns the addresses of all nodes for clients, host:port.
func (c *Cluster) Seeds() []string { return c.addrs(client) }

// Inside returns the addresses of all nodes where everybody is let in, and may do everything.
func (c *Cluster) Inside() []string { return c.addrs(inside) }

func (c *Cluster) addrs(listener int) (all []string) {
	for _, n := range c.nodes {
		all = append(all, n.addr(listener))
	}
	return all
}

// Kill ends the node of that id, from 1 on, as the death of its process does. It has ended when Kill returns, also one that was halted; the others may not have noticed.
func (c *Cluster) Kill(id int) {
	if n := c.nodes[id-1]; n.input != nil {
		_ = n.input.Close() // a process that has ended has closed it
		<-n.ended
		n.input = nil
		_ = os.Remove(filepath.Join(n.dir, "pid")) // it may be another one's soon
	}
}

// Shut ends the node of that id as its operator does: it hands over what it leads before. It has ended when Shut returns. A node that is halted does not end.
func (c *Cluster) Shut(id int) error {
	if _, err := c.signal(id, terminate); err != nil {
		return err
	}
	<-c.nodes[id-1].ended
	c.Kill(id) // the shell around it
	return nil
}

// Pause halts the node of that id until Resume: its connections stay, what is sent to it is taken, and nobody answers. On Linux all of its threads
// are halted when Pause returns; elsewhere they may go on for a moment.
func (c *Cluster) Pause(id int) error {
	pid, err := c.signal(id, halt)
	if err != nil {
		return err
	}
	return awaitHalted(pid)
}

// Resume has a node that was halted go on. The others may have given it up meanwhile, and it does not know: it takes a moment to notice and to come back.
func (c *Cluster) Resume(id int) error {
	_, err := c.signal(id, goOn)
	return err
}

// signal returns which process it has told.
func (c *Cluster) signal(id int, s os.Signal) (pid int, err error) {
	if pid, err = c.Pid(id); err != nil {
		return 0, err
	}
	p, err := os.FindProcess(pid)
	if err != nil {
		return 0, err
	}
	return pid, p.Signal(s)
}

// Cut parts two nodes: what they send each other from now on is lost, and nobody tells. Node 0 is this process. It needs Options.Networks.
func (c *Cluster) Cut(a, b int) error { return c.nets.cut(a, b) }

// Heal ends what Cut has done. Who was parted tries again in its own time.
func (c *Cluster) Heal() error { return c.nets.heal() }

// Restart runs a node that was killed, or shut. Ready waits for it.
func (c *Cluster) Restart(id int) error { return c.run(c.nodes[id-1]) }

// Pid returns the process of a node that runs.
func (c *Cluster) Pid(id int) (int, error) {
	text, err := os.ReadFile(filepath.Join(c.nodes[id-1].dir, "pid"))
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(text)))
}

// Stop ends the cluster and removes its data.
func (c *Cluster) Stop() error {
	for _, n := range c.nodes {
		c.Kill(n.id)
	}
	return errors.Join(c.nets.close(), os.RemoveAll(c.dir))
}

// The ports of nodes. Higher ones a system gives to who connects, and to who listens wherever there is room, as tests do: such a one may be somebody's by
// the time that a node starts, or comes back.
const firstPort, lastPort = 10_000, 32_767

// freePorts returns numbers of ports that nobody listens at now.
func freePorts(n int) (ports []string, err error) {
	for tries := 0; len(ports) < n; tries++ {
		port := strconv.Itoa(firstPort + rand.IntN(lastPort-firstPort+1))
		l, err := net.Listen("tcp", "127.0.0.1:"+port)
		switch {
		case err == nil:
			defer func() { _ = l.Close() }() // after the last, so that they differ
			ports = append(ports, port)
		case tries > 10*n:
			return nil, err
		}
	}
	return ports, nil
}
