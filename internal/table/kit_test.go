package table_test

import (
	"context"
	"fmt"
	"testing"

	"go.uber.org/goleak"

	"github.com/samsa-go/samsa"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// kit is a broker under test. What goes wrong in a step ends the test.
type kit struct {
	*samsa.Broker
	t   testing.TB
	ctx context.Context
}

func open(t testing.TB, dir string) *kit {
	t.Helper()
	b, err := samsa.Open(dir, samsa.Options{InMemory: dir == ""})
	must(t, err)
	t.Cleanup(func() { must(t, b.Close()) })
	return &kit{b, t, context.Background()}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (k *kit) create(topic string, config samsa.TopicConfig) {
	k.t.Helper()
	must(k.t, k.Topics().Create(k.ctx, topic, config))
}

func (k *kit) table(opts samsa.TableOptions) *samsa.Table {
	k.t.Helper()
	t, err := k.NewTable(k.ctx, opts)
	must(k.t, err)
	k.t.Cleanup(func() { must(k.t, t.Close()) })
	return t
}

// rec returns a record of accounts; without a value it is a tombstone.
func rec(key, value string) samsa.Record {
	r := samsa.Record{Topic: "accounts", Key: []byte(key)}
	if value != "" {
		r.Value = []byte(value)
	}
	return r
}

func (k *kit) produce(records ...samsa.Record) []samsa.Record {
	k.t.Helper()
	out, err := k.Produce(k.ctx, records...)
	must(k.t, err)
	return out
}

// put produces records, and waits until the table has them.
func (k *kit) put(t *samsa.Table, records ...samsa.Record) {
	k.t.Helper()
	must(k.t, t.WaitFor(k.ctx, k.produce(records...)...))
}

// rows returns what a table has, in the order of Range.
func (k *kit) rows(t *samsa.Table, r samsa.TableRange) (all []string) {
	k.t.Helper()
	for rec, err := range t.Range(r) {
		must(k.t, err)
		all = append(all, fmt.Sprintf("%s=%s", rec.Key, rec.Value))
	}
	return all
}

func expect(t testing.TB, what string, got, want any) {
	t.Helper()
	if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
		t.Errorf("%s: %s, want %s", what, g, w)
	}
}

// both runs a test for a table in memory and one that is kept.
func both(t *testing.T, f func(t *testing.T, name string)) {
	t.Parallel()
	for _, name := range []string{"", "kept"} {
		t.Run("name="+name, func(t *testing.T) {
			t.Parallel()
			f(t, name)
		})
	}
}
