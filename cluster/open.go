package cluster

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl"
	"go.uber.org/zap"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/cluster/internal/admin"
	"github.com/samsa-go/samsa/cluster/internal/groups"
	"github.com/samsa-go/samsa/cluster/internal/keys"
	"github.com/samsa-go/samsa/cluster/internal/link"
	"github.com/samsa-go/samsa/cluster/internal/read"
	"github.com/samsa-go/samsa/cluster/internal/shares"
	"github.com/samsa-go/samsa/cluster/internal/write"
	"github.com/samsa-go/samsa/group"
	"github.com/samsa-go/samsa/internal/engine"
	"github.com/samsa-go/samsa/internal/inside"
	"github.com/samsa-go/samsa/internal/uuid"
	"github.com/samsa-go/samsa/topic"
)

// Options say which cluster it is, and how it is reached. The zero value of what is not named as needed is right.
type Options struct {
	// Seeds are the addresses of some brokers, host:port, the port 9092 if none is said. One at least is needed; the others of the
	// cluster are learned from it.
	Seeds []string
	// TLS has connections encrypted; nil does not.
	TLS *tls.Config
	// SASL are the mechanisms to authenticate with, the most wanted first: see franz-go's packages below pkg/sasl.
	SASL []sasl.Mechanism
	// Dial connects to a broker, in place of TCP, or TLS.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Name is that of the program, which it keeps over restarts: one that starts fences what an older one of that name has left
	// open. So no two that run at once may have the same: Update, and Produce of several records, of the older one would be
	// samsa.ErrProducerFenced. Without a name each has one that nobody else has. It is also the client id.
	Name string
	// AutoCreateTopics creates a topic, as the cluster is configured to, when records are produced to one or consumed from one that does
	// not exist. Else that is ErrUnknownTopic, whatever auto.create.topics.enable says. An Update makes it when it is committed.
	AutoCreateTopics bool

	// Keys has the broker have keys of the application, in View and Update: it names a topic of one partition with cleanup.policy=compact, which Open makes if it is
	// not there, and which belongs to one process at a time. Open fences the one that had it, whose Updates, and Produce of several records, are
	// samsa.ErrProducerFenced from then on, and whose views stay as they were; then it reads what the topic has. So no two that run at once
	// may have the same, but when one takes over from the other. Instances that share work have keys of their own each. What somebody else writes to the
	// topic the owner sees with its next Update. When it is not compacted any more, Update is ErrInvalidConfig. When the topic is deleted, View and Update are ErrUnknownTopic until the cluster is opened again.
	Keys string
	// KeysDir is the directory of a store that has a copy of the keys, and nothing else, so that Open reads only what was written since; "" is memory. It
	// belongs to one process at a time, and may be lost: when it is damaged, remove it. The directory of a samsa.Open is ErrInvalidOption.
	KeysDir string

	// Logger and Slog take what there is to tell, as those of samsa.Options do.
	Logger *zap.Logger
	Slog   *slog.Logger
	// Hooks are those of samsa.Options.
	Hooks []samsa.Hook
	// Produce are the options of Broker.Produce and Tx.Produce. AckStored and AckSynced are the same here, acks=all: a record that is
	// acknowledged is with as many brokers as min.insync.replicas of its topic says.
	Produce samsa.ProduceOptions
}

// Open returns a cluster as a broker. It connects, and asks which topics there are, until ctx ends: the error is then
// samsa.ErrUnavailable and that of ctx, with what the last attempt has failed with. What does not pass ends Open at once: a kafka.Code, 58 for a
// wrong password; samsa.ErrUnavailable with Go's error for a certificate that one side does not trust, or when one wants TLS and the
// other does not; samsa.ErrInvalidOption. The broker's Close ends the connections.
func Open(ctx context.Context, opts Options) (*samsa.Broker, error) {
	seeds, err := opts.seeds()
	if err != nil {
		return nil, fmt.Errorf("open cluster: %w", err)
	}
	root := samsa.Options{Logger: opts.Logger, Slog: opts.Slog, Hooks: opts.Hooks, Produce: opts.Produce}
	b, err := inside.OpenEngine[*samsa.Broker](root, func(h inside.Host) (engine.Parts, error) {
		return open(ctx, opts, seeds, h)
	})
	if err != nil {
		return nil, fmt.Errorf("open cluster at %s: %w", strings.Join(seeds, ","), err)
	}
	return b, nil
}

// seeds returns the addresses with ports, and what is wrong with the options.
func (o Options) seeds() ([]string, error) {
	var seeds []string
	var errs []error
	for _, s := range o.Seeds {
		if _, _, err := net.SplitHostPort(s); err != nil {
			s = net.JoinHostPort(strings.Trim(s, "[]"), "9092")
		}
		if host, port, err := net.SplitHostPort(s); err != nil || host == "" || port == "" {
			errs = append(errs, fmt.Errorf("%w: Options.Seeds has %q, want host:port", samsa.ErrInvalidOption, s))
		}
		seeds = append(seeds, s)
	}
	if len(seeds) == 0 {
		errs = append(errs, fmt.Errorf("%w: Options.Seeds is empty", samsa.ErrInvalidOption))
	}
	if o.KeysDir != "" && o.Keys == "" {
		errs = append(errs, fmt.Errorf("%w: Options.KeysDir is %q without Keys", samsa.ErrInvalidOption, o.KeysDir))
	}
	return seeds, errors.Join(errs...)
}

// between is the time between two attempts to open.
const between = 250 * time.Millisecond

// open makes the parts of a cluster.
func open(ctx context.Context, opts Options, seeds []string, h inside.Host) (parts engine.Parts, err error) {
	l, err := link.Open(link.Options{
		Seeds: seeds, TLS: opts.TLS, SASL: opts.SASL, Dial: opts.Dial, ClientID: cmp.Or(opts.Name, "samsa"), Logger: h.Logger,
	})
	if err != nil {
		return parts, err
	}
	topics, id, err := connect(ctx, l)
	if err != nil {
		l.Close()
		return parts, err
	}
	g := groups.New(l, topics)
	a := admin.New(l, topics)
	if opts.AutoCreateTopics {
		topics.Make = func(ctx context.Context, name string) error {
			return admin.Topics{Admin: a}.Create(ctx, name, topic.Config{})
		}
	}
	where := "kafka://" + strings.Join(seeds, ",")
	name := cmp.Or(opts.Name, "samsa-"+uuid.Text(uuid.New())) + "-0"
	var ks *keys.Keys
	if opts.Keys != "" {
		if ks, err = openKeys(ctx, opts, h, a, topics); err != nil {
			topics.Close()
			g.Close()
			l.Close()
			return parts, err
		}
		name = opts.Keys + "-keys" // who fences must have the same
	}
	w := write.New(l, topics, write.Options{
		ID: name, Keys: ks, Produce: engine.ProduceOptions(opts.Produce), Where: where, Host: h, Offsets: g,
	})
	q := shares.New(shares.Parts{
		Link: l, Topics: topics, Groups: g, Configs: admin.GroupConfigs{Admin: a}, Admin: admin.Topics{Admin: a}, Where: where,
	})
	end := func() error {
		q.Close()
		w.Close()
		var err error
		if ks != nil {
			err = ks.Close()
		}
		topics.Close()
		g.Close()
		l.Close()
		return err
	}
	if ks != nil {
		err := w.Claim(ctx)
		if err == nil {
			err = ks.Load(ctx)
		}
		if err != nil {
			return parts, errors.Join(err, end())
		}
	}
	return engine.Parts{
		Where: where, ClusterID: id,
		Topics: topics, Coordinator: g, Offsets: g, Groups: groups.Admin{Groups: g},
		GroupConfigs: admin.GroupConfigs{Admin: a}, TopicAdmin: admin.Topics{Admin: a}, Transactions: admin.Transactions{Admin: a},
		Producing: w, Stored: w.Stored, Transactor: write.Transactor{Writes: w}, Copying: w, Shares: q, ShareAdmin: shares.Admin{Shares: q},
		Rules: group.Rules{MaxSessionTimeout: math.MaxInt32 * time.Millisecond}, // as far as a request can say; the cluster refuses what it does not want
		Close: end,
	}, nil
}

// openKeys opens the store of the application's keys, and makes their topic if it is not there.
func openKeys(ctx context.Context, opts Options, h inside.Host, a *admin.Admin, topics *read.Topics) (*keys.Keys, error) {
	name, of := opts.Keys, admin.Topics{Admin: a}
	config := topic.Config{Partitions: 1, CleanupPolicy: topic.Compact}
	if _, err := of.Ensure(ctx, name, config); err != nil {
		return nil, fmt.Errorf("Options.Keys: %w", err)
	}
	info, err := of.Describe(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("Options.Keys: %w", err)
	}
	if n := len(info.Partitions); n != 1 || info.Config.CleanupPolicy != topic.Compact {
		return nil, fmt.Errorf("%w: Options.Keys: topic %s has %d partitions and cleanup.policy=%s, want 1 and compact", samsa.ErrInvalidOption, name, n, info.Config.CleanupPolicy)
	}
	return keys.Open(ctx, topics, keys.Options{Topic: name, Dir: opts.KeysDir, Logger: h.Logger, Remembered: info.Config.DeleteRetention})
}

// mostHangUps is how often in a row brokers may hang up before a word until that is taken for their answer: see link.HungUp.
const mostHangUps = 3

// connect returns the topics of a cluster and its id, as soon as it answers.
func connect(ctx context.Context, l *link.Link) (*read.Topics, string, error) {
	probe, err := l.Probe()
	if err != nil {
		return nil, "", err
	}
	defer probe.Close()
	var last error // of an attempt that was not ended by ctx
	for hungUp := 0; ; {
		topics, id, err := attempt(ctx, l, probe)
		if err == nil {
			return topics, id, nil
		}
		if hungUp++; !link.HungUp(err) {
			hungUp = 0
		}
		switch {
		case ctx.Err() != nil:
			return nil, "", gaveUp(cmp.Or(last, err), ctx.Err())
		case hungUp == mostHangUps, link.Refused(err), errors.Is(err, samsa.ErrInvalid), !samsa.Retriable(err):
			return nil, "", err
		}
		last = err
		select {
		case <-time.After(between):
		case <-ctx.Done():
			return nil, "", gaveUp(last, ctx.Err())
		}
	}
}

// gaveUp returns the error of an Open whose context has ended, which was err so far.
func gaveUp(err, ended error) error {
	if !errors.Is(err, samsa.ErrUnavailable) {
		err = fmt.Errorf("%w: %w", samsa.ErrUnavailable, err)
	}
	if errors.Is(err, ended) {
		return err
	}
	return fmt.Errorf("%w: %w", err, ended)
}

func attempt(ctx context.Context, l *link.Link, probe *kgo.Client) (topics *read.Topics, id string, err error) {
	resp, err := link.Ask[*kmsg.MetadataResponse](ctx, probe, "cluster", idRequest())
	if err != nil {
		return nil, "", err
	}
	if resp.ClusterID != nil {
		id = *resp.ClusterID
	}
	topics, err = read.Open(ctx, l)
	return topics, id, err
}

// idRequest asks for no topic.
func idRequest() *kmsg.MetadataRequest {
	req := kmsg.NewPtrMetadataRequest()
	req.Topics = []kmsg.MetadataRequestTopic{}
	return req
}
