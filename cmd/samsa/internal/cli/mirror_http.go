package cli

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/api"
	"github.com/samsa-go/samsa/internal/metrics"
)

// mirrorWeb is what a mirror serves over HTTP.
type mirrorWeb struct {
	ln  net.Listener
	srv *http.Server
	run sync.WaitGroup
}

// serveMirror serves the metrics of the broker that is copied from, with those of the mirror, until end is called; nil at no address.
func serveMirror(addr string, hosts []string, from *samsa.Broker) (*mirrorWeb, error) {
	if addr == "" {
		return nil, nil
	}
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("--http: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("/metrics", metrics.Handler(func(ctx context.Context) (*metrics.Source, error) {
		return metrics.Of(ctx, from, samsa.MetricsOptions{})
	}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	w := &mirrorWeb{ln: ln, srv: &http.Server{Handler: api.Guard(hosts, mux), ReadHeaderTimeout: 10 * time.Second, MaxHeaderBytes: api.MaxHeader}}
	w.run.Go(func() { _ = w.srv.Serve(api.Limit(ln)) })
	return w, nil
}

func (w *mirrorWeb) end() {
	_ = w.srv.Close()
	w.run.Wait()
}
