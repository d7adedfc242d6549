package console_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/console"
	"github.com/samsa-go/samsa/samsatest"
)

var (
	goOn   = regexp.MustCompile(`id="go-on" rel="next" href="([^"]*)"`)
	looked = regexp.MustCompile(`id="looked">([\d,]+)<`)
)

// find searches to the end, and returns what was found, how many records were looked at, and in how many steps.
func (s site) find(query string) (found []string, n string, steps int) {
	s.Helper()
	for path := "search?" + query; ; steps++ {
		body := s.page("/" + path)
		for _, m := range rowAt.FindAllStringSubmatch(body, -1) {
			found = append(found, m[1])
		}
		n = looked.FindStringSubmatch(body)[1]
		next := goOn.FindStringSubmatch(body)
		if next == nil {
			return found, n, steps + 1
		}
		if steps > 100 {
			s.Fatalf("%s does not end", query)
		}
		path = html.UnescapeString(next[1])
	}
}

func TestSearch(t *testing.T) {
	b := samsatest.New(t, samsatest.Topic("t", 2))
	s := site{t, b, console.Handler(b, console.Options{})}
	manual := samsa.ProduceOptions{Partitioner: samsa.ManualPartitioner()}
	for i, r := range []samsa.Record{
		{Key: []byte("Tea"), Value: []byte("x")}, {Value: []byte("two teas <b>")}, {Headers: []samsa.Header{{Key: "a"}, {Key: "drink", Value: []byte("tea\xff")}}},
		{Headers: []samsa.Header{{Key: "teapot"}}}, {Value: []byte{0, 0xde, 0xad, 1}}, {Value: []byte("coffee")},
	} {
		r.Topic, r.Partition = "t", int32(i%2)
		_, err := s.ProduceWith(t.Context(), manual, r)
		s.no(err)
	}
	for query, want := range map[string]string{
		"q=tea":                         "[0:0 0:1 1:0 1:1]",
		"q=tea&as=case":                 "[0:1 1:0 1:1]",
		"q=tea&keys=1":                  "[0:0]",
		"q=tea&values=1":                "[1:0]",
		"q=tea&headers=1":               "[0:1 1:1]",
		"q=tea&headers=1&partition=1":   "[1:1]",
		"q=t[ew]&as=regexp":             "[0:1 1:0 1:1]",
		"q=^x$&as=regexp":               "[0:0]",
		"q=de+ad&as=hex":                "[0:2]",
		"q=tea&from=1":                  "[0:1 1:1]",
		"q=tea&from=1970-01-01":         "[0:0 0:1 1:0 1:1]",
		"q=tea&from=2999-01-01":         "[]",
		"q=tea&from=newest":             "[]",
		"q=" + url.QueryEscape("s <b>"): "[1:0]",
	} {
		if found, _, _ := s.find("topic=t&" + query); fmt.Sprint(found) != want {
			t.Errorf("%s: %v, want %s", query, found, want)
		}
	}
	s.want("/search?topic=t&q=teas", "<small>value</small> two <mark>teas</mark> &lt;b&gt;", "6</span> looked at")
	for _, wrong := range []string{"q=(&as=regexp", "q=x&as=hex", "q=x&as=sql", "q=x&at=1", "q=x&from=here", "q=x&partition=9", "q=" + strings.Repeat("x", 2000)} {
		if status, _, _ := s.ask("GET", "/search?topic=t&"+wrong); status != 400 && status != 404 {
			t.Errorf("%s: status %d", wrong, status)
		}
	}
}

// A search goes on from step to step, looks at each record once, and not at what came to a partition after it.
func TestSearchGoesOn(t *testing.T) {
	b := samsatest.New(t, samsatest.Topic("t", 3))
	s := site{t, b, console.Handler(b, console.Options{})}
	records := make([]samsa.Record, 5000)
	var want []string
	for range 10 {
		for i := range records {
			records[i] = samsa.Record{Topic: "t", Value: []byte("v"), Key: fmt.Append(nil, i)}
			if i%100 == 0 {
				records[i].Value = []byte("needle")
			}
		}
		for i, r := range s.put(records...) {
			if i%100 == 0 {
				want = append(want, fmt.Sprintf("%d:%d", r.Partition, r.Offset))
			}
		}
	}
	found, n, steps := s.find("topic=t&q=needle&from=oldest")
	slices.Sort(found)
	slices.Sort(want)
	if !slices.Equal(found, want) || n != "50,000" || steps < 5 {
		t.Errorf("found %d of %d, looked at %s, in %d steps", len(found), len(want), n, steps)
	}
}

// What was found is saved as it is, a line each, whatever is in it.
func TestSave(t *testing.T) {
	b := samsatest.New(t, samsatest.Topic("t", 1))
	s := site{t, b, console.Handler(b, console.Options{})}
	large := strings.Repeat("large", 100_000)
	s.put(
		samsa.Record{Topic: "t", Key: []byte("k"), Value: []byte(`{"n":9007199254740993}`), Headers: []samsa.Header{{Key: "h"}, {Key: "h", Value: []byte{0xff}}}},
		samsa.Record{Topic: "t", Value: []byte(large)},
	)
	status, header, body := s.post("/save", url.Values{"topic": {"t"}, "at": {"0:1,0:0,0:9"}})
	lines := strings.Split(strings.TrimSpace(body), "\n")
	if status != 200 || len(lines) != 3 || !strings.Contains(header.Get("Content-Disposition"), `"t.jsonl"`) {
		t.Fatalf("status %d, %d lines, %v", status, len(lines), header)
	}
	if !strings.Contains(lines[0], large) || !strings.Contains(lines[2], "there is no record") {
		t.Errorf("lines %.100s, %s", lines[0], lines[2])
	}
	for _, want := range []string{`"key":"k"`, `"value":"{\"n\":9007199254740993}"`, `"headers":[{"key":"h","value":null},{"key":"h","value":{"base64":"/w=="}}]`} {
		if !strings.Contains(lines[1], want) {
			t.Errorf("%s has no %s", lines[1], want)
		}
	}
	for _, wrong := range []string{"", "0", "x:1", "0:-1", strings.Repeat("0:0,", 6000)} {
		if status, _, _ := s.post("/save", url.Values{"topic": {"t"}, "at": {wrong}}); status != 400 {
			t.Errorf("%.20q: status %d", wrong, status)
		}
	}
}

// post sends a form.
func (s site) post(path string, form url.Values) (int, http.Header, string) {
	s.Helper()
	return s.ask("POST", path, func(r *http.Request) {
		r.Body = io.NopCloser(strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	})
}

// listen follows a topic over a connection.
func (s site) listen(query string) (events <-chan string, stop func()) {
	s.Helper()
	server := httptest.NewServer(s.Handler)
	ctx, cancel := context.WithCancel(s.Context())
	r, err := http.NewRequestWithContext(ctx, "GET", server.URL+"/tail?"+query, nil)
	s.no(err)
	answer, err := server.Client().Do(r)
	s.no(err)
	if answer.StatusCode != 200 {
		s.Fatalf("%s: %s", query, answer.Status)
	}
	all := make(chan string, 100)
	lines := bufio.NewReader(answer.Body)
	hello, err := lines.ReadString('\n')
	s.no(err)
	if hello != ": hello\n" {
		s.Errorf("it begins with %q", hello)
	}
	go func() {
		defer close(all)
		for {
			line, err := lines.ReadString('\n')
			if err != nil {
				return
			}
			if strings.HasPrefix(line, "data: ") || strings.HasPrefix(line, "event: ") {
				all <- strings.TrimSpace(line)
			}
		}
	}()
	return all, func() {
		cancel()
		_ = answer.Body.Close()
		for range all {
		}
		server.Close()
	}
}

// Records come as they are stored, those that are wanted; when the topic is deleted that is told.
func TestTail(t *testing.T) {
	s := newSite(t, console.Options{})
	events, stop := s.listen("topic=web_log&q=tea")
	defer stop()
	s.put(samsa.Record{Topic: "web_log", Value: []byte("coffee")}, samsa.Record{Topic: "one", Value: []byte("tea")}, samsa.Record{Topic: "web_log", Value: []byte("\"tea\"\n<b>")})
	var event struct {
		Rows string
		N    int
	}
	s.no(json.NewDecoder(bytes.NewReader([]byte(strings.TrimPrefix(<-events, "data: ")))).Decode(&event))
	if event.N != 1 || !strings.Contains(event.Rows, `&#34;<mark>tea</mark>&#34;\n&lt;b&gt;`) {
		t.Errorf("%d: %s", event.N, event.Rows)
	}
	s.no(s.Topics().Delete(t.Context(), "web_log"))
	if end := <-events; end != "event: end" {
		t.Errorf("after its topic was deleted: %s", end)
	}
}

// Who follows more than anybody can read gets the newest, and is told how many went by.
func TestTailPassesOver(t *testing.T) {
	s := newSite(t, console.Options{})
	events, stop := s.listen("topic=one")
	defer stop()
	records := make([]samsa.Record, 10_000)
	for i := range records {
		records[i] = samsa.Record{Topic: "one", Value: []byte("v")}
	}
	s.put(records...)
	var n, passed int
	for n+passed < len(records) {
		var event struct{ N, Passed int }
		s.no(json.Unmarshal([]byte(strings.TrimPrefix(<-events, "data: ")), &event))
		n, passed = n+event.N, passed+event.Passed
	}
	if n > 2500 || n+passed != len(records) {
		t.Errorf("%d shown, %d passed over", n, passed)
	}
}

func TestTailIsRefused(t *testing.T) {
	s := newSite(t, console.Options{})
	for query, want := range map[string]int{"topic=nobody": 404, "topic=one&partition=4": 404, "topic=one&as=regexp&q=(": 400} {
		if status, _, _ := s.ask("GET", "/tail?"+query); status != want {
			t.Errorf("%s: %d, want %d", query, status, want)
		}
	}
	var stops []func()
	for range 16 {
		_, stop := s.listen("topic=one")
		stops = append(stops, stop)
	}
	if status, _, _ := s.ask("GET", "/tail?topic=one"); status != 503 {
		t.Errorf("one too many: %d", status)
	}
	for _, stop := range stops {
		stop()
	}
}
