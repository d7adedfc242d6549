package serve

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/samsa-go/samsa/console"
	"github.com/samsa-go/samsa/internal/api"
)

// web is what is served over HTTP; nil for nothing.
type web struct {
	ln  net.Listener
	srv *http.Server
	run sync.WaitGroup
}

// How long who asks over HTTP may take. Answers may stream, and so have no limit here.
const (
	headerTimeout = 10 * time.Second
	idleTimeout   = 2 * time.Minute
)

// serveHTTP serves the console, the API and what watches a broker at --http, until end is called.
func (c *Config) serveHTTP(b *served) (*web, error) {
	if c.http == "" {
		return nil, nil
	}
	o := console.Options{Write: c.write, Hosts: c.hosts, Decoder: c.registry.decoder()}
	if b.fake != nil {
		o.Fake = b.fake
	}
	door := c.door(b.broker)
	o.Login, o.Token = door.Login, door.Token
	return c.listenHTTP("--http", c.http, console.Handler(b.b, o))
}

// listenHTTP serves h at the address of a flag, until end is called.
func (c *Config) listenHTTP(flag, addr string, h http.Handler) (*web, error) {
	encrypted, err := c.webTLS()
	if err != nil {
		return nil, err
	}
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", flag, err)
	}
	w := &web{ln: ln, srv: &http.Server{
		Handler: h, ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: api.MaxHeader, ErrorLog: zap.NewStdLog(c.broker.Logger),
	}}
	served := api.Limit(ln)
	if encrypted != nil {
		served = tls.NewListener(served, encrypted)
	}
	w.run.Go(func() { _ = w.srv.Serve(served) })
	return w, nil
}

// addr returns where it is served, "" for nowhere.
func (w *web) addr() string {
	if w == nil {
		return ""
	}
	return w.ln.Addr().String()
}

// end ends it, once what is asked is answered, or when ctx ends.
func (w *web) end(ctx context.Context) {
	if w == nil {
		return
	}
	if w.srv.Shutdown(ctx) != nil {
		_ = w.srv.Close()
	}
	w.run.Wait()
}
