// Package console shows a broker in a browser: what it holds, what goes through it, who reads it.
//
//	mux.Handle("/samsa/", http.StripPrefix("/samsa", console.Handler(b, console.Options{})))
//
// Pages are made on the server, and can be read without JavaScript. They need nothing from elsewhere. Their links are
// relative, so that a console may lie under any path, and behind any proxy that puts one before it. The page of the
// repository about it is docs/console.md.
//
// The same handler has /metrics for Prometheus, /healthz and /readyz, and the API of docs/api.md below /api/v1/.
//
// A console only looks, unless Options.Write is set. It reads within limits, on behalf of no group, and moves none.
package console

import (
	"context"
	"embed"
	"html/template"
	"net/http"
	"sync"
	"time"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/api"
	"github.com/samsa-go/samsa/internal/metrics"
)

// Options says what a console may do. The zero value is right for who only looks.
type Options struct {
	// Write lets the console produce, reset groups and send dead letters back. Else it is only shown what there is.
	Write bool
	// Hosts are the names, without ports, under which the console can be reached besides "localhost" and addresses in
	// numbers. A request for another name is refused: a page of elsewhere has its own name lead here (DNS rebinding).
	// "*" is any name, for who looks at the Host header before the console does.
	Hosts []string
	// Decoder says what keys and values mean that are encoded. Pages show that beside the bytes, and searches look at it. nil
	// for bytes alone.
	Decoder Decoder
	// Login, unless it is nil, has whoever calls say a name and a password (HTTP Basic), and lets in whom it knows, to all but /healthz and
	// /readyz. from is the address of who calls. kafka.Users.Check is one. Serve it by TLS then: names and passwords are sent as they are.
	Login func(ctx context.Context, from, name, password string) bool
	// Token does so for who brings a token (HTTP Bearer, RFC 6750), as one that kafka.JWKS knows; nil takes none. What it fails with nobody is told.
	Token func(ctx context.Context, token string) error
	// Fake is the broker that is shown, and what controls it. nil for a broker that is none.
	Fake Fake
}

// Fake is a fake broker, for tests of programs that are not in this process: samsa serve --fake has one, and its console a page for
// faults, time, restarts and copies. A test in Go has package samsatest for that, whose brokers the console shows as any others.
type Fake interface {
	// Broker returns the broker as it is now: after a restart or a reset it is another one.
	Broker() *samsa.Broker
	// ServeHTTP answers what docs/api.md has below /api/v1/kit/. What writes comes to it only with Options.Write.
	http.Handler
}

// Limits of a console. What a page costs has a bound, whatever is in the broker.
const (
	pageTimeout  = 10 * time.Second
	readersMax   = 4       // pages that read records at one time
	streamsMax   = 16      // browsers that follow at one time
	saversMax    = 4       // files of records that are being saved at one time
	bodyMaxBytes = 2 << 20 // of what is sent to the console
)

//go:embed templates/*.html
var templateFiles embed.FS

// console is one handler's state. It has no goroutine: what it knows of before it has noted when it was asked.
type console struct {
	broker  func() *samsa.Broker // a fake one is another one after it was begun anew
	opts    Options
	pages   map[string]*template.Template
	readers chan struct{} // one for each page that reads records
	streams chan struct{} // one for each browser that follows
	savers  chan struct{} // one for each file that is being saved

	api *api.Client // of the same broker, with the same options

	history history
	sizes   sizes
	growth  growth
	polled  polled
}

// Handler returns a console of b. It ends with b: what is asked after that is answered with an error. It serves paths
// from the root on: see http.StripPrefix. With
// Options.Fake b is nil.
func Handler(b *samsa.Broker, opts Options) http.Handler {
	c := &console{
		broker: func() *samsa.Broker { return b }, opts: opts, pages: parsePages(),
		readers: make(chan struct{}, readersMax), streams: make(chan struct{}, streamsMax), savers: make(chan struct{}, saversMax),
	}
	if opts.Fake != nil {
		c.broker = opts.Fake.Broker
	}
	served := api.Handler(b, api.Options{Write: opts.Write, Hosts: opts.Hosts, Fake: opts.Fake, Metrics: metrics.Handler(c.metrics)})
	c.api = api.Direct(served)
	mux := http.NewServeMux()
	c.get(mux, "/{$}", c.overview)
	c.get(mux, "/topics", c.topics)
	c.get(mux, "/topic", c.topic)
	c.get(mux, "/records", c.records)
	c.get(mux, "/record", c.record)
	c.get(mux, "/search", c.search)
	c.get(mux, "/groups", c.groups)
	c.get(mux, "/group", c.group)
	c.get(mux, "/queues", c.queues)
	c.get(mux, "/tables", c.tables)
	c.get(mux, "/table", c.table)
	c.get(mux, "/produce", c.produceForm)
	c.get(mux, "/kit", c.kit)
	c.post(mux, "/kit", c.control)
	c.post(mux, "/produce", c.produce)
	c.post(mux, "/reset", c.reset)
	c.post(mux, "/requeue", c.requeue)
	mux.HandleFunc("GET /history.json", c.polls(c.historyJSON))
	mux.HandleFunc("GET /bytes", c.rawBytes)
	mux.HandleFunc("GET /tail", c.tail)
	mux.HandleFunc("POST /save", c.save)
	mux.Handle("GET /assets/", assets())
	c.get(mux, "/", func(context.Context, *http.Request) (view, error) { return view{}, errNoPage })
	all := http.NewServeMux()
	for _, path := range []string{"/api/", "/healthz", "/readyz", "/metrics"} {
		all.Handle(path, served)
	}
	all.Handle("/", c.guard(mux))
	return api.Door{Login: opts.Login, Token: opts.Token}.Asks(absolute(all))
}

// post has what a form sends answered by fn.
func (c *console) post(mux *http.ServeMux, path string, fn pageFunc) {
	mux.HandleFunc("POST "+path, func(w http.ResponseWriter, r *http.Request) {
		c.answer(w, r, fn)
		c.polled.forget()
	})
}

// get has a page answered by fn.
func (c *console) get(mux *http.ServeMux, path string, fn pageFunc) {
	mux.HandleFunc("GET "+path, c.polls(func(w http.ResponseWriter, r *http.Request) { c.answer(w, r, fn) }))
}

// metrics gathers what /metrics tells.
func (c *console) metrics(ctx context.Context) (*metrics.Source, error) {
	return metrics.Of(ctx, c.broker(), samsa.MetricsOptions{})
}

// reading bounds the pages that read records at one time. It returns what ends that, or the error of ctx.
func (c *console) reading(ctx context.Context) (done func(), err error) {
	select {
	case c.readers <- struct{}{}:
		return sync.OnceFunc(func() { <-c.readers }), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
