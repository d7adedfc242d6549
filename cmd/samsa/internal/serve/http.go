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

	"github.com/samsa-go/samsa"
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
	broker := func() *samsa.Broker { return b.b }
	if b.fake != nil {
		o.Fake, broker = b.fake, b.fake.Broker
	}
	c.login(&o, broker)
	encrypted, err := c.webTLS()
	if err != nil {
		return nil, err
	}
	ln, err := net.Listen("tcp", c.http)
	if err != nil {
		return nil, fmt.Errorf("--http: %w", err)
	}
	w := &web{ln: ln, srv: &http.Server{
		Handler: console.Handler(b.b, o), ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: api.MaxHeader, ErrorLog: zap.NewStdLog(c.broker.Logger),
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
