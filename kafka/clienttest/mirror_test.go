package clienttest

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/samsa-go/samsa"
)

// mirrorConfig is a MirrorMaker that brings topic orders and its groups from a to b.
func mirrorConfig(a, b string) string {
	return `
clusters=a,b
a.bootstrap.servers=` + a + `
b.bootstrap.servers=` + b + `
a->b.enabled=true
a->b.topics=orders
b->a.enabled=false

replication.factor=1
checkpoints.topic.replication.factor=1
heartbeats.topic.replication.factor=1
offset-syncs.topic.replication.factor=1
config.storage.replication.factor=1
offset.storage.replication.factor=1
status.storage.replication.factor=1

refresh.topics.interval.seconds=1
refresh.groups.interval.seconds=1
sync.topic.configs.interval.seconds=1
emit.checkpoints.interval.seconds=1
sync.group.offsets.enabled=true
sync.group.offsets.interval.seconds=1
offset.lag.max=0
plugin.discovery=service_load
a.plugin.discovery=service_load
b.plugin.discovery=service_load
`
}

const (
	ordersTopic   = "orders"
	mirroredTopic = "a." + ordersTopic
	ordersGroup   = "billing"
)

// orders are records of the topic.
func orders(from, to int) (records []record) {
	for i := from; i < to; i++ {
		records = append(records, record{Key: fmt.Sprint("customer ", i%5), Value: fmt.Sprintf("order %02d", i), Header: "paid"})
	}
	return records
}

// bill reads n orders as a member of the group, which goes on where the group is, and sorts them.
func (k *kit) bill(topic string, n int) []record {
	k.t.Helper()
	c, err := k.NewConsumer(k.ctx, samsa.ConsumerOptions{Group: ordersGroup, Topics: []string{topic}})
	if err != nil {
		k.t.Fatal(err)
	}
	var got []record
	for len(got) < n {
		some, err := c.Poll(k.ctx)
		if err != nil {
			k.t.Fatalf("%d of %d orders: %v", len(got), n, err)
		}
		got = append(got, plain(some)...)
	}
	if err := errors.Join(c.Commit(k.ctx), c.Close()); err != nil {
		k.t.Fatal(err)
	}
	slices.SortFunc(got, func(a, b record) int { return strings.Compare(a.Value, b.Value) })
	return got
}

// orders returns the first n records of a topic by where they are.
func (k *kit) orders(topic string, n int) map[place]record {
	k.t.Helper()
	at := make(map[place]record)
	records := k.read(topic, n)
	for i, r := range plain(records) {
		at[place{records[i].Partition, records[i].Offset}] = r
	}
	return at
}

func (k *kit) config(topic string) samsa.TopicConfig {
	k.t.Helper()
	info, err := k.Topics().Describe(k.ctx, topic)
	if err != nil {
		k.t.Fatal(err)
	}
	return info.Config
}

// MirrorMaker brings a topic from one broker to another, with its partitions, its configs, now and
// when they change, and its records; and its groups: one that fails over goes on there where it was.
func TestMirrorMaker(t *testing.T) {
	javaConnect.needs(t, "connect-mirror")
	t.Parallel() // it waits much of the time
	a, b := inMemory(t, samsa.Options{}).within(t, javaPatience), inMemory(t, samsa.Options{}).within(t, javaPatience)
	config := samsa.TopicConfig{Partitions: 2, CleanupPolicy: samsa.CleanupCompact | samsa.CleanupDelete, Retention: 36 * time.Hour}
	if err := a.Topics().Create(a.ctx, ordersTopic, config); err != nil {
		t.Fatal(err)
	}
	work := orders(0, 20)
	a.write(ordersTopic, work[:10])
	same(t, a.bill(ordersTopic, 10), work[:10])

	mirror := a.start(javaConnect.command(a.ctx, "-Dorg.slf4j.simpleLogger.log.org.apache.kafka.connect.mirror.MirrorSourceConnector=trace",
		"org.apache.kafka.connect.mirror.MirrorMaker", a.file("mirror.properties", mirrorConfig(a.addr, b.addr))))
	if got, want := b.orders(mirroredTopic, 10), a.orders(ordersTopic, 10); !maps.Equal(got, want) {
		t.Errorf("mirrored is %v, want %v", got, want)
	}
	if got, want := b.config(mirroredTopic), a.config(ordersTopic); got != want {
		t.Errorf("mirrored configs are %+v, want %+v", got, want)
	}
	err := a.Topics().Alter(a.ctx, ordersTopic, func(c *samsa.TopicConfig) error { c.Retention = 72 * time.Hour; return nil })
	if err != nil {
		t.Fatal(err)
	}
	mirror.until("the change of a config is mirrored", func() bool { return b.config(mirroredTopic) == a.config(ordersTopic) })

	b.untilCommitted(ordersGroup, mirroredTopic, 10)
	a.write(ordersTopic, work[10:])
	same(t, b.bill(mirroredTopic, 10), work[10:])
	mirror.await(regexp.MustCompile(`No ACL authorizer is configured`))
	if logged := regexp.MustCompile(`.* ERROR .*`).FindString(mirror.said.String()); logged != "" {
		t.Errorf("MirrorMaker has logged %s", logged)
	}
	mirror.stop()
	a.compacted("mm2-offset-syncs.b.internal")
	b.compacted("a.checkpoints.internal")
}
