package mirror

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/engine"
	"github.com/samsa-go/samsa/internal/inside"
	"github.com/samsa-go/samsa/log"
)

// Mirror copies from one broker to another. Its methods may be called by anybody at any time.
type Mirror struct {
	brokers  [2]inside.Broker
	from, to engine.Parts
	opts     Options
	rate     rate

	holding sync.Mutex // held to commit the hold
	unsure  *unsure    // for who runs

	mu      sync.Mutex // guards what follows
	running bool
	stats   Stats
	at      map[log.TopicPartition]place // while it runs
}

// place is where a partition is.
type place struct {
	source engine.Partition
	offset int64
	caught time.Time
}

// Stats count what a Mirror has done since New.
type Stats struct {
	Records, Bytes int64 // that were copied; bytes as they are stored
	Transactions   int64
	// Lost are offsets that the retention of the source has taken before they were copied.
	Lost int64
	// Untranslated are committed offsets that were not brought over the last time: they lie before all that is remembered of offsets.
	Untranslated int64
	// Refused are topics that are not copied, and why: ErrLoop, ErrNotOurs, or that the target does not take the name or the config.
	Refused map[string]error
	// Damaged are partitions of the source that are not copied further than to what is damaged there, and how; it is looked at again
	// every Options.Refresh, as another replica may have it.
	Damaged map[log.TopicPartition]error
	// Restarts counts how often it has met something that passes, and has begun anew. LastError is what that was the last time, or what has
	// ended Run, and LastErrorAt when; nil without.
	Restarts    int64
	LastError   error
	LastErrorAt time.Time
	// Trouble is LastError until the mirror has found out anew where it is; nil then.
	Trouble error
}

// New returns a mirror, which copies when it runs. The brokers are the caller's. One that closes ends Run first, with ErrClosed.
// ErrInvalidOption names what is wrong with the options, or says that both are the same cluster.
func New(from, to *samsa.Broker, opts Options) (*Mirror, error) {
	if err := opts.Check(); err != nil {
		return nil, fmt.Errorf("mirror: %w", err)
	}
	if from == nil || to == nil {
		return nil, fmt.Errorf("mirror: %w: it copies from one broker to another, and one of them is nil", log.ErrInvalidOption)
	}
	m := &Mirror{brokers: [2]inside.Broker{inside.Of(from), inside.Of(to)}, opts: opts.withDefaults()}
	m.from, m.to = m.brokers[0].Parts, m.brokers[1].Parts
	if m.from.ClusterID == m.to.ClusterID {
		return nil, fmt.Errorf("mirror: %w: both are cluster %q", log.ErrInvalidOption, m.from.ClusterID)
	}
	m.rate.bytes, m.stats.Refused = opts.BytesPerSecond, map[string]error{}
	m.stats.Damaged = map[log.TopicPartition]error{}
	return m, nil
}

// Run copies until ctx ends, whose error it returns, or with Options.UntilNow until all is copied that was there. Whatever ends it, the next
// Run of a mirror of the name goes on where it was, also in another process.
//
// What passes, a broker that is away say, it waits for; Options.Logger hears of it, and Stats tell. It gives up with ErrProducerFenced, when a mirror of the
// same name has taken over; ErrLoop and ErrNotOurs for topics that Options.Topics name without a pattern, or when somebody else has written where it
// keeps offsets; with UntilNow, ErrUnknownTopic for those that are not there, and ErrCorruptRecord or ErrCorruptValue, when all else is copied, for what is damaged in
// the source; ErrInvalidOption, and what brokers that are closed or have failed say.
func (m *Mirror) Run(ctx context.Context) error {
	return m.alone(ctx, "mirror", func(ctx context.Context) error {
		if m.opts.Hold {
			defer m.begins(ctx, m.keepHold)()
		}
		var copier engine.Copier
		defer func() {
			if copier != nil {
				copier.Close()
			}
		}()
		for wait := firstWait; ; {
			before := m.Stats().Transactions
			err := m.runLeg(ctx, &copier)
			switch {
			case err == nil || ctx.Err() != nil:
				return err
			case fatal(err):
				m.met(err, false)
				return err
			}
			if m.Stats().Transactions > before {
				wait = firstWait
			}
			m.met(err, true)
			m.opts.Logger.Warn("the mirror begins anew", zap.String("mirror", m.opts.Name), zap.Duration("in", wait), zap.Error(err))
			if err := pause(ctx, wait); err != nil {
				return err
			}
			wait = min(2*wait, longestWait)
		}
	})
}

const (
	firstWait   = 50 * time.Millisecond
	longestWait = 5 * time.Second
)

// begins calls fn beside what follows, until end is called, which waits for it.
func (m *Mirror) begins(ctx context.Context, fn func(context.Context)) (end func()) {
	ctx, cancel := context.WithCancel(ctx)
	var run sync.WaitGroup
	run.Go(func() { fn(ctx) })
	return func() {
		cancel()
		run.Wait()
	}
}

// alone calls fn unless the mirror runs, and says what has failed. A broker that closes ends the context, and waits until fn has returned.
func (m *Mirror) alone(ctx context.Context, what string, fn func(context.Context) error) error {
	m.mu.Lock()
	if m.running {
		m.mu.Unlock()
		return fmt.Errorf("%s %s: %w: it runs", what, m.opts.Name, log.ErrInvalidOption)
	}
	m.running = true
	m.mu.Unlock()
	inner, cancel := context.WithCancelCause(ctx)
	ended := make(chan struct{})
	defer func() {
		m.mu.Lock()
		m.running, m.at = false, nil
		m.mu.Unlock()
		cancel(nil)
		close(ended)
	}()
	for i := range m.brokers {
		b := &m.brokers[i]
		leave, err := b.Register("the mirror "+m.opts.Name, watched{m}, func() {
			cancel(fmt.Errorf("%w: %s", log.ErrClosed, b.Parts.Where))
			<-ended
		})
		if err != nil {
			return fmt.Errorf("%s %s: %s: %w", what, m.opts.Name, b.Parts.Where, err)
		}
		defer leave()
	}
	err := fn(inner)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	}
	if inner.Err() != nil {
		err = context.Cause(inner)
	}
	return fmt.Errorf("%s %s: %w", what, m.opts.Name, err)
}

// runLeg copies until something fails. With the first copier it takes over the name; with that it goes on.
func (m *Mirror) runLeg(ctx context.Context, copier *engine.Copier) (err error) {
	if *copier == nil {
		*copier, err = m.to.Copying.NewCopier(ctx, notesPrefix+m.opts.Name)
	} else {
		err = (*copier).Resume(ctx)
	}
	if err != nil {
		return err
	}
	l, err := m.begin(ctx, *copier)
	if err != nil {
		return err
	}
	defer l.end()
	return l.run(ctx)
}

// fatal reports whether to begin anew cannot help.
func fatal(err error) bool {
	for _, e := range []error{
		log.ErrFenced, log.ErrInvalid, log.ErrUnsupported, log.ErrClosed, log.ErrFailed, log.ErrReadOnly, log.ErrCorruptRecord, log.ErrCorruptValue,
		ErrLoop, ErrNotOurs, ErrBehind, errMissing,
	} {
		if errors.Is(err, e) {
			return !errors.Is(err, log.ErrInvalidTxnState) // it was aborted meanwhile
		}
	}
	return false
}

// Finish ends a move: all is in the target, nothing writes to the source any more, and Run has ended. It brings groups over a last time,
// gives topics of a Kafka cluster the configs that a mirror holds back, and notes that they are the target's own from now on. Then a
// mirror back may begin. ErrBehind says that there is something that was not copied, ErrNotOurs that a topic was written to by others, from which nothing
// is copied any more; then no topic is finished. Topics of which nothing was copied it leaves out: see Stats.Refused.
func (m *Mirror) Finish(ctx context.Context) error {
	return m.alone(ctx, "finish mirror", func(ctx context.Context) error {
		copier, err := m.to.Copying.NewCopier(ctx, notesPrefix+m.opts.Name)
		if err != nil {
			return err
		}
		defer copier.Close()
		l, err := m.begin(ctx, copier)
		if err != nil {
			return err
		}
		defer l.end()
		l.once = true
		if l.notes.head.Version == 0 {
			return fmt.Errorf("%w: no mirror of this name has run", ErrBehind)
		}
		if err := l.look(ctx); err != nil {
			return err
		}
		return l.finish(ctx)
	})
}

// Stats returns what was done so far.
func (m *Mirror) Stats() Stats {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.stats
	s.Refused, s.Damaged = maps.Clone(m.stats.Refused), maps.Clone(m.stats.Damaged)
	return s
}

// met notes an error, which passes or not.
func (m *Mirror) met(err error, passes bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.stats.LastError, m.stats.LastErrorAt = err, time.Now()
	if !passes {
		return
	}
	m.stats.Restarts++
	m.stats.Trouble = err
	for tp, p := range m.at { // what is not behind now begins to be later
		if p.offset >= p.source.LastStable() {
			p.caught = m.stats.LastErrorAt
			m.at[tp] = p
		}
	}
}

func (m *Mirror) untranslated(n int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.stats.Untranslated = n
}

// refused notes that a topic is not copied, and tells it once.
func (m *Mirror) refused(name string, err error) {
	m.mu.Lock()
	was := m.stats.Refused[name]
	m.stats.Refused[name] = err
	m.mu.Unlock()
	if was == nil {
		m.opts.Logger.Warn("a topic is not copied", zap.String("mirror", m.opts.Name), zap.String("topic", name), zap.Error(err))
	}
}

// hurt notes that a partition is damaged, and reports whether that is news.
func (m *Mirror) hurt(tp log.TopicPartition, err error) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	was := m.stats.Damaged[tp]
	m.stats.Damaged[tp] = err
	return was == nil
}

// healed notes that it is not, or not any more.
func (m *Mirror) healed(tp log.TopicPartition) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.stats.Damaged, tp)
}

// follow has Lag know the partitions of a leg, which knows where it is.
func (m *Mirror) follow(l *leg) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.stats.Trouble = nil
	m.at, m.stats.Refused = make(map[log.TopicPartition]place, len(l.tracks)), maps.Clone(l.refused)
	for _, t := range l.tracks {
		m.at[t.tp] = place{t.source, t.Offset, t.caught}
	}
}

// copied counts a round, which is stored.
func (m *Mirror) copied(r *round) {
	m.count(r.counts())
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range r.parts {
		p := &r.parts[i]
		m.at[p.track.tp] = place{p.track.source, p.end, p.caught}
	}
}

func (m *Mirror) count(c counts) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.stats.Transactions++
	m.stats.Records += c.records
	m.stats.Bytes += c.bytes
	m.stats.Lost += c.lost
}
