package shares_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/cluster"
	"github.com/samsa-go/samsa/cluster/internal/kit"
)

func TestMain(m *testing.M) {
	if os.Getenv(workerEnv) != "" {
		if err := workUntilKilled(os.Args[1], os.Args[2], os.Args[3]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	kit.Main(m)
}

// open returns the cluster of a kit as a broker.
func open(t testing.TB, k *kit.Kit) *samsa.Broker {
	t.Helper()
	b, err := cluster.Open(k.Ctx, cluster.Options{Seeds: k.Seeds})
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

func queue(t testing.TB, k *kit.Kit, b *samsa.Broker, o samsa.QueueOptions) *samsa.Queue {
	t.Helper()
	q, err := b.NewQueue(k.Ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = q.Close() })
	return q
}

// receive returns n deliveries, by their values.
func receive(t testing.TB, k *kit.Kit, q *samsa.Queue, n int) map[string]samsa.Delivery {
	t.Helper()
	got := make(map[string]samsa.Delivery)
	for len(got) < n {
		ds, err := q.Receive(k.Ctx, n-len(got))
		if err != nil {
			t.Fatal(err)
		}
		if len(ds) > n-len(got) {
			t.Fatalf("got %d deliveries, wanted at most %d", len(ds), n-len(got))
		}
		for _, d := range ds {
			got[string(d.Record.Value)] = d
		}
	}
	return got
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Offsets that a member has acquired and that are no records, markers of transactions and what was aborted, come again to nobody and
// do not count; of a batch no more comes than was asked for.
func TestGaps(t *testing.T) {
	kit.Places(t, func(t *testing.T, k *kit.Kit) {
		mails, b := k.Create("mails", 1), open(t, k)
		txn := k.Producer(kgo.TransactionalID(k.Name("id")))
		k.Transact(txn, mails, 0, true, "a")
		k.Transact(txn, mails, 0, false, "aborted")
		k.PutTogether(mails, 0, "b", "c", "d")
		k.Transact(txn, mails, 0, true, "e")
		q := queue(t, k, b, samsa.QueueOptions{Group: k.Name("mailer"), Topics: []string{mails}, Retry: samsa.Retry{Min: samsa.NoWait}})
		for _, want := range []string{"a", "b", "c", "d", "e"} {
			d, ok := receive(t, k, q, 1)[want]
			if !ok || d.Deliveries != 1 {
				t.Fatalf("got %+v, want %s", d, want)
			}
			must(t, d.Ack())
		}
		s, err := q.Stats(k.Ctx)
		must(t, err)
		k.Want([]int64{s.Acknowledged, s.Deliveries, s.InFlight}, []int64{5, 5, 0})
	})
}

// What is acknowledged together is done or not by partition; what one of several callers may not, the others may.
func TestAckTogether(t *testing.T) {
	kit.Places(t, func(t *testing.T, k *kit.Kit) {
		mails, b := k.Create("mails", 2), open(t, k)
		const n = 40
		for i := range n {
			k.Put(mails, int32(i%2), fmt.Sprint(i))
		}
		q := queue(t, k, b, samsa.QueueOptions{Group: k.Name("mailer"), Topics: []string{mails}})
		ds := receive(t, k, q, n)
		var wg sync.WaitGroup
		var mu sync.Mutex
		var refused int
		for _, d := range ds {
			for range 2 {
				wg.Go(func() {
					if err := d.Ack(); errors.Is(err, samsa.ErrInvalidRecordState) {
						mu.Lock()
						defer mu.Unlock()
						refused++
					} else if err != nil {
						t.Error(err)
					}
				})
			}
		}
		wg.Wait()
		s, err := q.Stats(k.Ctx)
		must(t, err)
		k.Want([]int64{int64(refused), s.Acknowledged, s.Lag}, []int64{n, n, 0})
	})
}

// Dead letters come from the cluster, into a topic that lets them in, with key, value and headers. The reason of Reject is not
// among them.
func TestDeadLetters(t *testing.T) {
	kit.Places(t, func(t *testing.T, k *kit.Kit) {
		mails, b := k.Create("mails", 1), open(t, k)
		dead := "dlq." + mails
		must(t, b.Topics().Create(k.Ctx, dead, samsa.TopicConfig{DeadLetters: true}))
		k.Put(mails, 0, "often", "rejected")
		q := queue(t, k, b, samsa.QueueOptions{
			Group: k.Name("mailer"), Topics: []string{mails}, DeadLetter: dead, MaxDeliveries: 2, Retry: samsa.Retry{Min: samsa.NoWait},
		})
		ds := receive(t, k, q, 2)
		must(t, ds["rejected"].Reject("no such mailbox"))
		must(t, ds["often"].Retry())
		must(t, receive(t, k, q, 1)["often"].Retry())
		c, err := b.NewConsumer(k.Ctx, samsa.ConsumerOptions{Topics: []string{dead}})
		must(t, err)
		defer func() { _ = c.Close() }()
		var got []string
		for len(got) < 2 {
			records, err := c.Poll(k.Ctx)
			must(t, err)
			for _, r := range records {
				got = append(got, string(r.Value))
				if !slices.ContainsFunc(r.Headers, func(h samsa.Header) bool { return h.Key == samsa.DeadLetterTopic && string(h.Value) == mails }) {
					t.Errorf("got the headers %v", r.Headers)
				}
			}
		}
		slices.Sort(got)
		k.Want(got, []string{"often", "rejected"})
	})
}

// A topic that does not let dead letters in, or has not the brokers' prefix, is refused before the group is there.
func TestDeadLetterRefused(t *testing.T) {
	kit.Places(t, func(t *testing.T, k *kit.Kit) {
		mails, b, name := k.Create("mails", 1), open(t, k), k.Name("mailer")
		_, err := b.NewQueue(k.Ctx, samsa.QueueOptions{Group: name, Topics: []string{mails}, DeadLetter: k.Create("dlq.closed", 1)})
		k.WantError(err, samsa.ErrInvalidConfig)
		other := k.Name("other.dead")
		must(t, b.Topics().Create(k.Ctx, other, samsa.TopicConfig{DeadLetters: true}))
		_, err = b.NewQueue(k.Ctx, samsa.QueueOptions{Group: name, Topics: []string{mails}, DeadLetter: other})
		k.WantError(err, samsa.ErrInvalidConfig)
		_, err = b.Groups().Describe(k.Ctx, name)
		k.WantError(err, samsa.ErrUnknownGroup)
	})
}

// What share groups have not is refused before anything is done.
func TestUnsupported(t *testing.T) {
	k := kit.Door(t)
	mails, b, name := k.Create("mails", 1), open(t, k), k.Name("mailer")
	for what, o := range map[string]samsa.QueueOptions{
		"OrderByKey": {OrderByKey: true}, "Retry": {Retry: samsa.Retry{Min: time.Second}}, "Unlimited": {MaxDeliveries: samsa.Unlimited},
	} {
		o.Group, o.Topics = name, []string{mails}
		_, err := b.NewQueue(k.Ctx, o)
		if k.WantError(err, samsa.ErrUnsupported); !strings.Contains(err.Error(), what) {
			t.Errorf("got %v, want it to name %s", err, what)
		}
	}
	_, err := b.Groups().Describe(k.Ctx, name)
	k.WantError(err, samsa.ErrUnknownGroup)
	k.Put(mails, 0, "a")
	q := queue(t, k, b, samsa.QueueOptions{Group: name, Topics: []string{mails}})
	d := receive(t, k, q, 1)["a"]
	k.WantError(d.Release(time.Second), samsa.ErrUnsupported)
	k.WantError(b.Update(k.Ctx, func(tx *samsa.Tx) error { return tx.Ack(d) }), samsa.ErrUnsupported)
	must(t, d.Ack())
}

// The options of a queue are the configs of its group, and a queue with others has to wait until nobody is in it.
func TestConfigs(t *testing.T) {
	kit.Places(t, func(t *testing.T, k *kit.Kit) {
		mails, b, other, name := k.Create("mails", 1), open(t, k), open(t, k), k.Name("mailer")
		o := samsa.QueueOptions{Group: name, Topics: []string{mails}, Lock: 20 * time.Second, MaxDeliveries: 7}
		q := queue(t, k, b, o)
		configs, err := b.Groups().Configs(k.Ctx, name)
		must(t, err)
		k.Want([]string{configs["share.record.lock.duration.ms"], configs["share.delivery.count.limit"], configs["share.isolation.level"], configs["share.auto.offset.reset"]},
			[]string{"20000", "7", "read_committed", "earliest"})
		queue(t, k, other, o)
		o.MaxDeliveries = 8
		_, err = other.NewQueue(k.Ctx, o)
		k.WantError(err, samsa.ErrInvalidOption)
		far := open(t, k) // which has no queue of the group
		_, err = far.NewQueue(k.Ctx, o)
		k.WantError(err, samsa.ErrInvalidOption)
		must(t, q.Close())
	})
}

// Share groups are listed, described, moved, forgotten by topic and deleted.
func TestAdmin(t *testing.T) {
	kit.Places(t, func(t *testing.T, k *kit.Kit) {
		mails, b, name := k.Create("mails", 2), open(t, k), k.Name("mailer")
		k.Put(mails, 0, "a", "b", "c")
		k.Put(mails, 1, "x")
		o := samsa.QueueOptions{Group: name, Topics: []string{mails}}
		q := queue(t, k, b, o)
		for _, d := range receive(t, k, q, 4) {
			must(t, d.Ack())
		}
		groups := b.Groups()
		k.WantError(groups.DeleteOffsets(k.Ctx, name, samsa.TopicPartition{Topic: mails}, samsa.TopicPartition{Topic: mails, Partition: 1}), samsa.ErrGroupNotEmpty)
		k.WantError(groups.Delete(k.Ctx, name), samsa.ErrGroupNotEmpty)
		must(t, q.Close())
		all, err := groups.List(k.Ctx)
		must(t, err)
		if !slices.Contains(all, name) {
			t.Errorf("got %v", all)
		}
		must(t, groups.AlterOffsets(k.Ctx, name, samsa.To(samsa.AtOffset(1)), samsa.TopicPartition{Topic: mails}))
		info, err := groups.Describe(k.Ctx, name)
		must(t, err)
		k.Want([]any{info.Kind, len(info.Partitions), info.Partitions[0].Committed, info.Partitions[0].Lag, info.Partitions[1].Lag}, []any{samsa.GroupShare, 2, 1, 2, 0})
		q = queue(t, k, b, o)
		for _, d := range receive(t, k, q, 2) {
			must(t, d.Ack())
		}
		must(t, q.Close())
		k.WantError(groups.DeleteOffsets(k.Ctx, name, samsa.TopicPartition{Topic: mails}), samsa.ErrUnsupported)
		must(t, groups.DeleteOffsets(k.Ctx, name, samsa.TopicPartition{Topic: mails}, samsa.TopicPartition{Topic: mails, Partition: 1}))
		q = queue(t, k, b, o)
		receive(t, k, q, 4)
		must(t, q.Close())
		must(t, groups.Delete(k.Ctx, name))
		_, err = groups.Describe(k.Ctx, name)
		k.WantError(err, samsa.ErrUnknownGroup)
	})
}

// While some locks are begun anew others are acknowledged, in the same requests.
func TestExtendTogether(t *testing.T) {
	kit.Places(t, func(t *testing.T, k *kit.Kit) {
		mails, b := k.Create("mails", 1), open(t, k)
		const n = 20
		for i := range n {
			k.Put(mails, 0, fmt.Sprint(i))
		}
		q := queue(t, k, b, samsa.QueueOptions{Group: k.Name("mailer"), Topics: []string{mails}})
		ds := receive(t, k, q, n)
		var wg sync.WaitGroup
		for i := range n {
			d := ds[fmt.Sprint(i)]
			wg.Go(func() {
				if i%2 == 0 {
					if err := d.Extend(); err != nil {
						t.Error(err)
					}
				}
				if err := d.Ack(); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		s, err := q.Stats(k.Ctx)
		must(t, err)
		k.Want([]int64{s.Acknowledged, s.InFlight, s.Lag}, []int64{n, 0, 0})
	})
}

// A topic that was deleted is told of, and one that is made again under its name is read.
func TestTopicMadeAgain(t *testing.T) {
	kit.Places(t, func(t *testing.T, k *kit.Kit) {
		mails, b := k.Create("mails", 1), open(t, k)
		k.Put(mails, 0, "a")
		q := queue(t, k, b, samsa.QueueOptions{Group: k.Name("mailer"), Topics: []string{mails}})
		d := receive(t, k, q, 1)["a"]
		must(t, b.Topics().Delete(k.Ctx, mails))
		_, err := q.Receive(k.Ctx, 1)
		k.WantError(err, samsa.ErrUnknownTopic)
		k.WantError(d.Ack(), samsa.ErrInvalidRecordState)
		must(t, b.Topics().Create(k.Ctx, mails, samsa.TopicConfig{}))
		if _, err := b.Produce(k.Ctx, samsa.Record{Topic: mails, Value: []byte("b")}); err != nil {
			t.Fatal(err)
		}
		for {
			ds, err := q.Receive(k.Ctx, 1)
			if errors.Is(err, samsa.ErrUnknownTopic) {
				continue // it was not seen yet
			}
			must(t, err)
			k.Want(string(ds[0].Record.Value), "b")
			return
		}
	})
}

// deaf has connections on which nothing is heard any more once it is closed, and tells of what was said then.
type deaf struct {
	closed atomic.Bool
	said   chan struct{}
}

type deafConn struct {
	net.Conn
	deaf *deaf
}

func (c deafConn) Write(p []byte) (int, error) {
	if !c.deaf.closed.Load() {
		return c.Conn.Write(p)
	}
	select {
	case c.deaf.said <- struct{}{}:
	default:
	}
	return len(p), nil
}

// A broker that answers no more keeps nobody from what its context says, nor Close from its end.
func TestBrokerHangs(t *testing.T) {
	k := kit.Door(t)
	mails := k.Create("mails", 1)
	k.Put(mails, 0, "a")
	d := &deaf{said: make(chan struct{}, 1)}
	b, err := cluster.Open(k.Ctx, cluster.Options{Seeds: k.Seeds, Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := new(net.Dialer).DialContext(ctx, network, address)
		return deafConn{c, d}, err
	}})
	must(t, err)
	defer func() { must(t, b.Close()) }()
	q := queue(t, k, b, samsa.QueueOptions{Group: k.Name("mailer"), Topics: []string{mails}})
	mail := receive(t, k, q, 1)["a"]
	d.closed.Store(true)
	ctx, cancel := context.WithCancel(k.Ctx)
	defer cancel()
	acked := make(chan error, 1)
	go func() { acked <- q.Ack(ctx, mail) }()
	<-d.said
	cancel()
	if err := <-acked; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	must(t, q.Close())
	k.WantError(mail.Ack(), samsa.ErrClosed)
}

// A queue, franz-go's share consumer, and another queue share the records of a group.
func TestWithOthers(t *testing.T) {
	kit.Places(t, func(t *testing.T, k *kit.Kit) {
		mails, b, name := k.Create("mails", 1), open(t, k), k.Name("mailer")
		q := queue(t, k, b, samsa.QueueOptions{Group: name, Topics: []string{mails}})
		k.Put(mails, 0, "mine")
		mine := receive(t, k, q, 1)["mine"]
		franz := k.Producer(kgo.ShareGroup(name), kgo.ConsumeTopics(mails))
		k.Put(mails, 0, "theirs")
		records := franz.PollFetches(k.Ctx).Records()
		if len(records) != 1 || string(records[0].Value) != "theirs" {
			t.Fatalf("got %v", records)
		}
		franz.MarkAcks(kgo.AckRelease)
		must(t, franz.FlushAcks(k.Ctx))
		franz.Close()
		theirs := receive(t, k, q, 1)["theirs"]
		if theirs.Deliveries < 2 { // franz-go may have had it twice: it asks ahead
			t.Errorf("got delivery %d", theirs.Deliveries)
		}
		must(t, q.Ack(k.Ctx, mine, theirs))
	})
}

// A queue whose broker is gone closes, and says so of what it has.
func TestBrokerGone(t *testing.T) {
	k := kit.Door(t)
	mails, b := k.Create("mails", 1), open(t, k)
	k.Put(mails, 0, "a")
	q := queue(t, k, b, samsa.QueueOptions{Group: k.Name("mailer"), Topics: []string{mails}})
	d := receive(t, k, q, 1)["a"]
	must(t, k.Server.Close())
	if err := d.Ack(); !errors.Is(err, samsa.ErrOutcomeUnknown) && !errors.Is(err, samsa.ErrInvalidRecordState) {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(k.Ctx)
	defer cancel()
	stopped := make(chan error, 1)
	go func() {
		_, err := q.Receive(ctx, 1)
		stopped <- err
	}()
	cancel()
	k.WantError(<-stopped, context.Canceled)
	if err := q.Close(); err != nil {
		t.Error(err)
	}
}
