package metrics

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/stats"
	"github.com/samsa-go/samsa/kafka"
)

var update = flag.Bool("update", false, "write the tables of docs/metrics.md")

// whole has something for every family.
func whole() *Source {
	times := samsa.Histogram{Bounds: []float64{0.001, 1}, Counts: []int64{2, 1, 1}, Sum: 7.5}
	at := time.Unix(1700000000, 500e6)
	return &Source{
		Metrics: samsa.Metrics{
			Broker: samsa.Stats{
				Opened: at, Topics: 1, Partitions: 2, Records: 1 << 40, Refused: map[string]int64{"ErrDiskFull": 3, "ErrConflict": 1},
				CommitTimes: times, SyncTimes: times, Store: samsa.StoreStats{FreeBytes: 0, StallTime: 1500 * time.Millisecond},
			},
			Topics: []samsa.TopicMetrics{{Topic: "orders", Count: 2, Partitions: []samsa.PartitionMetrics{
				{Partition: 0, LogStart: 3, HighWatermark: 9}, {Partition: 1, NextDue: at},
			}}},
			Groups: []samsa.GroupMetrics{
				{Group: "mailer", Kind: samsa.GroupConsumer, State: samsa.GroupStable, Lag: 7, LagTime: 90 * time.Second, Partitions: []samsa.GroupPartitionMetrics{
					{Topic: "orders", Committed: 2, Lag: 7, LagTime: 90 * time.Second}, {Topic: "orders", Partition: 1, Committed: -1},
				}},
				{Group: "jobs", Kind: samsa.GroupShare, ShareMetrics: samsa.ShareMetrics{InFlight: 4, DeadLetters: 2}},
			},
			Producers: []samsa.ProducerMetrics{{ClientID: "shop", Open: 1, Times: times}},
			Consumers: []samsa.ConsumerMetrics{{Group: "mailer", Open: 1}},
			Tables:    []samsa.TableMetrics{{Topic: "accounts", Name: "kept", Open: 1, Rows: 3}},
		},
		Servers: []Server{{Listener: "127.0.0.1:9092", Stats: kafka.Stats{
			Requests: []kafka.RequestStats{{Key: 0, Name: "Produce", Versions: []kafka.VersionStats{{Version: 9, Requests: 5}}, Times: times}},
			Errors:   []kafka.ErrorStats{{Code: 3, Name: "UNKNOWN_TOPIC_OR_PARTITION", Errors: 2}},
		}}},
		Mirrors: []stats.Mirror{{Name: "site-7", From: "f", To: "t", Records: 12, Failed: at, Lag: map[string]int64{"orders": 3}, LagTime: 2 * time.Second}},
	}
}

func write(t *testing.T, s *Source) string {
	t.Helper()
	var text bytes.Buffer
	if err := Write(&text, s); err != nil {
		t.Fatal(err)
	}
	return text.String()
}

func TestText(t *testing.T) {
	text := write(t, whole())
	for _, want := range []string{
		"# HELP samsa_topics Topics that there are.\n# TYPE samsa_topics gauge\nsamsa_topics 1\n",
		"samsa_opened_timestamp_seconds 1.7000000005e+09\n",
		"samsa_appended_records_total 1.099511627776e+12\n",
		"samsa_writes_refused_total{reason=\"ErrConflict\"} 1\nsamsa_writes_refused_total{reason=\"ErrDiskFull\"} 3\n",
		"# TYPE samsa_commit_duration_seconds histogram\n" +
			"samsa_commit_duration_seconds_bucket{le=\"0.001\"} 2\nsamsa_commit_duration_seconds_bucket{le=\"1\"} 3\n" +
			"samsa_commit_duration_seconds_bucket{le=\"+Inf\"} 4\nsamsa_commit_duration_seconds_sum 7.5\nsamsa_commit_duration_seconds_count 4\n",
		"samsa_partition_log_start_offset{topic=\"orders\",partition=\"0\"} 3\n",
		"samsa_partition_retention_due_timestamp_seconds{topic=\"orders\",partition=\"1\"} 1.7000000005e+09\n",
		"samsa_group_state{group=\"mailer\",kind=\"consumer\",state=\"Stable\"} 1\n",
		"samsa_group_lag_seconds{group=\"mailer\"} 90\n",
		"samsa_group_partition_committed_offset{group=\"mailer\",topic=\"orders\",partition=\"0\"} 2\n# HELP",
		"# TYPE samsa_queue_in_flight_records gauge\nsamsa_queue_in_flight_records{group=\"jobs\"} 4\n",
		"samsa_producer_batch_duration_seconds_bucket{client=\"shop\",le=\"+Inf\"} 4\n",
		"samsa_kafka_requests_total{listener=\"127.0.0.1:9092\",request=\"Produce\",version=\"9\"} 5\n",
		"samsa_mirror_records_total{mirror=\"site-7\",from=\"f\",to=\"t\"} 12\n",
		"samsa_mirror_lag_seconds{mirror=\"site-7\",from=\"f\",to=\"t\"} 2\n",
		"samsa_mirror_error_timestamp_seconds{mirror=\"site-7\",from=\"f\",to=\"t\"} 1.7000000005e+09\n",
		"samsa_mirror_topic_lag_records{mirror=\"site-7\",from=\"f\",to=\"t\",topic=\"orders\"} 3\n",
		"samsa_kafka_errors_total{listener=\"127.0.0.1:9092\",code=\"3\",error=\"UNKNOWN_TOPIC_OR_PARTITION\"} 2\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the text has not\n%s", want)
		}
	}
	if t.Failed() {
		t.Log(text)
	}
}

func TestLabelsAreEscaped(t *testing.T) {
	s := &Source{Metrics: samsa.Metrics{Topics: []samsa.TopicMetrics{{Topic: "a\"b\\c\nd\xff"}}}}
	if want, text := `samsa_topic_bytes{topic="a\"b\\c\nd`+"\uFFFD\"} 0\n", write(t, s); !strings.Contains(text, want) {
		t.Errorf("the text has not %s", want)
	}
	p := &printer{family: &family{name: "x", kind: gauge, help: "a\\b\nc"}}
	p.count(1)
	if got, want := string(p.buf), "# HELP x a\\\\b\\nc\n# TYPE x gauge\nx 1\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// Names say type and unit, as Prometheus wants them.
func TestNames(t *testing.T) {
	seen := make(map[string]bool)
	for _, f := range families {
		if seen[f.name] {
			t.Errorf("%s is there twice", f.name)
		}
		seen[f.name] = true
		if strings.HasSuffix(f.name, "_total") != (f.kind == counter) {
			t.Errorf("%s is a %s", f.name, f.kind)
		}
		if f.kind == histogram && !strings.HasSuffix(f.name, "_duration_seconds") {
			t.Errorf("%s is a histogram of what?", f.name)
		}
		if !regexp.MustCompile(`^samsa(_[a-z]+)+$`).MatchString(f.name) || !strings.HasSuffix(f.help, ".") {
			t.Errorf("%s: %s", f.name, f.help)
		}
	}
}

// docs/metrics.md has a row for each family, and no other.
func TestPage(t *testing.T) {
	const path, begin, end = "../../docs/metrics.md", "<!-- metrics: go test ./internal/metrics -update -->\n", "<!-- end of metrics -->\n"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, _ := strings.Cut(string(text), begin)
	have, after, ok := strings.Cut(rest, end)
	if !ok {
		t.Fatalf("%s has no place for the table", path)
	}
	want := table(t)
	if have == want {
		return
	}
	if !*update {
		t.Fatalf("the table of %s is not that of the families: run this test with -update", path)
	}
	if err := os.WriteFile(path, []byte(before+begin+want+end+after), 0o644); err != nil {
		t.Fatal(err)
	}
}

// table is that of the page: name, labels, type and meaning.
func table(t *testing.T) string {
	s := whole()
	b := new(strings.Builder)
	fmt.Fprint(b, "\n| metric | labels | type | meaning |\n|---|---|---|---|\n")
	for i := range families {
		f := &families[i]
		p := &printer{family: f}
		f.each(s, p)
		if len(p.buf) == 0 {
			t.Errorf("nothing is printed of %s", f.name)
		}
		var labels []string
		for _, l := range regexp.MustCompile(`([a-z]+)="`).FindAllStringSubmatch(string(p.buf), -1) {
			if l[1] != "le" && !slices.Contains(labels, l[1]) {
				labels = append(labels, l[1])
			}
		}
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", f.name, strings.Join(labels, ", "), f.kind, f.help)
	}
	fmt.Fprintln(b)
	return b.String()
}

func TestHandler(t *testing.T) {
	ask := func(method string, s *Source, err error) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		Handler(func(context.Context) (*Source, error) { return s, err }).ServeHTTP(w, httptest.NewRequest(method, "/metrics", nil))
		return w
	}
	if w := ask(http.MethodGet, whole(), nil); w.Code != 200 || w.Header().Get("Content-Type") != ContentType || !strings.HasPrefix(w.Body.String(), "# HELP ") {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	if w := ask(http.MethodPost, whole(), nil); w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "GET, HEAD" {
		t.Errorf("POST: %d", w.Code)
	}
	if w := ask(http.MethodGet, nil, fmt.Errorf("metrics: %w", samsa.ErrClosed)); w.Code != http.StatusServiceUnavailable {
		t.Errorf("a closed broker: %d", w.Code)
	}
	if w := ask(http.MethodGet, nil, errors.New("input/output error")); w.Code != 500 || !strings.Contains(w.Body.String(), "input/output") {
		t.Errorf("an error: %d %s", w.Code, w.Body)
	}
}

// What is served by Kafka's protocol is told too, as long as it is.
func TestOfABrokerAndItsServers(t *testing.T) {
	b, err := samsa.Open("", samsa.Options{InMemory: true})
	if err != nil {
		t.Fatal(err)
	}
	srv, err := kafka.Listen(b, "127.0.0.1:0", kafka.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := Of(t.Context(), b, samsa.MetricsOptions{})
	if err != nil || len(s.Servers) != 1 || s.Servers[0].Listener != srv.Addr().String() {
		t.Errorf("%+v, %v", s, err)
	}
	if err := srv.Close(); err != nil {
		t.Fatal(err)
	}
	if s, err = Of(t.Context(), b, samsa.MetricsOptions{}); err != nil || len(s.Servers) != 0 {
		t.Errorf("after Close: %+v, %v", s, err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err = Of(t.Context(), b, samsa.MetricsOptions{}); !errors.Is(err, samsa.ErrClosed) {
		t.Errorf("a broker that is closed: %v", err)
	}
}
