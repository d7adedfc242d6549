package cluster_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/cluster"
	"github.com/samsa-go/samsa/cluster/internal/kit"
	"github.com/samsa-go/samsa/kafka"
)

func TestMain(m *testing.M) {
	if args := os.Getenv(mirrorChild); args != "" {
		if err := runMirrorChild(args); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	kit.Main(m)
}

// open returns the kit's cluster as a broker, which is closed with the test.
func open(t *testing.T, k *kit.Kit) *samsa.Broker {
	t.Helper()
	b, err := cluster.Open(k.Ctx, cluster.Options{Seeds: k.Seeds, Name: "billing"})
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

// A program administers topics, reads them, alone and in a group, and looks at the group, as it does with a broker of its own.
func TestProgram(t *testing.T) {
	kit.Places(t, func(t *testing.T, k *kit.Kit) {
		b := open(t, k)
		orders, workers := k.Name("orders"), k.Name("workers")
		config := samsa.TopicConfig{Partitions: 2, Retention: time.Hour}
		if err := b.Topics().Create(k.Ctx, orders, config); err != nil {
			t.Fatal(err)
		}
		k.WantError(b.Topics().Create(k.Ctx, orders, config), samsa.ErrTopicExists)
		k.WantError(b.Topics().Create(k.Ctx, k.Name("bad"), samsa.TopicConfig{Partitions: -1}), samsa.ErrInvalidPartitions)
		created, err := b.Topics().Ensure(k.Ctx, orders, config)
		if created || err != nil {
			t.Fatal(created, err)
		}
		_, err = b.Topics().Ensure(k.Ctx, orders, samsa.TopicConfig{Partitions: 3, Retention: time.Minute})
		k.WantError(err, samsa.ErrTopicExists)
		k.Put(orders, 0, "a", "b", "c")
		k.Put(orders, 1, "x")
		info, err := b.Topics().Describe(k.Ctx, orders)
		if err != nil {
			t.Fatal(err)
		}
		k.Want([]any{len(info.Partitions), info.Partitions[0].HighWatermark, info.Config.Retention, info.Config.Partitions}, []any{2, 3, time.Hour, 2})

		c, err := b.NewConsumer(k.Ctx, samsa.ConsumerOptions{Group: workers, Topics: []string{orders}})
		if err != nil {
			t.Fatal(err)
		}
		for n := 0; n < 4; {
			records, err := c.Poll(k.Ctx)
			if err != nil {
				t.Fatal(err)
			}
			n += len(records)
		}
		if err := c.Commit(k.Ctx); err != nil {
			t.Fatal(err)
		}
		lag, err := c.TotalLag(k.Ctx)
		k.Want([]any{lag, err}, []any{0, nil})
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		g, err := b.Groups().Describe(k.Ctx, workers)
		if err != nil {
			t.Fatal(err)
		}
		k.Want([]any{g.State, len(g.Partitions), g.Partitions[0].Committed, g.Partitions[1].Committed}, []any{samsa.GroupEmpty, 2, 3, 1})

		err = b.Topics().Alter(k.Ctx, orders, func(c *samsa.TopicConfig) error {
			c.Partitions, c.Retention, c.MaxMessageBytes = 3, 0, 4096
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if info, err = b.Topics().Describe(k.Ctx, orders); err != nil {
			t.Fatal(err)
		}
		k.Want([]any{len(info.Partitions), info.Config.Retention, info.Config.MaxMessageBytes}, []any{3, 168 * time.Hour, 4096})
		k.WantError(b.Topics().Alter(k.Ctx, orders, func(c *samsa.TopicConfig) error { c.Partitions = 1; return nil }), samsa.ErrInvalidPartitions)
		k.WantError(b.Topics().DeleteRecords(k.Ctx, orders, map[int32]int64{0: 9}), samsa.ErrOffsetOutOfRange)
		if err := b.Topics().DeleteRecords(k.Ctx, orders, map[int32]int64{0: 2, 1: -1}); err != nil {
			t.Fatal(err)
		}
		if info, err = b.Topics().Describe(k.Ctx, orders); err != nil {
			t.Fatal(err)
		}
		k.Want([]any{info.Partitions[0].LogStart, info.Partitions[1].LogStart}, []any{2, 1})

		names, err := b.Topics().List(k.Ctx)
		if err != nil || !slices.Contains(names, orders) || slices.Contains(names, "__consumer_offsets") {
			t.Fatal(names, err)
		}
		if err := b.Topics().Delete(k.Ctx, orders); err != nil {
			t.Fatal(err)
		}
		k.WantError(b.Topics().Delete(k.Ctx, orders), samsa.ErrUnknownTopic)
		_, err = b.Topics().Describe(k.Ctx, orders)
		k.WantError(err, samsa.ErrUnknownTopic)
	})
}

// What a cluster does not have is said before anything is done.
func TestUnsupported(t *testing.T) {
	k := kit.Door(t)
	b := open(t, k)
	k.WantError(b.Topics().Create(k.Ctx, "t", samsa.TopicConfig{CleanupPolicy: samsa.CleanupConsumed}), samsa.ErrUnsupported)
	_, err := b.Topics().Describe(k.Ctx, "t")
	k.WantError(err, samsa.ErrUnknownTopic)
	_, err = kafka.Listen(b, "127.0.0.1:0", kafka.Options{})
	k.WantError(err, samsa.ErrUnsupported)
}

// Options that cannot be are all named.
func TestInvalidOptions(t *testing.T) {
	for _, seeds := range [][]string{nil, {""}, {"host:"}, {":9092"}} {
		if _, err := cluster.Open(t.Context(), cluster.Options{Seeds: seeds}); !errors.Is(err, samsa.ErrInvalidOption) {
			t.Errorf("%q: %v", seeds, err)
		}
	}
}

// Open ends with its context when nobody answers, and at once when the cluster refuses it.
func TestOpenFails(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0") // takes connections, and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = silent.Close() }()
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = gone.Close()
	k := kit.Door(t)
	for what, o := range map[string]cluster.Options{
		"nobody is there": {Seeds: []string{gone.Addr().String()}},
		"nobody answers":  {Seeds: []string{silent.Addr().String()}},
	} {
		t.Run(what, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
			defer cancel()
			_, err := cluster.Open(ctx, o)
			k.WantError(err, context.DeadlineExceeded)
			k.WantError(err, samsa.ErrUnavailable)
			if !strings.Contains(err.Error(), o.Seeds[0]) {
				t.Error("it does not say which:", err)
			}
		})
	}
	t.Run("no TLS there", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		_, err := cluster.Open(ctx, cluster.Options{Seeds: k.Seeds, TLS: &tls.Config{InsecureSkipVerify: true}})
		k.WantError(err, samsa.ErrUnavailable)
	})
	t.Run("wrong password", func(t *testing.T) {
		c, err := kfake.NewCluster(kfake.EnableSASL(), kfake.Superuser("PLAIN", "me", "right"))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		as := func(password string) cluster.Options {
			return cluster.Options{Seeds: c.ListenAddrs(), SASL: []sasl.Mechanism{plain.Auth{User: "me", Pass: password}.AsMechanism()}}
		}
		c.ControlKey(int16(kmsg.SASLAuthenticate), func(r kmsg.Request) (kmsg.Response, error, bool) { // as Kafka does: the fake hangs up
			c.KeepControl()
			resp := r.ResponseKind().(*kmsg.SASLAuthenticateResponse)
			resp.ErrorCode = kerr.SaslAuthenticationFailed.Code
			return resp, nil, !strings.Contains(string(r.(*kmsg.SASLAuthenticateRequest).SASLAuthBytes), "right")
		})
		_, err = cluster.Open(k.Ctx, as("wrong"))
		k.WantError(err, kafka.Code(58)) // SASL_AUTHENTICATION_FAILED
		b, err := cluster.Open(k.Ctx, as("right"))
		if err != nil {
			t.Fatal(err)
		}
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

// Where something is not allowed the error is Kafka's, and nothing else is hurt.
func TestNotAllowed(t *testing.T) {
	c, err := kfake.NewCluster(kfake.EnableSASL(), kfake.EnableACLs(), kfake.SeedTopics(1, "orders"),
		kfake.User("PLAIN", "me", "right"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	b, err := cluster.Open(ctx, cluster.Options{Seeds: c.ListenAddrs(), SASL: []sasl.Mechanism{plain.Auth{User: "me", Pass: "right"}.AsMechanism()}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.Close() }()
	const topic, cluster, group = kafka.Code(29), kafka.Code(31), kafka.Code(30)
	if _, err := b.NewConsumer(ctx, samsa.ConsumerOptions{Topics: []string{"orders"}}); !errors.Is(err, topic) {
		t.Error(err)
	}
	if err := b.Topics().Create(ctx, "new", samsa.TopicConfig{}); !errors.Is(err, cluster) && !errors.Is(err, topic) {
		t.Error(err)
	}
	if _, err := b.Groups().Describe(ctx, "g"); !errors.Is(err, group) {
		t.Error(err)
	}
}
