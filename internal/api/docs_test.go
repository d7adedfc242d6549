package api

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/inside"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/samsatest"
)

var update = flag.Bool("update", false, "write the answers into docs/api.md")

const apiPage = "../../docs/api.md"

// A request of the page, and the answer behind it.
var exchange = regexp.MustCompile("(?ms)^```http\n(\\S+) (\\S+)\n(.*?)^```\n(?:\n```(?:json|text)\n(.*?)^```\n)?")

// What differs from run to run, and what the page has in its place.
var differs = []struct {
	at   *regexp.Regexp
	with string
}{
	{regexp.MustCompile(`"id":"[A-Za-z0-9_-]{22}"`), `"id":"Z5pzZ1MdSfu0iYpQ7tGnIQ"`},
	{regexp.MustCompile(`"cluster_id":"[^"]*"`), `"cluster_id":"bq6Y9cPsQ0yQ1wgc3dWgkA"`},
	{regexp.MustCompile(`"version":"[^"]*"`), `"version":"v0.17.0"`},
	{regexp.MustCompile(`"host":"[^"*]+"`), `"host":"bureau"`},
	{regexp.MustCompile(`"pid":\d+`), `"pid":4711`},
	{regexp.MustCompile(`"commits":\d+,"syncs":\d+`), `"commits":9,"syncs":2`},
	{regexp.MustCompile(`"sync_times":\{[^}]*\}`), `"sync_times":{"bounds":[0.000004,0.000016],"counts":[2,0,0],"sum":0}`},
}

// The requests of docs/api.md, one after the other, have the answers that stand there, and no endpoint is missing.
func TestPage(t *testing.T) {
	text, err := os.ReadFile(apiPage)
	must(t, err)
	var out []byte
	asked := make(map[string]bool)
	synctest.Test(t, func(t *testing.T) { // so that times are those of the page
		b := samsatest.New(t, samsatest.Topic("mails", 1), samsatest.AllowOpenClients())
		prepare(t, b)
		kit := newFakeKit(b)
		h := Handler(b, Options{Write: true, Fake: controlled{kit, KitHandler(kit)}})
		out = exchange.ReplaceAllFunc(text, func(found []byte) []byte {
			parts := exchange.FindSubmatch(found)
			asked[patternOf(string(parts[1]), string(parts[2]))] = true
			answer := ask(t, h, string(parts[1]), string(parts[2]), parts[3])
			said := fmt.Sprintf("```http\n%s %s\n%s```\n", parts[1], parts[2], parts[3])
			if answer != "" {
				kind := "text"
				if answer[0] == '{' {
					kind = "json"
				}
				said += fmt.Sprintf("\n```%s\n%s```\n", kind, answer)
			}
			if !*update && said != string(found) {
				t.Errorf("docs/api.md has\n%s\nand it is\n%s", found, said)
			}
			return []byte(said)
		})
		must(t, b.Close())
	})
	for _, r := range append(allRoutes(), route{pattern: "GET /healthz"}, route{pattern: "GET /readyz"}) {
		if !asked[r.pattern] && r.pattern != "GET snapshot" && r.pattern != "POST import" {
			t.Errorf("docs/api.md has no %s", r.pattern)
		}
	}
	if *update {
		must(t, os.WriteFile(apiPage, out, 0o644))
	}
}

// prepare has a broker hold what the page shows besides what it makes itself.
func prepare(t *testing.T, b *samsa.Broker) {
	t.Helper()
	ctx := t.Context()
	_, err := b.Produce(ctx, samsa.Record{Topic: "mails", Value: []byte("ann@example.org")})
	must(t, err)
	must(t, b.Topics().Create(ctx, "dlq.mails", samsa.TopicConfig{}))
	q, err := b.NewQueue(ctx, samsa.QueueOptions{Group: "mailer", Topics: []string{"mails"}, DeadLetter: "dlq.mails"})
	must(t, err)
	got, err := q.Receive(ctx, 1)
	must(t, err)
	must(t, got[0].Reject("no such address"))
	must(t, q.Close())
	must(t, b.Topics().Create(ctx, "addresses", samsa.TopicConfig{CleanupPolicy: samsa.CleanupCompact}))
	_, err = b.Produce(ctx, samsa.Record{Topic: "addresses", Key: []byte("ann"), Value: []byte("ann@example.org")})
	must(t, err)
	addresses, err := b.NewTable(ctx, samsa.TableOptions{Topic: "addresses", Name: "by-person"})
	must(t, err)
	must(t, addresses.Close())
	beginTransaction(t, b)
}

// beginTransaction leaves a transaction open, as a Kafka client would.
func beginTransaction(t *testing.T, b *samsa.Broker) {
	t.Helper()
	_, err := inside.Of(b).Txns.Init(t.Context(), "orders", time.Minute, nil)
	must(t, err)
}

// patternOf returns the pattern of the route that serves a request.
func patternOf(method, target string) string {
	mux := http.NewServeMux()
	for _, r := range allRoutes() {
		m, path := splitPattern(r.pattern)
		mux.HandleFunc(m+" "+prefix+path, func(http.ResponseWriter, *http.Request) {})
	}
	_, pattern := mux.Handler(httptest.NewRequest(method, target, nil))
	if pattern == "" {
		return method + " " + target
	}
	return strings.Replace(pattern, prefix, "", 1)
}

// ask returns an answer as the page shows it: a status that is no success, a body, or nothing.
func ask(t *testing.T, h http.Handler, method, target string, body []byte) string {
	t.Helper()
	r := httptest.NewRequest(method, "http://localhost"+target, bytes.NewReader(body))
	if len(body) > 0 {
		r.Header.Set("Content-Type", "application/json")
	}
	r.Header.Set(RequestHeader, "1")
	resp, err := direct{h}.RoundTrip(r)
	must(t, err)
	defer end(resp.Body)
	text, err := io.ReadAll(resp.Body)
	must(t, err)
	if resp.Header.Get("Content-Type") != "application/json" {
		return string(text)
	}
	for _, d := range differs {
		text = d.at.ReplaceAll(text, []byte(d.with))
	}
	var indented bytes.Buffer
	must(t, json.Indent(&indented, text, "", "  "))
	if indented.Len() > 1500 && bytes.Contains(text, []byte(`"configs"`)) {
		text = regexp.MustCompile(`(?s)"configs":\[\{.*?\}\]`).ReplaceAll(text, []byte(`"configs":[{"name":"cleanup.policy","value":"delete","default":true}]`))
		text = regexp.MustCompile(`(?s)"configs":\{[^}]*\}`).ReplaceAll(text, []byte(`"configs":{"consumer.heartbeat.interval.ms":"5000"}`))
	}
	indented.Reset()
	must(t, json.Indent(&indented, text, "", "  "))
	indented.WriteByte('\n')
	return compact(indented.String())
}

// flat is an object or a list without others in it.
var flat = regexp.MustCompile(`(?s)([\[{])\n\s*([^\[\]{}]*?)\n\s*([\]}])`)

// compact puts what is short on one line.
func compact(text string) string {
	for range 2 {
		text = flat.ReplaceAllStringFunc(text, func(s string) string {
			one := regexp.MustCompile(`\n\s*`).ReplaceAllString(s, " ")
			one = strings.NewReplacer("{ ", "{", " }", "}", "[ ", "[", " ]", "]").Replace(one)
			if len(one) > 130 {
				return s
			}
			return one
		})
	}
	return text
}

// Every error of the library has a name, and the client has the error of the name again, with its family and whether the outcome is known.
func TestErrorsComeBack(t *testing.T) {
	for _, named := range log.Errors {
		for _, unclear := range []bool{false, true} {
			err := fmt.Errorf("topic t: %w", named.Err)
			if unclear {
				err = fmt.Errorf("%w: %w", samsa.ErrOutcomeUnknown, err)
			}
			w := httptest.NewRecorder()
			writeError(w, err)
			back := answeredError(w.Result())
			wantError(t, back, named.Err)
			if got := nameOf(back); got != named.Name || back.Error() != err.Error() {
				t.Errorf("%s came back as %s, %v", named.Name, got, back)
			}
			for _, family := range []error{samsa.ErrInvalid, samsa.ErrUnknown, samsa.ErrFenced, samsa.ErrTooLarge, samsa.ErrUnavailable, samsa.ErrUnsupported, samsa.ErrOutcomeUnknown} {
				if isIt(back, family) != isIt(err, family) {
					t.Errorf("%s is of the family %q: %v, and came back as %v", named.Name, family, isIt(err, family), isIt(back, family))
				}
			}
			if w.Code < 400 {
				t.Errorf("%s has status %d", named.Name, w.Code)
			}
		}
	}
}
