// Package kit is what the tests of package cluster are made of: a cluster, its parts, and the steps that change it from outside.
package kit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/cluster/internal/groups"
	"github.com/samsa-go/samsa/cluster/internal/link"
	"github.com/samsa-go/samsa/cluster/internal/read"
	"github.com/samsa-go/samsa/cluster/kafkatest"
	"github.com/samsa-go/samsa/group"
	"github.com/samsa-go/samsa/group/member"
	"github.com/samsa-go/samsa/internal/callback"
	"github.com/samsa-go/samsa/internal/consumer"
	"github.com/samsa-go/samsa/internal/engine"
	"github.com/samsa-go/samsa/kafka"
	"github.com/samsa-go/samsa/log"
)

// Kit is a cluster, its parts, and the steps that tests are made of. What goes wrong in a step ends the test.
type Kit struct {
	T      testing.TB
	Ctx    context.Context // of a minute or two
	Seeds  []string
	Server *kafka.Server // nil when it is Kafka
	Link   *link.Link
	Topics *read.Topics
	Groups *groups.Groups
	Reads  consumer.Broker

	out *kgo.Client // who changes the cluster from outside
	adm *kadm.Client
}

// Main runs the tests of a package, and fails it when goroutines are left.
func Main(m *testing.M) {
	code := m.Run()
	if err := shared.stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// Places runs a test through our own door, and on Kafka.
func Places(t *testing.T, test func(t *testing.T, k *Kit)) {
	t.Run("door", func(t *testing.T) { test(t, Door(t)) })
	t.Run("kafka", func(t *testing.T) { test(t, At(t, Kafka(t))) })
}

// Door returns a kit whose cluster is a broker in memory behind its wire door.
func Door(t testing.TB) *Kit {
	t.Helper()
	b, err := samsa.Open("", samsa.Options{InMemory: true, Groups: samsa.GroupOptions{InitialRebalanceDelay: -1, Configs: ShareBounds}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	srv, err := kafka.Listen(b, "127.0.0.1:0", kafka.Options{})
	if err != nil {
		t.Fatal(err)
	}
	k := At(t, []string{srv.Addr().String()})
	k.Server = srv
	return k
}

// broker is the Kafka that the tests of a package share.
type broker struct {
	once    sync.Once
	cluster *kafkatest.Cluster
	err     error
}

var shared broker

// ShareBounds are configs of brokers that let share groups have short locks, and members that are gone be noticed soon.
var ShareBounds = map[string]string{
	"group.share.min.record.lock.duration.ms": "1000", "group.share.min.session.timeout.ms": "1000", "group.share.min.heartbeat.interval.ms": "500",
}

// Kafka returns the addresses of a Kafka of one node, which the tests of the package share.
func Kafka(t testing.TB) []string {
	t.Helper()
	kafkatest.Need(t)
	shared.once.Do(func() {
		shared.cluster, shared.err = kafkatest.Start(context.Background(), kafkatest.Options{Configs: ShareBounds})
	})
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return shared.cluster.Seeds()
}

func (b *broker) stop() error {
	if b.cluster == nil {
		return nil
	}
	return b.cluster.Stop()
}

// At returns a kit for the cluster with these brokers.
func At(t testing.TB, seeds []string) *Kit {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	k := &Kit{T: t, Ctx: ctx, Seeds: seeds}
	var err error
	if k.out, err = kgo.NewClient(kgo.SeedBrokers(seeds...), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.MetadataMinAge(50*time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.out.Close)
	k.adm = kadm.NewClient(k.out)
	if k.Link, err = link.Open(link.Options{Seeds: seeds}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Link.Close)
	if k.Topics, err = read.Open(ctx, k.Link); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Topics.Close)
	k.Groups = groups.New(k.Link, k.Topics)
	t.Cleanup(k.Groups.Close)
	k.Reads = consumer.Broker{
		Topics: k.Topics, Coordinator: k.Groups, Offsets: k.Groups,
		Logger: zap.NewNop(), Clients: new(callback.Clients), Resets: new(consumer.ResetStats), Passed: new(atomic.Int64),
	}
	return k
}

var names atomic.Int64

// Name returns a name that no other test has.
func (k *Kit) Name(what string) string {
	return fmt.Sprintf("%s-%d-%d", what, os.Getpid(), names.Add(1))
}

// Create creates a topic of so many partitions, and returns its name.
func (k *Kit) Create(what string, partitions int32) string {
	k.T.Helper()
	name := k.Name(what)
	k.CreateAs(name, partitions)
	return name
}

// CreateAs creates a topic of that name.
func (k *Kit) CreateAs(name string, partitions int32) {
	k.T.Helper()
	if _, err := k.adm.CreateTopic(k.Ctx, partitions, -1, nil, name); err != nil {
		k.T.Fatal(err)
	}
	if err := k.Topics.Await(k.Ctx, name, partitions); err != nil {
		k.T.Fatal(err)
	}
}

// Grow gives a topic more partitions.
func (k *Kit) Grow(name string, partitions int) {
	k.T.Helper()
	if _, err := k.adm.UpdatePartitions(k.Ctx, partitions, name); err != nil {
		k.T.Fatal(err)
	}
}

// Configure sets a config of a topic, and returns when it holds. A controller says so before a broker has heard of it, and a broker tells of it before it
// heeds it. But it takes one change of the cluster behind the other: when it tells of a later one it heeds this one.
func (k *Kit) Configure(name, config, value string) {
	k.T.Helper()
	k.configure(name, config, value)
	k.configure(name, "segment.jitter.ms", fmt.Sprint(names.Add(1)))
}

// configure sets a config of a topic, and returns when the cluster tells of it.
func (k *Kit) configure(name, config, value string) {
	k.T.Helper()
	got, err := k.adm.AlterTopicConfigs(k.Ctx, []kadm.AlterConfig{{Op: kadm.SetConfig, Name: config, Value: &value}}, name)
	if err == nil {
		_, err = got.On(name, func(r *kadm.AlterConfigsResponse) error { return r.Err })
	}
	if err != nil {
		k.T.Fatal(err)
	}
	k.await("a config", func() bool {
		told, err := k.adm.DescribeTopicConfigs(k.Ctx, name)
		if err != nil {
			return false
		}
		return slices.ContainsFunc(told[0].Configs, func(c kadm.Config) bool { return c.Key == config && c.MaybeValue() == value })
	})
}

// await asks until ok is true.
func (k *Kit) await(what string, ok func() bool) {
	k.T.Helper()
	for !ok() {
		select {
		case <-time.After(5 * time.Millisecond):
		case <-k.Ctx.Done():
			k.T.Fatalf("not seen: %s", what)
		}
	}
}

// Drop deletes a topic, and returns when it is not there: a controller says so before a broker has heard of it.
func (k *Kit) Drop(name string) {
	k.T.Helper()
	if _, err := k.adm.DeleteTopic(k.Ctx, name); err != nil {
		k.T.Fatal(err)
	}
	k.await("the end of a topic", func() bool {
		there, err := k.adm.ListTopics(k.Ctx, name)
		return err == nil && errors.Is(there[name].Err, kerr.UnknownTopicOrPartition)
	})
}

// DropRecords deletes the records of a partition before an offset.
func (k *Kit) DropRecords(name string, partition int32, before int64) {
	k.T.Helper()
	offsets := make(kadm.Offsets)
	offsets.AddOffset(name, partition, before, -1)
	if _, err := k.adm.DeleteRecords(k.Ctx, offsets); err != nil {
		k.T.Fatal(err)
	}
}

// Put stores values in a partition, a batch each.
func (k *Kit) Put(name string, partition int32, values ...string) {
	k.T.Helper()
	for _, v := range values {
		if err := k.out.ProduceSync(k.Ctx, &kgo.Record{Topic: name, Partition: partition, Value: []byte(v)}).FirstErr(); err != nil {
			k.T.Fatal(err)
		}
	}
}

// PutTogether stores values in one batch.
func (k *Kit) PutTogether(name string, partition int32, values ...string) {
	k.T.Helper()
	var records []*kgo.Record
	for _, v := range values {
		records = append(records, &kgo.Record{Topic: name, Partition: partition, Value: []byte(v)})
	}
	if err := k.Producer(kgo.ProducerLinger(50*time.Millisecond)).ProduceSync(k.Ctx, records...).FirstErr(); err != nil {
		k.T.Fatal(err)
	}
}

// Producer returns a client of others, which is closed with the test.
func (k *Kit) Producer(opts ...kgo.Opt) *kgo.Client {
	k.T.Helper()
	cl, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(k.Seeds...), kgo.RecordPartitioner(kgo.ManualPartitioner())}, opts...)...)
	if err != nil {
		k.T.Fatal(err)
	}
	k.T.Cleanup(cl.Close)
	return cl
}

// Transact stores values in a partition in a transaction, which ends as commit says. It returns when that is done in the partition: a coordinator says
// so before the leader has heard of it.
func (k *Kit) Transact(cl *kgo.Client, name string, partition int32, commit bool, values ...string) {
	k.T.Helper()
	if err := cl.BeginTransaction(); err != nil {
		k.T.Fatal(err)
	}
	for _, v := range values {
		if err := cl.ProduceSync(k.Ctx, &kgo.Record{Topic: name, Partition: partition, Value: []byte(v)}).FirstErr(); err != nil {
			k.T.Fatal(err)
		}
	}
	if err := cl.EndTransaction(k.Ctx, kgo.TransactionEndTry(commit)); err != nil {
		k.T.Fatal(err)
	}
	id := cl.OptValue(kgo.TransactionalID).(string)
	k.await("the end of a transaction", func() bool {
		told, err := k.adm.DescribeTransactions(k.Ctx, id)
		return err == nil && strings.HasPrefix(told[id].State, "Complete")
	})
}

// Consumer returns one that is closed with the test. Options that are zero are the root's defaults.
func (k *Kit) Consumer(opts consumer.Options) *consumer.Consumer {
	k.T.Helper()
	if opts.MaxPollRecords == 0 {
		opts.MaxPollRecords, opts.MaxPollBytes = 4096, 4<<20
	}
	opts.Member.Assignors = []group.Assignor{group.CooperativeSticky()}
	opts.Member.SessionTimeout, opts.Member.HeartbeatInterval, opts.Member.MaxPollInterval = 10*time.Second, 200*time.Millisecond, time.Minute
	c, err := consumer.New(k.Ctx, &k.Reads, opts)
	if err != nil {
		k.T.Fatal(err)
	}
	k.T.Cleanup(func() { _ = c.Close() })
	return c
}

// Read polls until n records came, and returns their values by partition.
func (k *Kit) Read(c *consumer.Consumer, n int) map[int32][]string {
	k.T.Helper()
	got := make(map[int32][]string)
	for n > 0 {
		records, err := c.Poll(k.Ctx)
		if err != nil {
			k.T.Fatal(err)
		}
		for _, r := range records {
			got[r.Partition] = append(got[r.Partition], string(r.Value))
		}
		n -= len(records)
	}
	return got
}

// Partition returns a partition as it is now.
func (k *Kit) Partition(name string, i int32) engine.Partition {
	k.T.Helper()
	t, err := k.Topics.Find(k.Ctx, name, false)
	if err != nil {
		k.T.Fatal(err)
	}
	p, err := t.Partition(i)
	if err != nil {
		k.T.Fatal(err)
	}
	return p
}

// Until calls ok until it is true, whenever w is woken.
func (k *Kit) Until(w *engine.Waiter, what string, ok func() bool) {
	k.T.Helper()
	for !ok() {
		select {
		case <-w.C():
		case <-k.Ctx.Done():
			k.T.Fatalf("not seen: %s", what)
		}
	}
}

// Want ends the test unless got and want read the same.
func (k *Kit) Want(got, want any) {
	k.T.Helper()
	if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
		k.T.Fatalf("got %s, want %s", g, w)
	}
}

// WantError ends the test unless err is want.
func (k *Kit) WantError(err, want error) {
	k.T.Helper()
	if !errors.Is(err, want) {
		k.T.Fatalf("got %v, want %v", err, want)
	}
}

// TP names a partition.
func TP(topic string, partition int32) log.TopicPartition {
	return log.TopicPartition{Topic: topic, Partition: partition}
}

// Member are the options of a member of a group that commits by itself.
func Member() member.Options { return member.Options{AutoCommitInterval: time.Second} }
