package write_test

import (
	"bufio"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/cluster/internal/groups"
	"github.com/samsa-go/samsa/cluster/internal/keys"
	"github.com/samsa-go/samsa/cluster/internal/kit"
	"github.com/samsa-go/samsa/cluster/internal/link"
	"github.com/samsa-go/samsa/cluster/internal/read"
	"github.com/samsa-go/samsa/cluster/internal/write"
	"github.com/samsa-go/samsa/internal/engine"
	"github.com/samsa-go/samsa/internal/inside"
)

// named returns a producer of an ID, for partitions that are chosen by hand.
func named(t testing.TB, k *kit.Kit, b *samsa.Broker, id string, replay bool) *samsa.Producer {
	t.Helper()
	p, err := b.NewProducer(k.Ctx, samsa.ProducerOptions{ID: id, Replay: replay, Partitioner: samsa.ManualPartitioner()})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// noise returns bytes that compression makes no smaller.
func noise(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return string(b)
}

// A record that is refused keeps those behind it in its partition from being stored, and those alone; the next producer of the ID goes on.
func TestNamedRefused(t *testing.T) {
	kit.Places(t, func(t *testing.T, k *kit.Kit) {
		topic, id, b := k.Create("named", 2), k.Name("id"), open(t, k, k.Name("b"))
		p := named(t, k, b, id, false)
		to := func(partition int32, value string) samsa.Record {
			return samsa.Record{Topic: topic, Partition: partition, Value: []byte(value)}
		}
		if _, err := p.ProduceSync(k.Ctx, to(0, "a"), to(1, "a")); err != nil {
			t.Fatal(err)
		}
		k.Configure(topic, "max.message.bytes", "1000") // who has asked before does not know
		var small []samsa.Record
		for range 40 {
			small = append(small, to(1, noise(100)))
		}
		if _, err := p.ProduceSync(k.Ctx, small...); err != nil {
			t.Fatalf("records that fit, together too large: %v", err)
		}
		k.Configure(topic, "max.message.bytes", "500")
		if _, err := p.ProduceSync(k.Ctx, to(0, noise(800))); !errors.Is(err, samsa.ErrRecordTooLarge) {
			t.Fatalf("a record that is too large: %v", err)
		}
		if _, err := p.ProduceSync(k.Ctx, to(0, "d")); !errors.Is(err, samsa.ErrOutOfOrderSequence) {
			t.Fatalf("a record behind one that failed: %v", err)
		}
		if _, err := p.ProduceSync(k.Ctx, to(1, "d")); err != nil {
			t.Fatalf("a record of another partition: %v", err)
		}
		next := named(t, k, b, id, false)
		if _, err := next.ProduceSync(k.Ctx, to(0, "e")); err != nil {
			t.Fatal(err)
		}
		for partition, want := range []int64{2, 42} {
			if n, err := next.Stored(k.Ctx, kit.TP(topic, int32(partition))); n != want || err != nil {
				t.Errorf("partition %d: %d are stored (%v), want %d", partition, n, err, want)
			}
		}
	})
}

// What was stored in a topic that was made again since is not stored in that.
func TestNamedMadeAgain(t *testing.T) {
	kit.Places(t, func(t *testing.T, k *kit.Kit) {
		topic, id, b := k.Create("named", 1), k.Name("id"), open(t, k, k.Name("b"))
		r := samsa.Record{Topic: topic, Value: []byte("v")}
		if _, err := named(t, k, b, id, false).ProduceSync(k.Ctx, r, r); err != nil {
			t.Fatal(err)
		}
		before := k.Partition(topic, 0)
		k.Drop(topic)
		w := engine.NewWaiter()
		before.Watch(w)
		k.Topics.Soon(topic)
		k.Until(w, "the end of the topic", func() bool { return before.Err() != nil })
		before.Unwatch(w)
		k.CreateAs(topic, 1)
		p := named(t, k, b, id, true)
		if n, err := p.Stored(k.Ctx, kit.TP(topic, 0)); n != 0 || err != nil {
			t.Errorf("%d are stored: %v", n, err)
		}
		if _, err := p.ProduceSync(k.Ctx, r); err != nil {
			t.Fatal(err)
		}
		k.Want(k.Partition(topic, 0).HighWatermark() > 0, true)
	})
}

// A producer of an ID knows what was stored in a topic of which its broker has not heard before, and in partitions of which it has not.
func TestNamedStandby(t *testing.T) {
	kit.Places(t, func(t *testing.T, k *kit.Kit) {
		grown, id := k.Create("named", 1), k.Name("id")
		standby := openBy(t, k, &cutter{}, "")
		fresh := k.Create("named", 1)
		k.Grow(grown, 2)
		if err := k.Topics.Await(k.Ctx, grown, 2); err != nil {
			t.Fatal(err)
		}
		var all []samsa.Record
		for _, tp := range []samsa.TopicPartition{kit.TP(grown, 0), kit.TP(grown, 1), kit.TP(fresh, 0)} {
			all = append(all, samsa.Record{Topic: tp.Topic, Partition: tp.Partition, Value: []byte("v")})
		}
		if _, err := named(t, k, open(t, k, k.Name("b")), id, false).ProduceSync(k.Ctx, all...); err != nil {
			t.Fatal(err)
		}
		p := named(t, k, standby, id, true)
		c, err := standby.NewConsumer(k.Ctx, samsa.ConsumerOptions{Topics: []string{grown}}) // now it hears of it
		if err == nil {
			err = c.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range all {
			got, err := p.ProduceSync(k.Ctx, r)
			if err != nil || got[0].Offset >= 0 {
				t.Errorf("%s/%d: %v, %v", r.Topic, r.Partition, got, err)
			}
		}
	})
}

// The counts of an ID are in nobody's way: consumers may have its name for their group. They are stored again now and then, as a cluster forgets what was
// committed long ago; and an ID cannot be that of the broker's own transactions.
func TestNamedCounts(t *testing.T) {
	kit.Places(t, func(t *testing.T, k *kit.Kit) {
		topic, name, c := k.Create("named", 2), k.Name("billing"), &cutter{timeout: time.Minute}
		b := openBy(t, k, c, "")
		at := map[samsa.TopicPartition]samsa.CommittedOffset{kit.TP(topic, 0): {Offset: 0}}
		k.Want(b.Groups().SetOffsets(k.Ctx, name, at), nil)
		to := func(partition int32) samsa.Record {
			return samsa.Record{Topic: topic, Partition: partition, Value: []byte("v")}
		}
		if _, err := named(t, k, b, name, false).ProduceSync(k.Ctx, to(0), to(0), to(1)); err != nil {
			t.Fatal(err)
		}
		before := c.left.Load()
		p := named(t, k, b, name, false)
		for range 2 {
			if _, err := p.ProduceSync(k.Ctx, to(0)); err != nil {
				t.Fatal(err)
			}
		}
		k.Want(before-c.left.Load(), 3) // transactions: the first thing is that all counts are stored again
		for partition, want := range []int64{4, 1} {
			n, err := p.Stored(k.Ctx, kit.TP(topic, int32(partition)))
			if n != want || err != nil {
				t.Errorf("%d are stored in partition %d (%v), want %d", n, partition, err, want)
			}
		}
		got, err := b.Groups().Committed(k.Ctx, name)
		if err != nil || got[kit.TP(topic, 0)].Offset != 0 || len(got) != 1 {
			t.Errorf("the group of consumers is at %v: %v", got, err)
		}
		_, err = b.NewProducer(k.Ctx, samsa.ProducerOptions{ID: ownID})
		k.WantError(err, samsa.ErrInvalidOption)
	})
}

// cutter has connections end when the end of a transaction is asked for, while left is not 0: before the cluster hears of it, or before it has answered.
type cutter struct {
	left    atomic.Int64
	heard   bool
	hold    chan struct{} // until it is closed the end of a transaction is not asked for; nil does not hold
	timeout time.Duration // of transactions; 0 is a second
}

func (c *cutter) dial(ctx context.Context, network, address string) (net.Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, network, address)
	return &cutConn{conn, c}, err
}

type cutConn struct {
	net.Conn
	c *cutter
}

func (c *cutConn) Write(p []byte) (int, error) {
	if len(p) < 6 || binary.BigEndian.Uint16(p[4:]) != uint16(kmsg.EndTxn) {
		return c.Conn.Write(p)
	}
	if c.c.hold != nil {
		<-c.c.hold
	}
	if c.c.left.Add(-1) < 0 {
		return c.Conn.Write(p)
	}
	if c.c.heard {
		if _, err := c.Conn.Write(p); err != nil {
			return 0, err
		}
		var answer [8]byte
		_, _ = c.Read(answer[:]) // it is done
	}
	_ = c.Close()
	return 0, net.ErrClosed
}

// When nobody knows whether a transaction was committed the counts tell: each record is stored once, and its promise says so.
func TestNamedOutcome(t *testing.T) {
	for _, heard := range []bool{false, true} {
		t.Run(fmt.Sprint("heard=", heard), func(t *testing.T) {
			kit.Places(t, func(t *testing.T, k *kit.Kit) {
				topic, id := k.Create("outcome", 1), k.Name("id")
				c := &cutter{heard: heard}
				b := openBy(t, k, c, "")
				p := named(t, k, b, id, false)
				if _, err := p.ProduceSync(k.Ctx, samsa.Record{Topic: topic, Value: []byte("0")}); err != nil {
					t.Fatal(err)
				}
				c.left.Store(1 << 30)
				fate := make(chan error, 1)
				p.Produce(k.Ctx, samsa.Record{Topic: topic, Value: []byte("1")}, func(_ samsa.Record, err error) { fate <- err })
				for c.left.Load() > 1<<30-3 && len(fate) == 0 { // a slow cluster may have no time to be cut off three times
					runtime.Gosched()
				}
				if !heard { // it is aborted, and begun again
					c.left.Store(0)
				}
				if err := <-fate; err != nil {
					t.Fatal(err)
				}
				c.left.Store(0)
				if _, err := p.ProduceSync(k.Ctx, samsa.Record{Topic: topic, Value: []byte("2")}); err != nil {
					t.Fatal(err)
				}
				if n, err := p.Stored(k.Ctx, kit.TP(topic, 0)); n != 3 || err != nil {
					t.Errorf("%d are stored: %v", n, err)
				}
				k.Want(values(t, k, b, topic, 3), "[0 1 2]")
			})
		})
	}
}

// ownID is the transactional id of the transactions of openBy.
const ownID = "own"

// openBy is open over connections of c, whose time-out transactions have, and with keys in that topic if it is not "".
func openBy(t *testing.T, k *kit.Kit, c *cutter, keyed string) *samsa.Broker {
	t.Helper()
	l, err := link.Open(link.Options{Seeds: k.Seeds, Dial: c.dial})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	topics, err := read.Open(k.Ctx, l)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(topics.Close)
	g := groups.New(l, topics)
	t.Cleanup(g.Close)
	b, err := inside.OpenEngine[*samsa.Broker](samsa.Options{}, func(h inside.Host) (engine.Parts, error) {
		var ks *keys.Keys
		if keyed != "" {
			var err error
			if ks, err = keys.Open(k.Ctx, topics, keys.Options{Topic: keyed, Logger: h.Logger, Remembered: time.Hour}); err != nil {
				return engine.Parts{}, err
			}
			t.Cleanup(func() { _ = ks.Close() })
		}
		w := write.New(l, topics, write.Options{ID: ownID, Timeout: cmp.Or(c.timeout, time.Second), Where: "here", Host: h, Offsets: g, Keys: ks})
		if ks != nil {
			if err := errors.Join(w.Claim(k.Ctx), ks.Load(k.Ctx)); err != nil {
				return engine.Parts{}, err
			}
		}
		return engine.Parts{
			Where: "here", Topics: topics, Coordinator: g, Offsets: g, Groups: groups.Admin{Groups: g}, Producing: w, Stored: w.Stored,
			Transactor: write.Transactor{Writes: w}, Close: func() error { w.Close(); return nil },
		}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

// When nobody knows whether an Update was committed its keys are read from the cluster, before anybody sees them again.
func TestKeysOutcome(t *testing.T) {
	for _, heard := range []bool{false, true} {
		t.Run(fmt.Sprint("heard=", heard), func(t *testing.T) {
			kit.Places(t, func(t *testing.T, k *kit.Kit) {
				topic, c := k.Create("keys", 1), &cutter{heard: heard}
				k.Configure(topic, "cleanup.policy", "compact")
				b := openBy(t, k, c, topic)
				adds := func() error {
					return b.Update(k.Ctx, func(tx *samsa.Tx) error {
						v, err := tx.Get([]byte("n"))
						if err != nil && !errors.Is(err, samsa.ErrKeyNotFound) {
							return err
						}
						return tx.Set([]byte("n"), append(v, 'x'))
					})
				}
				has := func() (n int) {
					t.Helper()
					k.Want(b.View(k.Ctx, func(tx *samsa.ReadTx) error {
						v, err := tx.Get([]byte("n"))
						if n = len(v); errors.Is(err, samsa.ErrKeyNotFound) {
							return nil
						}
						return err
					}), nil)
					return n
				}
				// stored adds, again while a slow cluster takes longer than a transaction may.
				stored := func() {
					t.Helper()
					for {
						before, err := has(), adds()
						if err == nil {
							k.Want(has(), before+1)
							return
						}
						if k.Ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded) && !samsa.Retriable(err) && !errors.Is(err, samsa.ErrOutcomeUnknown) {
							t.Fatal(err)
						}
					}
				}
				stored()
				for unknown := false; !unknown && k.Ctx.Err() == nil; {
					before := has()
					c.left.Store(1 << 30)
					err := adds()
					asked := c.left.Swap(0) < 1<<30
					if unknown = errors.Is(err, samsa.ErrOutcomeUnknown); !unknown && (asked || err == nil) {
						t.Fatalf("the end was asked for: %v; the Update says %v", asked, err)
					}
					if heard && asked {
						before++
					}
					k.Want(has(), before)
				}
				stored()
			})
		})
	}
}

const killedEnv = "SAMSA_TEST_KILLED" // seeds, topic, ID and number of records of a program that is to be killed

// A program that is killed at any moment, and begun again, stores each of its records once.
func TestKilled(t *testing.T) {
	if args := os.Getenv(killedEnv); args != "" {
		work(t, strings.Fields(args))
		return
	}
	kit.Places(t, func(t *testing.T, k *kit.Kit) {
		topic, id := k.Create("killed", 3), k.Name("id")
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		kills := 3 // docs/drills.md
		if n, err := strconv.Atoi(os.Getenv("KILLS")); err == nil {
			kills = n
		}
		all, acknowledged, killed := 1000*(kills+1), 0, 0
		for round := 0; acknowledged < all; round++ {
			cmd := exec.Command(self, "-test.run=^TestKilled$", "-test.short")
			cmd.Env = append(os.Environ(), killedEnv+"="+strings.Join([]string{strings.Join(k.Seeds, ","), topic, id, strconv.Itoa(all)}, " "))
			out, err := cmd.StdoutPipe()
			if err == nil {
				err = cmd.Start()
			}
			if err != nil {
				t.Fatal(err)
			}
			// It is killed when so many more are acknowledged: then the next ones are on their way.
			limit := acknowledged + 100*(2+round*5%7)
			for lines := bufio.NewScanner(out); lines.Scan(); {
				n := 0
				if _, err := fmt.Sscanf(lines.Text(), "acknowledged %d", &n); err == nil {
					acknowledged = n
				} else if strings.HasPrefix(lines.Text(), "failed") {
					t.Error(lines.Text())
				}
				if acknowledged >= limit && killed == round && killed < kills {
					killed++
					_ = cmd.Process.Kill()
				}
			}
			if err := cmd.Wait(); err == nil && acknowledged < all {
				t.Fatalf("the program has ended with %d of its records stored", acknowledged)
			}
		}
		b := open(t, k, k.Name("b"))
		got := values(t, k, b, topic, all)
		if want := slices.Compact(slices.Clone(got)); len(want) != all {
			t.Errorf("%d of %d records are there twice", all-len(want), all)
		}
		p := named(t, k, b, id, true)
		var stored int64
		for i := range int32(3) {
			n, err := p.Stored(k.Ctx, kit.TP(topic, i))
			if err != nil {
				t.Fatal(err)
			}
			stored += n
		}
		k.Want(stored, all)
		again := 0
		produceAll(k.Ctx, p, topic, all, func(r samsa.Record, err error) {
			if err != nil || r.Offset >= 0 {
				again++
			}
		})
		if err := p.Flush(k.Ctx); err != nil || again > 0 {
			t.Errorf("%d are stored again: %v", again, err)
		}
		t.Logf("%d kills", killed)
	})
}

func produceAll(ctx context.Context, p *samsa.Producer, topic string, n int, promise samsa.Promise) {
	for i := range n {
		p.Produce(ctx, samsa.Record{Topic: topic, Partition: int32(i % 3), Value: fmt.Appendf(nil, "%06d", i)}, promise)
	}
}

// work is the program: it produces all its records from the first on, and tells how many are acknowledged.
func work(t *testing.T, args []string) {
	k := kit.At(t, strings.Split(args[0], ","))
	b := open(t, k, k.Name("b"))
	p, err := b.NewProducer(k.Ctx, samsa.ProducerOptions{ID: args[2], Replay: true, Partitioner: samsa.ManualPartitioner(), BufferedBytes: 64 << 10})
	if err != nil {
		t.Fatal(err)
	}
	all, err := strconv.Atoi(args[3])
	if err != nil {
		t.Fatal(err)
	}
	var n atomic.Int64
	produceAll(k.Ctx, p, args[1], all, func(_ samsa.Record, err error) {
		switch got := n.Add(1); {
		case err != nil:
			fmt.Println("failed", err)
		case got%100 == 0:
			fmt.Println("acknowledged", got)
		}
	})
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
}
