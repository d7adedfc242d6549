package registrytest_test

import (
	"testing"

	"github.com/twmb/franz-go/pkg/sr"

	"github.com/samsa-go/samsa/adapters/registry/registrytest"
	"github.com/samsa-go/samsa/samsatest"
)

// A registry ends with its test, and what it has said is in the broker.
func TestNew(t *testing.T) {
	b := samsatest.New(t)
	for _, name := range []string{"first", "second"} {
		t.Run(name, func(t *testing.T) {
			c, err := sr.NewClient(sr.URLs(registrytest.New(t, b)))
			if err != nil {
				t.Fatal(err)
			}
			if s, err := c.CreateSchema(t.Context(), "a", sr.Schema{Schema: `"string"`}); err != nil || s.ID != 1 || s.Version != 1 {
				t.Errorf("%+v, %v", s, err)
			}
		})
	}
}
