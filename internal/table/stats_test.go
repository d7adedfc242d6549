package table_test

import (
	"fmt"
	"testing"

	"github.com/samsa-go/samsa"
)

// What is told of tables is what they have: rows, their bytes, and how often they were built anew, after another opening too.
func TestStats(t *testing.T) {
	t.Parallel()
	k := open(t, t.TempDir())
	k.create("accounts", samsa.TopicConfig{})
	stats := func() samsa.TableMetrics {
		m, err := k.Metrics(k.ctx, samsa.MetricsOptions{})
		must(t, err)
		if len(m.Tables) == 0 {
			return samsa.TableMetrics{}
		}
		return m.Tables[0]
	}
	opts := samsa.TableOptions{Topic: "accounts", Name: "kept"}
	tb := k.table(opts)
	empty := stats()
	expect(t, "empty", fmt.Sprint(empty.Open, empty.Rows, empty.Bytes, empty.Lag, empty.Rebuilds), "1 0 0 0 0")
	k.put(tb, rec("a", "1"), rec("b", "12345"))
	two := stats()
	k.put(tb, rec("b", "12345678"), rec("c", "1"), rec("c", "1"))
	if more := stats(); more.Rows != 3 || more.Bytes <= two.Bytes {
		t.Errorf("%+v after %+v", more, two)
	}
	k.put(tb, rec("b", "12345"), rec("c", ""))
	expect(t, "bytes, as it was", stats().Bytes, two.Bytes)
	must(t, tb.Close())
	expect(t, "closed", stats().Open, 0)
	tb = k.table(opts)
	expect(t, "opened again", stats(), two)
	must(t, tb.Close())
	opts.Version++
	tb = k.table(opts)
	two.Rebuilds = 1
	expect(t, "another version", stats(), two)
	k.put(tb, rec("a", ""), rec("b", ""))
	expect(t, "bytes of nothing", stats().Bytes, 0)
}
