// Package metrics prints what brokers and servers tell of themselves as Prometheus reads it: the text format, version
// 0.0.4 (https://prometheus.io/docs/instrumenting/exposition_formats/). families.go says what there is, and
// docs/metrics.md describes it.
package metrics

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/inside"
	"github.com/samsa-go/samsa/internal/stats"
	"github.com/samsa-go/samsa/kafka"
)

// Source is what is printed.
type Source struct {
	samsa.Metrics
	Servers []Server
	Mirrors []stats.Mirror // that copy from the broker, or to it
}

// Server is what a Kafka server tells. Listener tells it from others of the same broker, as its address does.
type Server struct {
	Listener string
	kafka.Stats
}

// Of asks b, the Kafka servers that serve it, and the mirrors that copy from it or to it.
func Of(ctx context.Context, b *samsa.Broker, opts samsa.MetricsOptions) (*Source, error) {
	m, err := b.Metrics(ctx, opts)
	if err != nil {
		return nil, err
	}
	s := &Source{Metrics: m}
	for _, server := range kafka.Servers(b) {
		s.Servers = append(s.Servers, Server{server.Addr().String(), server.Stats()})
	}
	for _, other := range inside.Of(b).Servers() {
		if m, ok := other.(stats.Mirroring); ok {
			s.Mirrors = append(s.Mirrors, m.Mirror())
		}
	}
	slices.SortFunc(s.Mirrors, compareMirrors)
	s.Mirrors = slices.CompactFunc(s.Mirrors, func(a, b stats.Mirror) bool { return compareMirrors(a, b) == 0 }) // one takes over from the other
	return s, nil
}

// ContentType is that of the text.
const ContentType = "text/plain; version=0.0.4; charset=utf-8"

// kind is the type of a family.
type kind string

const (
	counter   kind = "counter"
	gauge     kind = "gauge"
	histogram kind = "histogram"
)

// family is the metrics of one name.
type family struct {
	name string
	kind kind
	help string // one sentence, with the unit
	each func(s *Source, p *printer)
}

// Write prints s. Its error is that of w.
func Write(w io.Writer, s *Source) error {
	p := &printer{}
	for i := range families {
		p.family = &families[i]
		p.headed = false
		families[i].each(s, p)
	}
	_, err := w.Write(p.buf)
	return err
}

// printer prints the samples of a family.
type printer struct {
	family *family
	headed bool // HELP and TYPE are there: a family without samples has none
	buf    []byte
}

// value prints a sample with labels: names and values in turn.
func (p *printer) value(v float64, labels ...string) { p.sample("", v, labels) }

// count is value for whole numbers.
func (p *printer) count(n int64, labels ...string) { p.sample("", float64(n), labels) }

// times prints a histogram: its buckets, which are cumulative, sum and count.
func (p *printer) times(h samsa.Histogram, labels ...string) {
	if len(h.Counts) == 0 {
		return
	}
	with := append(labels[:len(labels):len(labels)], "le", "")
	sum := int64(0)
	for i, bound := range h.Bounds {
		sum += h.Counts[i]
		with[len(with)-1] = strconv.FormatFloat(bound, 'g', -1, 64)
		p.sample("_bucket", float64(sum), with)
	}
	sum += h.Counts[len(h.Bounds)]
	with[len(with)-1] = "+Inf"
	p.sample("_bucket", float64(sum), with)
	p.sample("_sum", h.Sum, labels)
	p.sample("_count", float64(sum), labels)
}

func (p *printer) sample(suffix string, v float64, labels []string) {
	b := p.buf
	if f := p.family; !p.headed {
		p.headed = true
		b = append(b, "# HELP "+f.name+" "+helpEscapes.Replace(f.help)+"\n# TYPE "+f.name+" "+string(f.kind)+"\n"...)
	}
	b = append(append(b, p.family.name...), suffix...)
	for i := 0; i < len(labels); i += 2 {
		b = append(b, ",{"[b2i(i == 0)])
		b = append(append(append(b, labels[i]...), `="`...), labelEscapes.Replace(strings.ToValidUTF8(labels[i+1], "\uFFFD"))...)
		b = append(b, '"')
	}
	if len(labels) > 0 {
		b = append(b, '}')
	}
	b = strconv.AppendFloat(append(b, ' '), v, 'g', -1, 64)
	p.buf = append(b, '\n')
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

var (
	helpEscapes  = strings.NewReplacer(`\`, `\\`, "\n", `\n`)
	labelEscapes = strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`)
)

// Handler answers GET with what gather returns. A broker that is closed is 503.
func Handler(gather func(ctx context.Context) (*Source, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "metrics are read with GET", http.StatusMethodNotAllowed)
			return
		}
		s, err := gather(r.Context())
		if err != nil {
			status := http.StatusInternalServerError
			if errors.Is(err, samsa.ErrClosed) {
				status = http.StatusServiceUnavailable
			}
			http.Error(w, err.Error(), status)
			return
		}
		var text bytes.Buffer
		_ = Write(&text, s) // a buffer takes all
		w.Header().Set("Content-Type", ContentType)
		w.Header().Set("Content-Length", strconv.Itoa(text.Len()))
		_, _ = w.Write(text.Bytes()) // who has gone needs nothing
	})
}
