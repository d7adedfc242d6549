// Package link is the connection to a cluster, which all parts of package cluster share, and says in the library's words what
// went wrong there.
package link

import (
	"context"
	"crypto/tls"
	"fmt"
	"iter"
	"net"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl"
	"go.uber.org/zap"

	"github.com/samsa-go/samsa/log"
)

// Options say how a cluster is reached.
type Options struct {
	Seeds    []string // host:port of some brokers, one or more
	TLS      *tls.Config
	SASL     []sasl.Mechanism
	Dial     func(ctx context.Context, network, address string) (net.Conn, error) // nil for TCP, or TLS
	ClientID string
	Logger   *zap.Logger // nil for none
}

// Link is a client of a cluster.
type Link struct {
	*kgo.Client
	opts Options
}

// Open returns a link. It connects with the first request.
func Open(o Options) (*Link, error) {
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	l := &Link{opts: o}
	cl, err := l.New()
	if err != nil {
		return nil, err
	}
	l.Client = cl
	return l, nil
}

// New returns another client of the cluster, which has connections of its own. The caller closes it. The cluster has let us in
// before, so a broker that hangs up before a word is one that ends, and is asked again.
func (l *Link) New(more ...kgo.Opt) (*kgo.Client, error) {
	return l.Probe(append(more, kgo.AlwaysRetryEOF())...)
}

// Probe is New of a client that is told when a broker hangs up before a word: see Refused.
func (l *Link) Probe(more ...kgo.Opt) (*kgo.Client, error) {
	opts := []kgo.Opt{kgo.SeedBrokers(l.opts.Seeds...), kgo.WithLogger(logger{l.opts.Logger}), kgo.DisableClientMetrics()}
	if l.opts.ClientID != "" {
		opts = append(opts, kgo.ClientID(l.opts.ClientID))
	}
	if l.opts.TLS != nil {
		opts = append(opts, kgo.DialTLSConfig(l.opts.TLS))
	}
	if l.opts.Dial != nil {
		opts = append(opts, kgo.Dialer(l.opts.Dial))
	}
	if len(l.opts.SASL) > 0 {
		opts = append(opts, kgo.SASL(l.opts.SASL...))
	}
	cl, err := kgo.NewClient(append(opts, more...)...)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", log.ErrInvalidOption, err)
	}
	return cl, nil
}

// Logger returns the logger of all parts.
func (l *Link) Logger() *zap.Logger { return l.opts.Logger }

// Ask sends a request to whom it concerns, tries again what is worth it until ctx ends, and returns the answer. An error is
// about what.
func Ask[R kmsg.Response](ctx context.Context, cl *kgo.Client, what string, req kmsg.Request) (resp R, err error) {
	r, err := cl.Request(ctx, req)
	if err != nil {
		return resp, Explain(what, err)
	}
	return r.(R), nil
}

// AskOne is Ask for a request about one thing. It returns what the answer has of that, of all that it has, unless its code says that it
// was refused.
func AskOne[R kmsg.Response, P any](ctx context.Context, cl *kgo.Client, what string, req kmsg.Request, all func(R) []P, code func(*P) (int16, *string)) (*P, error) {
	r, err := Ask[R](ctx, cl, what, req)
	if err != nil {
		return nil, err
	}
	parts := all(r)
	if len(parts) != 1 {
		return nil, fmt.Errorf("%s: %w: the cluster did not say", what, log.ErrUnavailable)
	}
	c, message := code(&parts[0])
	return &parts[0], Code(what, c, message)
}

// AskCoordinator is Ask for a request that the coordinator of a group has to answer, and that franz-go would send to any broker.
func AskCoordinator[R kmsg.Response](ctx context.Context, cl *kgo.Client, what, group string, req kmsg.Request) (resp R, err error) {
	node, err := Coordinator(ctx, cl, what, group)
	if err != nil {
		return resp, err
	}
	r, err := cl.Broker(int(node)).RetriableRequest(ctx, req)
	if err != nil {
		return resp, Explain(what, err)
	}
	return r.(R), nil
}

// Coordinator returns the broker that coordinates a group.
func Coordinator(ctx context.Context, cl *kgo.Client, what, group string) (node int32, err error) {
	req := kmsg.NewPtrFindCoordinatorRequest()
	req.CoordinatorKey, req.CoordinatorKeys = group, []string{group}
	r, err := Ask[*kmsg.FindCoordinatorResponse](ctx, cl, what, req)
	if err == nil {
		err = Code(what, r.ErrorCode, r.ErrorMessage)
	}
	if err == nil && len(r.Coordinators) == 1 {
		r.NodeID, err = r.Coordinators[0].NodeID, Code(what, r.Coordinators[0].ErrorCode, r.Coordinators[0].ErrorMessage)
	}
	if err != nil {
		return -1, err
	}
	return r.NodeID, nil
}

// ByTopic returns the partitions of each topic, as requests have them.
func ByTopic(tps iter.Seq[log.TopicPartition]) map[string][]int32 {
	by := make(map[string][]int32)
	for tp := range tps {
		by[tp.Topic] = append(by[tp.Topic], tp.Partition)
	}
	return by
}

// again is the pause between two attempts.
const again = 100 * time.Millisecond

// Again calls fn until it does not say that something is on its way to be well, or ctx ends.
func Again(ctx context.Context, fn func() error) error {
	for {
		err := fn()
		if err == nil || !PassingError(err) {
			return err
		}
		select {
		case <-time.After(again):
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", err, ctx.Err())
		}
	}
}

// logger tells zap what franz-go says. What is an error to it is tried again, or told to the caller: nobody else needs it.
type logger struct{ to *zap.Logger }

// Level implements kgo.Logger.
func (l logger) Level() kgo.LogLevel {
	if l.to.Core().Enabled(zap.DebugLevel) {
		return kgo.LogLevelInfo
	}
	return kgo.LogLevelNone
}

// Log implements kgo.Logger.
func (l logger) Log(_ kgo.LogLevel, msg string, keyvals ...any) {
	fields := make([]zap.Field, 0, len(keyvals)/2)
	for i := 0; i+1 < len(keyvals); i += 2 {
		fields = append(fields, zap.Any(fmt.Sprint(keyvals[i]), keyvals[i+1]))
	}
	l.to.Debug("franz-go: "+msg, fields...)
}
