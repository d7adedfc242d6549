// Package registrytest serves a schema registry to a test.
package registrytest

import (
	"net/http/httptest"
	"testing"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/adapters/registry"
)

// New serves a registry of b, at the URL that it returns, until the test ends. b has to be there until then: a broker of
// samsatest is, when it was made before. What the registry cannot read fails the test.
func New(t testing.TB, b *samsa.Broker) string {
	t.Helper()
	r, err := registry.New(t.Context(), b, registry.Options{Failed: func(err error) { t.Error(err) }})
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(r)
	t.Cleanup(func() {
		s.Close()
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return s.URL
}
