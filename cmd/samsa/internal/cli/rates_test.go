package cli

import (
	"testing"
	"time"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/api"
	"github.com/samsa-go/samsa/samsatest"
)

// Rates are what has come between two looks: what has gone meanwhile is no rate, and neither is what nobody knows.
func TestRates(t *testing.T) {
	now := counters{produced: 50, bytes: 900, appended: 1500}
	for name, c := range map[string]struct {
		before, after counters
		want          string
	}{
		"a broker that counts":       {counters{10, 1000, 1000}, now, "20.0 records/s, 250 B/s"},
		"a cluster tells its size":   {counters{10, 1000, -1}, counters{50, 5096, -1}, "20.0 records/s, 2.0 KiB/s"},
		"where retention was faster": {counters{10, 1000, -1}, counters{50, 900, -1}, "20.0 records/s, 0 B/s"},
		"nobody knows":               {counters{10, -1, -1}, counters{50, 900, -1}, "20.0 records/s"},
		"it was opened anew":         {counters{10, 1000, 1000}, counters{5, 500, 0}, "0.0 records/s, 0 B/s"},
		"it is new":                  {now.none(), now, "25.0 records/s, 750 B/s"},
	} {
		if got := ratesOf(c.before, c.after, 2*time.Second).String(); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

// A topic and a partition that come between two looks count.
func TestRatesOfNew(t *testing.T) {
	b := samsatest.New(t)
	c := api.Direct(api.Handler(b, api.Options{}))
	if err := b.Topics().Create(t.Context(), "orders", samsa.TopicConfig{}); err != nil {
		t.Fatal(err)
	}
	_, err := b.Produce(t.Context(), samsa.Record{Topic: "orders"}, samsa.Record{Topic: "orders"})
	if err != nil {
		t.Fatal(err)
	}
	rows, err := topicsAfter(t.Context(), c, api.TopicsRequest{}, time.Millisecond, nil)
	if err != nil || len(rows) != 1 || rows[0].RecordsPerS <= 0 || *rows[0].BytesPerS <= 0 {
		t.Errorf("%+v, %v", rows, err)
	}
}
