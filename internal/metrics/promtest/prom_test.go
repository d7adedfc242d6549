// Package promtest has Prometheus's own parser read what a broker prints of itself.
package promtest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/metrics"
	"github.com/samsa-go/samsa/kafka"
)

// busy is a broker on disk that has something for most metrics.
func busy(t *testing.T) *samsa.Broker {
	t.Helper()
	ctx := context.Background()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	b, err := samsa.Open(t.TempDir(), samsa.Options{AutoCreateTopics: true, Produce: samsa.ProduceOptions{Acks: samsa.AckSynced}})
	must(err)
	t.Cleanup(func() { _ = b.Close() })
	_, err = b.Produce(ctx, samsa.Record{Topic: "orders", Value: []byte("tea")}, samsa.Record{Topic: "orders", Value: []byte("milk")})
	must(err)
	_, err = b.Produce(ctx, samsa.Record{Topic: "orders", Value: make([]byte, 2<<20)})
	if !errors.Is(err, samsa.ErrRecordTooLarge) {
		t.Fatal(err)
	}
	p, err := b.NewProducer(ctx, samsa.ProducerOptions{ClientID: "a \"shop\"\\\n"})
	must(err)
	_, err = p.ProduceSync(ctx, samsa.Record{Topic: "orders"})
	must(err)
	c, err := b.NewConsumer(ctx, samsa.ConsumerOptions{Group: "mailer", Topics: []string{"orders"}, Start: samsa.Earliest()})
	must(err)
	records, err := c.PollRecords(ctx, 1)
	must(err)
	must(c.CommitRecords(ctx, records...))
	q, err := b.NewQueue(ctx, samsa.QueueOptions{Group: "workers", Topics: []string{"orders"}})
	must(err)
	_, err = q.Receive(ctx, 1)
	must(err)
	_, err = kafka.Listen(b, "127.0.0.1:0", kafka.Options{})
	must(err)
	return b
}

func print(t *testing.T, b *samsa.Broker) []byte {
	t.Helper()
	s, err := metrics.Of(context.Background(), b, samsa.MetricsOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	if err := metrics.Write(&text, s); err != nil {
		t.Fatal(err)
	}
	return text.Bytes()
}

// series is what the parser has read, by name and labels.
type series map[string]float64

// parse reads the text as a scrape does, and wants each family to have its type before its samples, and no sample twice.
func parse(t *testing.T, text []byte) (series, map[string]string) {
	t.Helper()
	p, err := textparse.New(text, metrics.ContentType, labels.NewSymbolTable(), textparse.ParserOptions{})
	if err != nil {
		t.Fatal(err)
	}
	all, types := make(series), make(map[string]string)
	for {
		entry, err := p.Next()
		if errors.Is(err, io.EOF) {
			return all, types
		}
		if err != nil {
			t.Fatalf("Prometheus does not read it: %v", err)
		}
		switch entry {
		case textparse.EntryType:
			name, kind := p.Type()
			if _, twice := types[string(name)]; twice {
				t.Errorf("%s has two types", name)
			}
			types[string(name)] = string(kind)
		case textparse.EntrySeries:
			_, _, value := p.Series()
			var l labels.Labels
			p.Labels(&l)
			name := l.Get("__name__")
			family := name
			for _, suffix := range []string{"_bucket", "_sum", "_count"} {
				if cut, ok := strings.CutSuffix(name, suffix); ok && types[cut] == "histogram" {
					family = cut
				}
			}
			if types[family] == "" {
				t.Errorf("%s has no type", name)
			}
			if _, twice := all[l.String()]; twice {
				t.Errorf("%s is there twice", l)
			}
			all[l.String()] = value
		}
	}
}

func TestPrometheusReadsIt(t *testing.T) {
	all, types := parse(t, print(t, busy(t)))
	for name, want := range map[string]float64{
		`{__name__="samsa_topics"}`: 1,
		`{__name__="samsa_partition_high_watermark_offset", partition="0", topic="orders"}`:             3,
		`{__name__="samsa_group_lag_records", group="mailer"}`:                                          2,
		`{__name__="samsa_queue_in_flight_records", group="workers"}`:                                   1,
		`{__name__="samsa_producer_records_total", client="a \"shop\"\\\n"}`:                            1,
		`{__name__="samsa_consumer_commits_total", client="", group="mailer"}`:                          1,
		`{__name__="samsa_group_state", group="mailer", kind="classic", state="Stable"}`:                1,
		`{__name__="samsa_producer_batch_duration_seconds_bucket", client="a \"shop\"\\\n", le="+Inf"}`: 1,
		`{__name__="samsa_series_left_out", what="group partitions"}`:                                   0,
	} {
		got, ok := all[name]
		if !ok || got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	if len(types) < 50 || len(all) < 150 {
		t.Errorf("%d families, %d series", len(types), len(all))
	}
	if t.Failed() {
		for name := range all {
			t.Log(name)
		}
	}
}

// The last bucket of a histogram, le="+Inf", has all values.
func TestHistograms(t *testing.T) {
	all, types := parse(t, print(t, busy(t)))
	count := 0
	for key, value := range all {
		name, _, _ := strings.Cut(strings.TrimPrefix(key, `{__name__="`), `"`)
		name, ok := strings.CutSuffix(name, "_count")
		if !ok || types[name] != "histogram" {
			continue
		}
		count++
		found := false
		for other, n := range all {
			found = found || n == value && strings.Contains(other, `"`+name+`_bucket"`) && strings.Contains(other, `le="+Inf"`)
		}
		if !found {
			t.Errorf("%s is %v, and no bucket +Inf is", key, value)
		}
	}
	if count < 3 {
		t.Errorf("%d histograms", count)
	}
}

// The rules for alerts on the page are expressions of Prometheus, of metrics that there are.
func TestAlerts(t *testing.T) {
	page, err := os.ReadFile("../../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(string(page)) {
		expr, ok := strings.CutPrefix(strings.TrimSpace(line), "expr: ")
		if !ok {
			continue
		}
		n++
		e, err := parser.NewParser(parser.Options{}).ParseExpr(expr)
		if err != nil {
			t.Errorf("%s: %v", expr, err)
			continue
		}
		parser.Inspect(e, func(node parser.Node, _ []parser.Node) error {
			if v, ok := node.(*parser.VectorSelector); ok && !strings.Contains(string(page), "| `"+strings.TrimSuffix(v.Name, "_bucket")+"` |") {
				t.Errorf("%s: there is no %s", expr, v.Name)
			}
			return nil
		})
	}
	if n < 5 {
		t.Errorf("%d rules", n)
	}
}
