package samsa

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime/debug"
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
		err := errControlLeft
		defer func() {
			if p := recover(); p != nil { // the program's data is no worse for who looks at it
				err = fmt.Errorf("Options.Control has panicked: %v\n%s", p, debug.Stack())
			}
			running.Store(0)
			b.controlEnded(err, l)
		}()
		err = b.opts.Control(b, l)
	})
	return nil
}

// errControlLeft is for a function that ends its goroutine (runtime.Goexit).
var errControlLeft = errors.New("Options.Control has ended its goroutine")

// controlEnded removes the socket when Options.Control has ended with err.
func (b *Broker) controlEnded(err error, l net.Listener) {
	if open := b.clients.Err() == nil; open || err != nil && !errors.Is(err, net.ErrClosed) {
		b.logger.Warn("nobody serves the control socket any more", zap.Error(err))
	}
	if err := l.Close(); err != nil {
		b.logger.Warn("the control socket was not removed", zap.Error(err))
	}
}

// onceListener is a listener that several may close. Its socket goes with it.
type onceListener struct {
	net.Listener
	close func() error
}

// Close implements net.Listener.
func (l *onceListener) Close() error { return l.close() }
