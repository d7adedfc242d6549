package samsatest

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/inside"
	"github.com/samsa-go/samsa/internal/store"
)

// Option says how New makes a broker.
type Option func(*setup)

// setup is what options have to say.
type setup struct {
	dir     string
	options samsa.Options
	topics  []topicSetup
	leaks   bool // are none of ours
}

type topicSetup struct {
	name   string
	config samsa.TopicConfig
}

// Topic creates a topic with so many partitions.
func Topic(name string, partitions int) Option {
	return TopicWith(name, samsa.TopicConfig{Partitions: partitions})
}

// TopicWith creates a topic with that config.
func TopicWith(name string, config samsa.TopicConfig) Option {
	return func(s *setup) { s.topics = append(s.topics, topicSetup{name, config}) }
}

// Options opens the broker with these; InMemory goes without saying, and without a Logger or
// Slog it writes to the test. Tests are not to wait: what Options.Groups leaves open is no initial
// rebalance delay and session timeouts from 1 ms on.
func Options(o samsa.Options) Option { return func(s *setup) { s.options = o } }

// Dir puts the broker on disk: most tests have no need to. It cannot be forked then.
func Dir(dir string) Option { return func(s *setup) { s.dir = dir } }

// AllowOpenClients does not let the test fail because a producer or consumer was not closed.
func AllowOpenClients() Option { return func(s *setup) { s.leaks = true } }

// New opens a broker in memory that is closed at the end of the test. It logs to t, from level
// warn on. The test fails if it has left a producer or consumer of the broker open by then: so
// does a program that forgets them.
func New(t TB, opts ...Option) *samsa.Broker {
	t.Helper()
	var s setup
	for _, o := range opts {
		o(&s)
	}
	b := s.start(t, "New", func(o samsa.Options) (*samsa.Broker, error) {
		if s.dir != "" {
			return samsa.Open(s.dir, o)
		}
		st := store.OpenMemory()
		keepSynced(st)
		return inside.Open[*samsa.Broker](st, o)
	})
	for _, topic := range s.topics {
		if err := b.Topics().Create(context.Background(), topic.name, topic.config); err != nil {
			t.Fatalf("samsatest: New: %v", err)
		}
	}
	return b
}

// partsOf returns the parts of b. It panics for a broker that is not of this process: the kit has no hold of others.
func partsOf(b *samsa.Broker) inside.Broker {
	in := inside.Of(b)
	if err := in.Local("the test kit"); err != nil {
		panic(fmt.Sprintf("samsatest: %v", err))
	}
	return in
}

// keepSynced prepares for CutPower.
func keepSynced(st store.Store) {
	if f, ok := st.(store.Forker); ok {
		f.KeepSynced()
	}
}

// Fork returns a copy of a broker in memory: topics, records, committed offsets, groups and the
// application's keys, everything that is stored at one moment. b may be in use meanwhile, and
// by others; from then on neither knows of the other. The copy has the options of b, none of
// its members, faults and traces, and is closed at the end of the test, as by New. How much is
// stored does not matter to the time it takes. (The parts of a broker on disk go into memory by
// Snapshot and Restore.)
func Fork(t TB, b *samsa.Broker, opts ...Option) *samsa.Broker {
	t.Helper()
	parent, ok := partsOf(b).Store.(store.Forker)
	if !ok {
		t.Fatalf("samsatest: Fork: the broker is on disk; samsa.Restore brings a Snapshot of it into memory")
		return nil
	}
	st, err := parent.Fork()
	if err != nil {
		t.Fatalf("samsatest: Fork: %v", err)
		return nil
	}
	return reopen(t, "Fork", st, partsOf(b).Options.(samsa.Options), opts)
}

// reopen opens a broker over what another one had stored.
func reopen(t TB, what string, st store.Store, o samsa.Options, opts []Option) *samsa.Broker {
	t.Helper()
	s := setup{options: o}
	for _, o := range opts {
		o(&s)
	}
	if ours(o.Logger) {
		s.options.Logger = nil // that of the other test
	}
	if len(s.topics) > 0 || s.dir != "" {
		t.Fatalf("samsatest: %s: Topic and Dir are for New", what)
	}
	keepSynced(st)
	return s.start(t, what, func(o samsa.Options) (*samsa.Broker, error) { return inside.Open[*samsa.Broker](st, o) })
}

// start opens a broker and has it closed with the test.
func (s *setup) start(t TB, what string, open func(samsa.Options) (*samsa.Broker, error)) *samsa.Broker {
	t.Helper()
	logger, sink := newLogger(t)
	o := s.options
	o.Groups.InitialRebalanceDelay = cmp.Or(o.Groups.InitialRebalanceDelay, -1)
	o.Groups.MinSessionTimeout = cmp.Or(o.Groups.MinSessionTimeout, time.Millisecond)
	if o.Logger == nil && o.Slog == nil {
		o.Logger = logger
	}
	b, err := open(o)
	if err != nil {
		t.Fatalf("samsatest: %s: %v", what, err)
		return nil
	}
	t.Cleanup(func() {
		t.Helper()
		left := partsOf(b).Clients()
		if err := b.Close(); err != nil {
			t.Errorf("samsatest: %v", err)
		}
		sink.close()
		if len(left) > 0 && !s.leaks && !t.Failed() {
			t.Errorf("samsatest: not closed at the end of the test: %s", strings.Join(left, ", "))
		}
	})
	return b
}

// ours reports whether the kit has made a logger, for another test.
func ours(l *zap.Logger) bool {
	if l == nil {
		return false
	}
	_, ok := l.Core().(*tbLogs)
	return ok
}
