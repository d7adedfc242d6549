package e2e

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/samsatest"
)

func (k *kit) metrics(opts samsa.MetricsOptions) samsa.Metrics {
	k.t.Helper()
	m, err := k.Metrics(k.ctx, opts)
	if err != nil {
		k.t.Fatal(err)
	}
	return m
}

// A minute of a broker: two batches, a member that has done one, a queue that has given one up.
func TestMetricsTellOfEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := inMemory(t, samsa.Options{})
		k.create("orders", 2)
		k.create("jobs", 1)
		p := k.producer(samsa.ProducerOptions{ClientID: "shop", Partitioner: samsa.ManualPartitioner()})
		send := func(value string) {
			if _, err := p.ProduceSync(k.ctx, samsa.Record{Topic: "orders", Partition: 1, Value: []byte(value)}); err != nil {
				t.Fatal(err)
			}
		}
		send("tea")
		time.Sleep(time.Minute)
		send("milk")
		if _, err := p.ProduceSync(k.ctx, samsa.Record{Topic: "orders", Value: make([]byte, 2<<20)}); err == nil {
			t.Fatal("a record that is too large was stored")
		}
		c := k.consumer(samsa.ConsumerOptions{Group: "mailer", Topics: []string{"orders"}, ClientID: "m1", Member: samsa.MemberOptions{ManualCommit: true}})
		records := k.read(c, 2)
		if err := c.CommitRecords(k.ctx, records[0]); err != nil {
			t.Fatal(err)
		}
		k.write("jobs", "a", "b")
		q := k.queue(samsa.QueueOptions{Group: "workers", Topics: []string{"jobs"}})
		ds, err := q.Receive(k.ctx, 2)
		if err != nil || ds[0].Reject("no") != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Second)

		m := k.metrics(samsa.MetricsOptions{})
		if o := m.Topics[1]; o.Topic != "orders" || o.Count != 2 || o.Offsets != 2 || o.BytesLive == 0 || o.BytesLive != o.Appended ||
			o.Partitions[0].HighWatermark != 0 || o.Partitions[1].HighWatermark != 2 {
			t.Errorf("topic: %+v", o)
		}
		if g := m.Groups[0]; g.Group != "mailer" || g.Kind != samsa.GroupClassic || g.State != samsa.GroupStable || g.Members != 1 || g.Rebalances != 1 ||
			g.Lag != 1 || g.LagTime.Round(time.Second) != 3*time.Second || g.Count != 2 || g.Partitions[1].Committed != 1 || g.Partitions[0].Committed != -1 {
			t.Errorf("group: %+v", g)
		}
		if g := m.Groups[1]; g.Group != "workers" || g.Kind != samsa.GroupShare || g.Lag != 1 || g.InFlight != 1 || g.Deliveries != 2 || g.Rejected != 1 ||
			g.LagTime < 3*time.Second {
			t.Errorf("queue: %+v", g)
		}
		if p := m.Producers[0]; p.ClientID != "shop" || p.Open != 1 || p.Records != 2 || p.Batches != 2 || p.Buffered != 0 || p.Times.Count() != 2 {
			t.Errorf("producer: %+v", p)
		}
		if c := m.Consumers[0]; c.Group != "mailer" || c.ClientID != "m1" || c.Open != 1 || c.Partitions != 2 || c.Records != 2 || c.Bytes != 7 || c.Commits != 1 {
			t.Errorf("consumer: %+v", c)
		}
		if b := m.Broker; b.Topics != 2 || b.Partitions != 3 || b.Groups != 2 || b.Clients != 3 || b.Records != 4 || b.Rebalances != 1 || !b.Opened.Before(m.Time) {
			t.Errorf("broker: %+v", b)
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		mustClose(t, p)
		m = k.metrics(samsa.MetricsOptions{Topics: []string{"jobs"}, Groups: []string{}})
		if p, c := m.Producers[0], m.Consumers[0]; p.Open != 0 || p.Records != 2 || c.Open != 0 || c.Records != 2 || c.Partitions != 0 {
			t.Errorf("of clients that are closed: %+v, %+v", p, c)
		}
		if len(m.Topics) != 1 || m.Topics[0].Topic != "jobs" || len(m.Groups) != 0 || m.LeftOut != (samsa.MetricsLeftOut{}) {
			t.Errorf("of what was asked for: %+v", m)
		}
	})
}

// What there is too much of is left out and counted; sums stay.
func TestMetricsHaveALimit(t *testing.T) {
	k := inMemory(t, samsa.Options{})
	for i := range 4 {
		name := fmt.Sprint("t", i)
		k.create(name, 2)
		k.write(name, "x", "y")
		if err := k.Groups().AlterOffsets(k.ctx, "g"+name, samsa.To(samsa.Earliest()), samsa.TopicPartition{Topic: name}, samsa.TopicPartition{Topic: name, Partition: 1}); err != nil {
			t.Fatal(err)
		}
		mustClose(t, k.producer(samsa.ProducerOptions{ClientID: name}))
	}
	m := k.metrics(samsa.MetricsOptions{MaxSeries: 3})
	if m.LeftOut != (samsa.MetricsLeftOut{Topics: 1, Partitions: 6, Groups: 1, GroupPartitions: 4, Clients: 1}) {
		t.Errorf("left out: %+v", m.LeftOut)
	}
	if len(m.Topics) != 3 || len(m.Topics[0].Partitions) != 2 || m.Topics[1].Partitions != nil || m.Topics[2].Offsets != 2 || m.Topics[2].Count != 2 {
		t.Errorf("topics: %+v", m.Topics)
	}
	if len(m.Groups) != 3 || len(m.Groups[0].Partitions) != 2 || m.Groups[1].Partitions != nil || m.Groups[2].Lag != 2 {
		t.Errorf("groups: %+v", m.Groups)
	}
	if len(m.Producers) != 3 {
		t.Errorf("producers: %+v", m.Producers)
	}
	if _, err := k.Metrics(k.ctx, samsa.MetricsOptions{MaxSeries: -1}); err == nil || !strings.Contains(err.Error(), "MaxSeries is -1, want 0 or more") {
		t.Errorf("a negative limit: %v", err)
	}
}

func TestMetricsTellWhyWritesAreRefused(t *testing.T) {
	k := inMemory(t, samsa.Options{})
	k.create("orders", 1)
	samsatest.FillDisk(k.Broker)
	for range 3 {
		if _, err := k.Produce(k.ctx, samsa.Record{Topic: "orders"}); err == nil {
			t.Fatal("a full disk takes records")
		}
	}
	s, err := k.Stats(k.ctx)
	if err != nil || s.Refused["ErrDiskFull"] != 3 || len(s.Refused) != 1 || s.Failed != 3 {
		t.Errorf("%+v, %v", s, err)
	}
	if s.Store != (samsa.StoreStats{FreeBytes: -1}) || s.CommitTimes.Count() != 0 {
		t.Errorf("in memory there is a store on disk: %+v", s.Store)
	}
}

// A group that cannot be read is told to be damaged, and the others are told.
func TestMetricsOfWhatIsDamaged(t *testing.T) {
	for _, trouble := range troubles {
		if trouble.name != "a damaged group" && trouble.name != "a damaged offset" {
			continue
		}
		w := newWorld(t, trouble.damaged)
		m, err := w.b.Metrics(context.Background(), samsa.MetricsOptions{})
		if err != nil || len(m.Groups) == 0 || !m.Groups[0].Damaged || m.Groups[0].Group != "g" {
			t.Errorf("%s: %+v, %v", trouble.name, m.Groups, err)
		}
		mustClose(t, w.b)
	}
}

// A broker on disk tells of its files.
func TestMetricsOfAStoreOnDisk(t *testing.T) {
	k := open(t, t.TempDir(), samsa.Options{Produce: samsa.ProduceOptions{Acks: samsa.AckSynced}})
	k.create("orders", 1)
	for range 3 {
		k.write("orders", strings.Repeat("x", 10_000))
	}
	if _, err := k.Sweep(k.ctx); err != nil {
		t.Fatal(err)
	}
	s, err := k.Stats(k.ctx)
	if err != nil {
		t.Fatal(err)
	}
	if st := s.Store; st.Files < 1 || st.FileBytes < st.LiveBytes || st.LiveBytes == 0 || st.Checkpoints != 1 || st.Tables < 1 || st.TableBytes == 0 || st.FreeBytes <= 0 {
		t.Errorf("store: %+v", st)
	}
	if s.CommitTimes.Count() < 1 || s.CommitTimes.Sum <= 0 || s.SyncTimes.Count() != s.Syncs || s.Syncs < 3 {
		t.Errorf("commits %+v, syncs %+v, %d", s.CommitTimes, s.SyncTimes, s.Syncs)
	}
}

// To ask while topics, groups and clients come and go is no error, and keeps nobody from anything.
func TestMetricsWhileThingsComeAndGo(t *testing.T) {
	k := open(t, t.TempDir(), samsa.Options{})
	var wg sync.WaitGroup
	for g := range 2 {
		wg.Go(func() {
			for i := range 20 {
				name := fmt.Sprintf("t%d%d", g, i%3)
				err := k.Topics().Create(k.ctx, name, samsa.TopicConfig{Partitions: 2})
				for range 3 {
					_, failed := k.Produce(k.ctx, samsa.Record{Topic: name, Value: []byte("x")})
					err = errors.Join(err, failed)
				}
				err = errors.Join(err, k.Groups().AlterOffsets(k.ctx, "g"+name, samsa.To(samsa.Earliest()), samsa.TopicPartition{Topic: name}))
				q, failed := k.NewQueue(k.ctx, samsa.QueueOptions{Group: "q" + name, Topics: []string{name}})
				if err = errors.Join(err, failed); err == nil {
					_, failed = q.Receive(k.ctx, 1)
					err = errors.Join(failed, q.Close())
				}
				err = errors.Join(err, k.Topics().Delete(k.ctx, name), k.Groups().Delete(k.ctx, "g"+name))
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	over := make(chan struct{})
	go func() { wg.Wait(); close(over) }()
	for asked := 0; ; asked++ {
		if _, err := k.Metrics(k.ctx, samsa.MetricsOptions{}); err != nil {
			t.Fatal(err)
		}
		select {
		case <-over:
			if asked == 0 {
				t.Error("nobody has asked meanwhile")
			}
			return
		default:
		}
	}
}
