package peer

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

func natsJetStream() *Peer {
	return &Peer{
		Name:    "nats",
		Title:   "NATS JetStream",
		About:   "A server inside the process, file store, one stream for each partition, PublishMsgAsync over an in-process connection. Snappy stands for S2, its own compression. Synced: sync always. A queue is a stream of the policy WorkQueue; the last acknowledgement of several is waited for, the server has seen the others then.",
		Module:  "github.com/nats-io/nats-server/v2",
		Retains: true,
		Codecs:  []string{"snappy"},
		Open:    openNATS,
	}
}

type natsLog struct {
	server   *server.Server
	conn     *nats.Conn
	js       jetstream.JetStream
	subjects []string
	acks     sync.WaitGroup // goroutines that wait for acknowledgements
}

const (
	natsReadyWithin = 10 * time.Second
	natsPending     = 4096        // messages that are published and not acknowledged
	natsStall       = time.Minute // for one of them to be acknowledged
)

func openNATS(ctx context.Context, dir string, o Options) (Log, error) {
	s, err := server.NewServer(&server.Options{
		JetStream: true, StoreDir: dir, SyncAlways: o.Synced, DontListen: true, NoSigs: true, NoLog: true,
	})
	if err != nil {
		return nil, err
	}
	l := &natsLog{server: s}
	s.Start()
	if err := l.connect(ctx, o); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

func (l *natsLog) connect(ctx context.Context, o Options) (err error) {
	if !l.server.ReadyForConnections(natsReadyWithin) {
		return fmt.Errorf("the server was not ready within %s", natsReadyWithin)
	}
	if l.conn, err = nats.Connect("", nats.InProcessServer(l.server)); err != nil {
		return err
	}
	if l.js, err = jetstream.New(l.conn, jetstream.WithPublishAsyncMaxPending(natsPending)); err != nil {
		return err
	}
	for i := range o.Partitions {
		config := jetstream.StreamConfig{Name: streamName(i), Subjects: []string{streamName(i)}, Storage: jetstream.FileStorage}
		if o.Queue {
			config.Retention = jetstream.WorkQueuePolicy
		}
		if o.KeepBytes > 0 {
			config.MaxBytes = o.KeepBytes
		}
		if o.Codec == "snappy" {
			config.Compression = jetstream.S2Compression
		}
		if _, err := l.js.CreateOrUpdateStream(ctx, config); err != nil {
			return err
		}
		l.subjects = append(l.subjects, streamName(i))
	}
	return nil
}

func streamName(partition int) string { return fmt.Sprintf("bench-%d", partition) }

func (l *natsLog) Append(ctx context.Context, partition int, batch [][]byte) error {
	futures, err := l.publish(partition, batch)
	return errors.Join(err, settle(ctx, futures))
}

func (l *natsLog) Submit(ctx context.Context, partition int, batch [][]byte, done func(error)) {
	futures, err := l.publish(partition, batch)
	l.acks.Go(func() { done(errors.Join(err, settle(ctx, futures))) })
}

// publish hands batch over, as much of it as it can when it returns an error.
func (l *natsLog) publish(partition int, batch [][]byte) ([]jetstream.PubAckFuture, error) {
	futures := make([]jetstream.PubAckFuture, 0, len(batch))
	for _, value := range batch {
		f, err := l.js.PublishAsync(l.subjects[partition], value, jetstream.WithStallWait(natsStall))
		if err != nil {
			return futures, err
		}
		futures = append(futures, f)
	}
	return futures, nil
}

// settle waits for the acknowledgements of what was published.
func settle(ctx context.Context, futures []jetstream.PubAckFuture) error {
	for _, f := range futures {
		select {
		case <-f.Ok():
		case err := <-f.Err():
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (l *natsLog) Flush(context.Context) error {
	l.acks.Wait()
	return nil
}

// Sync has no counterpart in a running server: only with SyncAlways is what it has
// acknowledged fsynced.
func (l *natsLog) Sync(context.Context) error { return errors.ErrUnsupported }

func (l *natsLog) Read(ctx context.Context, partition int, from int64) (Reader, error) {
	c, err := l.js.OrderedConsumer(ctx, streamName(partition), jetstream.OrderedConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: uint64(from) + 1,
	})
	if err != nil {
		return nil, err
	}
	messages, err := c.Messages(jetstream.PullMaxMessages(readRecords))
	if err != nil {
		return nil, err
	}
	return &natsReader{messages: messages}, nil
}

func (l *natsLog) Group(ctx context.Context, name string) (GroupReader, error) {
	config := jetstream.ConsumerConfig{Durable: name, AckPolicy: jetstream.AckAllPolicy, MaxAckPending: -1}
	if err := l.resume(ctx, &config); err != nil {
		return nil, err
	}
	c, err := l.js.CreateConsumer(ctx, streamName(0), config)
	if err != nil {
		return nil, err
	}
	messages, err := c.Messages(jetstream.PullMaxMessages(readRecords))
	if err != nil {
		return nil, err
	}
	return &natsReader{messages: messages}, nil
}

// resume makes a consumer that was here before begin where it has acknowledged. By itself it
// would get what it had been sent since then only after AckWait, and later messages first.
func (l *natsLog) resume(ctx context.Context, config *jetstream.ConsumerConfig) error {
	before, err := l.js.Consumer(ctx, streamName(0), config.Durable)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	config.DeliverPolicy = jetstream.DeliverByStartSequencePolicy
	config.OptStartSeq = before.CachedInfo().AckFloor.Stream + 1
	return l.js.DeleteConsumer(ctx, streamName(0), config.Durable)
}

func (l *natsLog) Close() error {
	l.acks.Wait()
	if l.conn != nil {
		l.conn.Close()
	}
	l.server.Shutdown()
	l.server.WaitForShutdown()
	return nil
}

type natsReader struct {
	messages jetstream.MessagesContext
	last     jetstream.Msg
}

func (r *natsReader) Next(ctx context.Context, visit func([]byte)) (int, error) {
	m, err := r.messages.Next(jetstream.NextContext(ctx))
	if err != nil {
		return 0, err
	}
	visit(m.Data())
	r.last = m
	return 1, nil
}

// Commit acknowledges the last message, and by AckAll those before it, and waits until the
// server has heard.
func (r *natsReader) Commit(ctx context.Context) error {
	if r.last == nil {
		return nil
	}
	return r.last.DoubleAck(ctx)
}

func (r *natsReader) Close() error {
	r.messages.Stop()
	return nil
}
