package samsa

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"

	"go.uber.org/zap"

	"github.com/samsa-go/samsa/internal/callback"
	"github.com/samsa-go/samsa/internal/control"
)

// startControl has Options.Control serve the socket of the directory, until the broker closes.
func (b *Broker) startControl() error {
	if b.opts.Control == nil || b.local.Dir == "" || b.opts.ReadOnly {
		return nil
	}
	s, err := control.Listen(b.local.Dir)
	if err != nil {
		return err
	}
	l := &onceListener{Listener: s, close: sync.OnceValue(func() error { return errors.Join(s.Close(), s.Remove()) })}
	var running atomic.Uint64 // the goroutine of the function
	done := make(chan struct{})
	client := &callback.Client{
		Name:    "Options.Control",
		CallsOn: func(goroutine uint64) bool { return running.Load() == goroutine },
		Shut: func(context.Context) func() {
			_ = l.Close() // now, as the directory is the broker's still
			return func() { <-done }
		},
	}
	if err := b.clients.Add(client); err != nil {
		return errors.Join(err, l.Close())
	}
	b.closer.Go(func() {
		defer close(done)
		running.Store(callback.Goroutine())
		err := b.opts.Control(b, l)
		running.Store(0)
		if open := b.clients.Err() == nil; open || err != nil && !errors.Is(err, net.ErrClosed) {
			b.logger.Warn("nobody serves the control socket any more", zap.Error(err))
		}
		if err := l.Close(); err != nil {
			b.logger.Warn("the control socket was not removed", zap.Error(err))
		}
	})
	return nil
}

// onceListener is a listener that several may close. Its socket goes with it.
type onceListener struct {
	net.Listener
	close func() error
}

// Close implements net.Listener.
func (l *onceListener) Close() error { return l.close() }
