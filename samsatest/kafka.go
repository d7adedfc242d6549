package samsatest

import (
	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/kafka"
)

// Kafka serves b to Kafka clients until the end of the test and returns the address, a host
// and a port of this machine that nobody else has. The clients see the topics, records and groups
// of b. At most one kafka.Options is given. The test fails if they are wrong, if there is no port to
// be had, or b is closed.
func Kafka(t TB, b *samsa.Broker, opts ...kafka.Options) string {
	t.Helper()
	srv := serveKafka(t, "Kafka", opts, func(o kafka.Options) (*kafka.Server, error) {
		return kafka.Listen(b, "127.0.0.1:0", o)
	})
	if srv == nil {
		return ""
	}
	return srv.Addr().String()
}

// KafkaPipe is Kafka without a network: clients get the Addr of what it returns as their broker's
// address, and its DialContext or Dial as their dialer. In a bubble of testing/synctest time passes for
// them as it does for b; make broker, pipe and clients inside it, and close the clients there. What
// the clients need for it is in the package comment.
func KafkaPipe(t TB, b *samsa.Broker, opts ...kafka.Options) *kafka.Pipe {
	t.Helper()
	pipe := kafka.NewPipe()
	serveKafka(t, "KafkaPipe", opts, func(o kafka.Options) (*kafka.Server, error) {
		return kafka.Serve(b, pipe, o)
	})
	return pipe
}

// Cluster serves b to Kafka clients as a cluster of n brokers, until the end of the test: a stage for clients, and not replication, whose
// data is all in b. Clients are given its Addrs. Its methods stop brokers, move leaders and coordinators, and have what else happens to
// a cluster happen. At most one kafka.ClusterOptions is given. The test fails if they are wrong, if there are no ports to be had, or b is
// closed.
//
//	c := samsatest.Cluster(t, b, 3)
//	cl, err := kgo.NewClient(kgo.SeedBrokers(c.Addrs()...))
//	...
//	err = c.Kill(1) // others lead what it led
func Cluster(t TB, b *samsa.Broker, n int, opts ...kafka.ClusterOptions) *kafka.Cluster {
	t.Helper()
	if len(opts) > 1 {
		t.Fatalf("samsatest: Cluster: %d kafka.ClusterOptions, want at most one", len(opts))
		return nil
	}
	c, err := kafka.ListenCluster(b, n, "127.0.0.1:0", append(opts, kafka.ClusterOptions{})[0])
	if err != nil {
		t.Fatalf("samsatest: Cluster: %v", err)
		return nil
	}
	t.Cleanup(func() {
		t.Helper()
		if err := c.Close(); err != nil {
			t.Errorf("samsatest: Cluster: %v", err)
		}
	})
	return c
}

// serveKafka begins to serve and has it end with the test. It returns nil if the test has failed.
func serveKafka(t TB, what string, opts []kafka.Options, begin func(kafka.Options) (*kafka.Server, error)) *kafka.Server {
	t.Helper()
	if len(opts) > 1 {
		t.Fatalf("samsatest: %s: %d kafka.Options, want at most one", what, len(opts))
		return nil
	}
	srv, err := begin(append(opts, kafka.Options{})[0])
	if err != nil {
		t.Fatalf("samsatest: %s: %v", what, err)
		return nil
	}
	t.Cleanup(func() {
		t.Helper()
		if err := srv.Close(); err != nil {
			t.Errorf("samsatest: %s: %v", what, err)
		}
	})
	return srv
}
