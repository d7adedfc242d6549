package read_test

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/samsa-go/samsa/cluster/internal/kit"
	"github.com/samsa-go/samsa/cluster/kafkatest"
	"github.com/samsa-go/samsa/internal/consumer"
	"github.com/samsa-go/samsa/log"
)

// While records are produced each broker of three is killed or halted, and comes back: whoever reads gets what was acknowledged,
// in order and once.
func TestBrokersComeAndGo(t *testing.T) {
	c := kafkatest.New(t, kafkatest.Options{Nodes: 3})
	k := kit.At(t, c.Seeds())
	orders := k.Create("orders", 3)
	reader := k.Consumer(consumer.Options{Topics: []string{orders}, Isolation: log.ReadCommitted})

	began := time.Now()
	producing, stop := context.WithCancel(k.Ctx)
	defer stop()
	acked := make(chan int, 1)
	go func() { acked <- produce(producing, k, orders) }()
	trouble := make(chan error, 1)
	go func() {
		defer stop()
		trouble <- func() error {
			for id := 1; id <= 3; id++ {
				t.Logf("%v: node %d", time.Since(began), id)
				if err := bother(k.Ctx, c, id); err != nil {
					return err
				}
			}
			return nil
		}()
	}()

	next := make(map[int32]int)
	got, want := 0, -1
	for got != want {
		ctx, cancel := context.WithTimeout(k.Ctx, 100*time.Millisecond)
		records, err := reader.Poll(ctx)
		cancel()
		if err != nil && ctx.Err() == nil || k.Ctx.Err() != nil {
			t.Fatal(err)
		}
		for _, r := range records {
			if string(r.Value) != strconv.Itoa(next[r.Partition]) {
				t.Fatalf("partition %d: record %s at offset %d, want %d", r.Partition, r.Value, r.Offset, next[r.Partition])
			}
			next[r.Partition]++
			got++
		}
		select {
		case want = <-acked:
		default:
		}
	}
	if err := <-trouble; err != nil {
		t.Fatal(err)
	}
	t.Logf("%d records", got)
}

// bother kills a broker, or halts it, and has it come back when the others have gone on.
func bother(ctx context.Context, c *kafkatest.Cluster, id int) error {
	if id == 2 {
		if err := c.Pause(id); err != nil {
			return err
		}
		time.Sleep(6 * time.Second) // the others have to notice
		if err := c.Resume(id); err != nil {
			return err
		}
		return c.Ready(ctx)
	}
	c.Kill(id)
	if err := c.Ready(ctx); err != nil { // the others go on
		return err
	}
	if err := c.Restart(id); err != nil {
		return err
	}
	return c.Ready(ctx)
}

// produce numbers the records of each partition until ctx ends, and returns how many were acknowledged: all that it has sent.
func produce(ctx context.Context, k *kit.Kit, topic string) int {
	cl := k.Producer(kgo.RequiredAcks(kgo.AllISRAcks()), kgo.MetadataMinAge(100*time.Millisecond))
	acked := 0
	for n := 0; ctx.Err() == nil; n += 10 {
		var records []*kgo.Record
		for p := range int32(3) {
			for i := range 10 {
				records = append(records, &kgo.Record{Topic: topic, Partition: p, Value: []byte(strconv.Itoa(n + i))})
			}
		}
		if err := cl.ProduceSync(k.Ctx, records...).FirstErr(); err != nil {
			k.T.Error(err)
			return -1
		}
		acked += len(records)
	}
	return acked
}
