package api

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/inside"
)

// Limits of a server.
const (
	headerLimit = 10 * time.Second // for the header of a request to come
	idleLimit   = 2 * time.Minute  // for the next request on a connection
	endLimit    = time.Second      // for calls to return by themselves when the listener is closed
	maxConns    = 1000
)

// MaxHeader bounds the header of a request, in bytes.
const MaxHeader = 64 << 10

// Limit returns l with at most 1000 connections at one time. What comes besides is closed at once: each takes a file of the process, which the
// store needs too.
func Limit(l net.Listener) net.Listener { return limit(l, maxConns) }

func limit(l net.Listener, n int) net.Listener { return limited{l, make(chan struct{}, n)} }

type limited struct {
	net.Listener
	places chan struct{}
}

// Accept implements net.Listener.
func (l limited) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		select {
		case l.places <- struct{}{}:
			return &limitedConn{Conn: c, leave: sync.OnceFunc(func() { <-l.places })}, nil
		default:
			_ = c.Close()
		}
	}
}

type limitedConn struct {
	net.Conn
	leave func()
}

// Close implements net.Conn.
func (c *limitedConn) Close() error {
	defer c.leave()
	return c.Conn.Close()
}

// Serve serves h, of b, to who connects to l, until l is closed, and returns when nothing of it runs any more. Calls that are short
// are seen through, the contexts of the others end.
func Serve(b *samsa.Broker, l net.Listener, h http.Handler) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var conns sync.WaitGroup
	srv := &http.Server{
		Handler: h, ReadHeaderTimeout: headerLimit, IdleTimeout: idleLimit, MaxHeaderBytes: MaxHeader,
		ErrorLog:    zap.NewStdLog(inside.Of(b).Logger.Named("http")),
		BaseContext: func(net.Listener) context.Context { return ctx },
		ConnState: func(_ net.Conn, s http.ConnState) {
			switch s {
			case http.StateNew:
				conns.Add(1)
			case http.StateClosed, http.StateHijacked:
				conns.Done()
			}
		},
	}
	err := srv.Serve(Limit(l))
	if errors.Is(err, net.ErrClosed) {
		err = nil
	}
	limited, stop := context.WithTimeout(ctx, endLimit)
	defer stop()
	if srv.Shutdown(limited) != nil {
		cancel()
		_ = srv.Close() // of connections
	}
	conns.Wait()
	if err != nil {
		return fmt.Errorf("%w: %w", samsa.ErrStorage, err)
	}
	return nil
}
