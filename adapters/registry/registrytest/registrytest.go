// Package registrytest serves a schema registry to a test.
package registrytest

import (
	"context"
	"net/http/httptest"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/adapters/registry"
)

// TB is what of a testing.TB a registry needs. A samsatest.TB has it, too.
type TB interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	Cleanup(func())
}

// New serves a registry of b, at the URL that it returns, until the test ends. b has to be there until then: a broker of
// samsatest is, when it was made before. What the registry cannot read fails the test.
func New(t TB, b *samsa.Broker) string {
	t.Helper()
	r, err := registry.New(context.Background(), b, registry.Options{Failed: func(err error) { t.Errorf("%v", err) }})
	if err != nil {
		t.Fatalf("%v", err)
	}
	s := httptest.NewServer(r)
	t.Cleanup(func() {
		s.Close()
		if err := r.Close(); err != nil {
			t.Errorf("%v", err)
		}
	})
	return s.URL
}
