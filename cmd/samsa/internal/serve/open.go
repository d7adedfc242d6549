package serve

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/cmd/samsa/internal/backend"
	"github.com/samsa-go/samsa/console"
	"github.com/samsa-go/samsa/internal/fake"
	"github.com/samsa-go/samsa/kafka"
)

// served is a broker that Kafka clients are served, at these addresses.
type served struct {
	b    *samsa.Broker // of a fake one the first, as others may come
	fake *fake.Fake    // nil for a broker that is none
	at   []string
	shut func(context.Context) error // ends it, its listeners and what follows it
}

// broker returns the broker as it is now: a fake one is another one after it was begun anew.
func (s *served) broker() *samsa.Broker {
	if s.fake != nil {
		return s.fake.Broker()
	}
	return s.b
}

// open opens the broker, creates the topics and listens. What it has begun it ends when it fails.
func (c *Config) open(ctx context.Context) (*served, error) {
	if c.fake {
		return c.openFake(ctx)
	}
	for i, addr := range c.listen { // before there is a directory
		if err := c.listener(i).Check(addr); err != nil {
			return nil, err
		}
	}
	c.broker.Control = console.Control
	b, err := samsa.Open(c.data, c.broker)
	if err != nil {
		return nil, backend.Advised(err)
	}
	s := &served{b: b, shut: b.Shutdown}
	if err := createTopics(ctx, b, c.topics); err != nil {
		return nil, errors.Join(err, b.Close())
	}
	if err := c.giveUsers(ctx, b); err != nil {
		return nil, errors.Join(err, b.Close())
	}
	if c.brokers > 1 {
		cluster, err := kafka.ListenCluster(b, c.brokers, c.listen[0], c.cluster())
		if err != nil {
			return nil, errors.Join(err, b.Close())
		}
		s.at = cluster.Addrs()
		return s, nil
	}
	for i, addr := range c.listen {
		srv, err := kafka.Listen(b, addr, c.listener(i))
		if err != nil {
			return nil, errors.Join(err, b.Close())
		}
		s.at = append(s.at, srv.Addr().String())
	}
	return s, nil
}

// listener returns the options of the listener of that number.
func (c *Config) listener(i int) kafka.Options {
	opts := c.kafka
	if advertised := c.advertised(); len(advertised) > 0 {
		opts.Advertise = advertised[i]
	}
	return opts
}

// cluster is what several brokers are.
func (c *Config) cluster() kafka.ClusterOptions {
	return kafka.ClusterOptions{Options: c.listener(0), Racks: c.racks}
}

// defaultFakeHTTP is where a fake broker is controlled.
const defaultFakeHTTP = "127.0.0.1:9080"

// checkFake reports what does not go together with --fake, and has what goes without saying.
func (c *Config) checkFake() []error {
	if !c.fake {
		return nil
	}
	var errs []error
	for _, not := range []struct {
		given bool
		what  string
	}{
		{c.data != "", "--data " + c.data}, {c.backup != "", "--backup"}, {c.broker.ReadOnly, "--read-only"},
		{c.broker.MustExist, "--must-exist"}, {c.broker.RebuildIndex, "--rebuild-index"},
	} {
		if not.given {
			errs = append(errs, fmt.Errorf("--fake, which is in memory, and %s exclude each other", not.what))
		}
	}
	if len(c.listen) > 1 {
		errs = append(errs, fmt.Errorf("--listen has %d addresses: with --fake it has one", len(c.listen)))
	}
	c.broker.InMemory, c.write, c.data, c.backup = true, true, "", ""
	if c.http == "" {
		c.http = defaultFakeHTTP
	}
	return errs
}

// openFake opens a fake broker, which the API and the console control. Tests are not to wait: its groups do so only if that was asked for.
func (c *Config) openFake(ctx context.Context) (*served, error) {
	o := c.broker
	if !c.delaySet {
		o.Groups.InitialRebalanceDelay = 0
	}
	k, err := fake.New(ctx, fake.Options{
		Broker: o,
		Prepare: func(ctx context.Context, b *samsa.Broker) error {
			return errors.Join(createTopics(ctx, b, c.topics), c.giveUsers(ctx, b))
		},
		Serve: fake.Kafka(c.listen[0], c.brokers, c.cluster()),
	})
	if err != nil {
		return nil, err
	}
	return &served{b: k.Broker(), fake: k, at: strings.Split(k.Addr(), ","), shut: func(context.Context) error { return k.Close() }}, nil
}
