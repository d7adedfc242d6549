// Edge is a site that feeds a central cluster: it stores what it measures in a broker of its own, whether the centre is there or not, and a
// mirror brings it over, under the site's name, once each and in order. The disk that it takes is bounded, and so is that of the copy: a mirror
// brings configs over too.
//
//	go run ./examples/edge -site prague -data ./prague -centre kafka://localhost:9092/
//
// Any Kafka cluster is a centre; so is another broker of this library: samsa serve --memory.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"go.uber.org/zap"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/cluster"
	"github.com/samsa-go/samsa/mirror"
)

const topic = "measured"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	name := flag.String("site", "prague", "name of the site")
	data := flag.String("data", "./site", "directory of what is measured")
	centre := flag.String("centre", "kafka://localhost:9092/", "where it goes")
	keep := flag.Int64("keep", 64<<20, "bytes that are kept here while the centre is away")
	every := flag.Duration("every", time.Second, "measure so often")
	flag.Parse()
	if err := run(ctx, *name, *data, *centre, *keep, *every); err != nil && !errors.Is(err, context.Canceled) {
		log.Fatal(err)
	}
}

// run measures until ctx ends.
func run(ctx context.Context, name, data, centre string, keep int64, every time.Duration) error {
	b, err := samsa.Open(data, samsa.Options{})
	if err != nil {
		return err
	}
	defer b.Close()
	s, err := open(ctx, b, name, centre, keep)
	if err != nil {
		return err
	}
	defer s.close()
	ticks := time.NewTicker(every)
	defer ticks.Stop()
	for n := 0; ; n++ {
		if err := s.measured(ctx, fmt.Appendf(nil, "measurement %d", n)); err != nil {
			return err
		}
		select {
		case <-ticks.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// site is where something is measured.
type site struct {
	b    *samsa.Broker
	opts mirror.Options
	end  context.CancelFunc // of the mirror
	run  sync.WaitGroup

	mu     sync.Mutex     // guards what follows
	mirror *mirror.Mirror // nil until the centre has answered for the first time
}

// open has what is measured go from b to the centre, whenever that is there.
func open(ctx context.Context, b *samsa.Broker, name, centre string, keep int64) (*site, error) {
	// Records stay until they are copied, but no more bytes of them than that.
	_, err := b.Topics().Ensure(ctx, topic, samsa.TopicConfig{CleanupPolicy: samsa.CleanupConsumed | samsa.CleanupDelete, RetentionBytes: keep})
	if err != nil {
		return nil, err
	}
	logger, err := zap.NewProduction()
	if err != nil {
		return nil, err
	}
	s := &site{b: b, opts: mirror.Options{Name: name, Prefix: name + ".", Hold: true, Logger: logger}}
	if err := mirror.Hold(ctx, b, s.opts); err != nil { // the centre may be away for a while yet
		return nil, err
	}
	feeding, end := context.WithCancel(context.Background())
	s.end = end
	s.run.Go(func() {
		if err := s.feed(feeding, centre); err != nil && feeding.Err() == nil {
			logger.Error("nothing goes to the centre any more", zap.Error(err))
		}
	})
	return s, nil
}

// feed copies until ctx ends. It waits for a centre that is away, here as later.
func (s *site) feed(ctx context.Context, centre string) error {
	far, err := cluster.OpenURL(ctx, centre)
	if err != nil {
		return err
	}
	defer far.Close()
	m, err := mirror.New(s.b, far, s.opts)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.mirror = m
	s.mu.Unlock()
	return m.Run(ctx)
}

// measured stores what was measured. The centre has no part in it.
func (s *site) measured(ctx context.Context, value []byte) error {
	_, err := s.b.Produce(ctx, samsa.Record{Topic: topic, Value: value})
	return err
}

func (s *site) close() {
	s.end()
	s.run.Wait()
}
