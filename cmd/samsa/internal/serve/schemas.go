package serve

import (
	"context"
	"net/http"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/adapters/registry"
	"github.com/samsa-go/samsa/cmd/samsa/internal/schema"
	"github.com/samsa-go/samsa/internal/api"
)

// schemas is a schema registry of a broker that is served; nil for none. It is begun anew with a broker that is, as a fake one may be.
type schemas struct {
	broker func() *samsa.Broker
	failed func(error)
	web    *web

	mu sync.Mutex // guards both
	of *samsa.Broker
	r  *registry.Registry
}

// schemasEnd is how long requests have to end by themselves: what they write takes a moment.
const schemasEnd = time.Second

// serveSchemas serves a schema registry at --schema-registry, until end is called. The console decodes by it, unless it has another one. That of a
// fake broker begins with its first request: a test finds no topic that it has not asked for.
func (c *Config) serveSchemas(ctx context.Context, b *served) (s *schemas, err error) {
	if c.schemas == "" {
		return nil, nil
	}
	s = &schemas{broker: b.broker, failed: func(err error) { c.broker.Logger.Warn("schema registry", zap.Error(err)) }}
	if b.fake == nil {
		if _, err := s.registry(ctx); err != nil {
			return nil, err
		}
	}
	if c.registry.registry == nil {
		if c.registry.registry, err = schema.Of(s); err != nil {
			return s, err
		}
	}
	s.web, err = c.listenHTTP("--schema-registry", c.schemas, c.door(b.broker).Asks(api.Guard(c.hosts, s)))
	return s, err
}

// registry returns the registry of the broker as it is now.
func (s *schemas) registry(ctx context.Context) (*registry.Registry, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.broker()
	if s.r != nil && s.of == b {
		return s.r, nil
	}
	if s.r != nil {
		if err := s.r.Close(); err != nil {
			s.failed(err)
		}
	}
	r, err := registry.New(ctx, b, registry.Options{Failed: s.failed})
	s.of, s.r = b, r
	return r, err
}

// ServeHTTP is http.Handler's.
func (s *schemas) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	r, err := s.registry(q.Context())
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	r.ServeHTTP(w, q)
}

// addr returns where it is served, "" for nowhere.
func (s *schemas) addr() string {
	if s == nil {
		return ""
	}
	return s.web.addr()
}

// end ends it before its broker ends.
func (s *schemas) end(ctx context.Context) error {
	if s == nil {
		return nil
	}
	soon, cancel := context.WithTimeout(ctx, schemasEnd)
	defer cancel()
	s.web.end(soon)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.r == nil {
		return nil
	}
	return s.r.Close()
}
