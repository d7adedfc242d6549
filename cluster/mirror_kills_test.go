package cluster_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/cluster"
	"github.com/samsa-go/samsa/cluster/internal/kit"
	"github.com/samsa-go/samsa/cluster/kafkatest"
	"github.com/samsa-go/samsa/mirror"
)

// mirrorChild is the variable of the environment that makes this program one that mirrors until it is killed: DIRECTORY SEEDS there|back RATE, and
// "until-now" or nothing.
const mirrorChild = "SAMSA_MIRROR_CHILD"

func runMirrorChild(args string) error {
	a := strings.Split(args, " ")
	rate, err := strconv.ParseInt(a[3], 10, 64)
	if err != nil {
		return err
	}
	local, far, err := openBoth(context.Background(), a[0], strings.Split(a[1], ","))
	if err != nil {
		return err
	}
	defer func() { _, _ = local.Close(), far.Close() }()
	from, to := local, far
	if a[2] == "back" {
		from, to = far, local
	}
	m, err := mirror.New(from, to, mirror.Options{Name: "kills", Topics: []string{"numbers"}, BytesPerSecond: rate, UntilNow: a[4] != ""})
	if err != nil {
		return err
	}
	return m.Run(context.Background())
}

func openBoth(ctx context.Context, dir string, seeds []string) (local, far *samsa.Broker, err error) {
	if local, err = samsa.Open(dir, samsa.Options{}); err != nil {
		return nil, nil, err
	}
	if far, err = cluster.Open(ctx, cluster.Options{Seeds: seeds}); err != nil {
		_ = local.Close()
	}
	return local, far, err
}

const (
	killsPartitions = 4
	killsValue      = 100 // bytes of a record
)

// The program and the broker are killed at any moment while a mirror copies, each way. In the end each record is there once, in its order,
// and a group goes on where it was. KILLS says how often, RECORDS how many there are.
func TestMirrorKills(t *testing.T) {
	kafkatest.Need(t)
	for _, way := range []string{"there", "back"} {
		t.Run(way, func(t *testing.T) { killMirror(t, way, howMany("KILLS", 4), howMany("RECORDS", 40_000)) })
	}
}

func howMany(variable string, least int) int {
	if n, err := strconv.Atoi(os.Getenv(variable)); err == nil {
		return n
	}
	return least
}

func killMirror(t *testing.T, way string, kills, records int) {
	c := kafkatest.New(t, kafkatest.Options{})
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Hour)
	defer cancel()
	dir := t.TempDir()
	middle := int64(records / killsPartitions / 2)
	fillNumbers(ctx, t, dir, c.Seeds(), way, records)
	commitNumbers(ctx, t, dir, c.Seeds(), way, middle)

	rng := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 1))
	rate := records * killsValue / max(1, kills) * 10 / 8 // most of a life, for a kill each 800 ms
	start := func(until string) *exec.Cmd {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), mirrorChild+"="+strings.Join([]string{dir, strings.Join(c.Seeds(), ","), way, fmt.Sprint(rate), until}, " "))
		cmd.Stderr = os.Stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		return cmd
	}
	began := time.Now()
	for i := range kills {
		child := start("")
		time.Sleep(time.Duration(200+rng.IntN(1200)) * time.Millisecond) // the moment is what the test is about
		if i%4 == 3 {
			c.Kill(1)
			time.Sleep(time.Duration(rng.IntN(500)) * time.Millisecond)
			if err := c.Restart(1); err != nil {
				t.Fatal(err)
			}
			if err := c.Ready(ctx); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Duration(rng.IntN(1000)) * time.Millisecond)
		}
		if err := child.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := child.Wait(); child.ProcessState.Exited() {
			t.Fatalf("after kill %d the mirror ended by itself: %v", i, err)
		}
	}
	rate = 0
	if err := start("until-now").Wait(); err != nil {
		t.Fatal(err)
	}
	checkNumbers(ctx, t, dir, c.Seeds(), way, records, middle)
	t.Logf("%d records, %d of the kills were the broker's, %s", records, kills/4, time.Since(began).Round(time.Second))
	t.Logf("%s: %d kills", t.Name(), kills)
}

// sides opens both brokers, and returns where the mirror copies from and to, and what closes them.
func sides(ctx context.Context, t *testing.T, dir string, seeds []string, way string) (from, to *samsa.Broker, end func()) {
	t.Helper()
	local, far, err := openBoth(ctx, dir, seeds)
	if err != nil {
		t.Fatal(err)
	}
	end = func() { _, _ = local.Close(), far.Close() }
	if way == "back" {
		return far, local, end
	}
	return local, far, end
}

// fillNumbers stores in each partition records that count up.
func fillNumbers(ctx context.Context, t *testing.T, dir string, seeds []string, way string, records int) {
	t.Helper()
	from, _, end := sides(ctx, t, dir, seeds, way)
	defer end()
	if err := from.Topics().Create(ctx, "numbers", samsa.TopicConfig{Partitions: killsPartitions}); err != nil {
		t.Fatal(err)
	}
	p, err := from.NewProducer(ctx, samsa.ProducerOptions{Partitioner: samsa.ManualPartitioner()})
	if err != nil {
		t.Fatal(err)
	}
	value := make([]byte, killsValue)
	noise := rand.NewChaCha8([32]byte{1})
	for i := range records {
		_, _ = noise.Read(value)
		binary.BigEndian.PutUint64(value, uint64(i/killsPartitions))
		p.Produce(ctx, samsa.Record{Topic: "numbers", Partition: int32(i % killsPartitions), Value: value}, func(_ samsa.Record, err error) {
			if err != nil {
				t.Error(err)
			}
		})
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
}

func commitNumbers(ctx context.Context, t *testing.T, dir string, seeds []string, way string, offset int64) {
	t.Helper()
	from, _, end := sides(ctx, t, dir, seeds, way)
	defer end()
	offsets := make(map[samsa.TopicPartition]samsa.CommittedOffset)
	for i := range int32(killsPartitions) {
		offsets[samsa.TopicPartition{Topic: "numbers", Partition: i}] = samsa.CommittedOffset{Offset: offset}
	}
	if err := from.Groups().SetOffsets(ctx, "g", offsets); err != nil {
		t.Fatal(err)
	}
}

// checkNumbers checks that each record is there once and in its order, and that the group goes on in the middle.
func checkNumbers(ctx context.Context, t *testing.T, dir string, seeds []string, way string, records int, middle int64) {
	t.Helper()
	_, to, end := sides(ctx, t, dir, seeds, way)
	defer end()
	committed, err := to.Groups().Committed(ctx, "g")
	if err != nil {
		t.Fatal(err)
	}
	m := &mirrors{Kit: &kit.Kit{T: t, Ctx: ctx}}
	for i := range int32(killsPartitions) {
		next, group := int64(0), int64(-1)
		at := committed[samsa.TopicPartition{Topic: "numbers", Partition: i}].Offset
		m.walk(to, "numbers", i, func(r *samsa.Record) {
			n := int64(binary.BigEndian.Uint64(r.Value))
			if n != next {
				t.Fatalf("partition %d: offset %d has record %d, want %d", i, r.Offset, n, next)
			}
			if group < 0 && r.Offset >= at {
				group = n
			}
			next++
		})
		if next != int64(records/killsPartitions) || group != middle {
			t.Errorf("partition %d has %d records, want %d; the group goes on at record %d, want %d", i, next, records/killsPartitions, group, middle)
		}
	}
}
