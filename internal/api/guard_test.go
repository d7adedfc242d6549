package api

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/samsa-go/samsa/samsatest"
)

// asked is a request of whoever, and what it should be answered with.
type asked struct {
	name, method, target, body string
	header                     map[string]string
	status                     int
	err                        string // the name
}

func (a asked) check(t *testing.T, h http.Handler) {
	t.Helper()
	r := httptest.NewRequest(a.method, a.target, strings.NewReader(a.body))
	r.Host = "localhost:9080"
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set(RequestHeader, "1")
	for name, value := range a.header {
		switch {
		case name == "Host":
			r.Host = value
		case value == "":
			r.Header.Del(name)
		default:
			r.Header.Set(name, value)
		}
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	resp := w.Result()
	text, err := io.ReadAll(resp.Body)
	must(t, err)
	if resp.StatusCode != a.status {
		t.Errorf("status %d, want %d: %s", resp.StatusCode, a.status, text)
	}
	if a.status < 400 {
		return
	}
	if want := `{"error":{"name":"` + a.err + `"`; !strings.HasPrefix(string(text), want) || resp.Header.Get("Content-Type") != "application/json" {
		t.Errorf("%s is answered, want %s", text, want)
	}
}

func TestGuard(t *testing.T) {
	h := Handler(samsatest.New(t), Options{Write: true, Hosts: []string{"samsa.example"}})
	host := func(name string) map[string]string { return map[string]string{"Host": name} }
	const topics, create = "/api/v1/topics", `{"name":"t"}`
	for _, a := range []asked{
		{name: "another name", target: topics, header: host("evil.example"), status: 421, err: "ErrInvalid"},
		{name: "another name and a port", target: topics, header: host("evil.example:9080"), status: 421, err: "ErrInvalid"},
		{name: "a name that begins as an address", target: topics, header: host("127.0.0.1.evil.example"), status: 421, err: "ErrInvalid"},
		{name: "no name", target: topics, header: host(":9080"), status: 421, err: "ErrInvalid"},
		{name: "metrics for another name", target: "/metrics", header: host("evil.example"), status: 421, err: "ErrInvalid"},
		{name: "an allowed name", target: topics, header: host("SAMSA.example:80"), status: 200},
		{name: "localhost", target: topics, header: host("localhost."), status: 200},
		{name: "an address", target: topics, header: host("192.168.1.7:9080"), status: 200},
		{name: "an address of six", target: topics, header: host("[::1]:9080"), status: 200},

		{name: "a form of another site", method: "POST", target: topics, body: create, header: map[string]string{"Sec-Fetch-Site": "cross-site"}, status: 403, err: "ErrInvalid"},
		{name: "another origin", method: "POST", target: topics, body: create, header: map[string]string{"Origin": "http://evil.example"}, status: 403, err: "ErrInvalid"},
		{name: "without the header", method: "POST", target: topics, body: create, header: map[string]string{RequestHeader: ""}, status: 403, err: "ErrInvalid"},
		{name: "as a form", method: "POST", target: topics, body: create, header: map[string]string{"Content-Type": "text/plain"}, status: 415, err: "ErrUnsupported"},
		{name: "the same origin", method: "POST", target: topics, body: create,
			header: map[string]string{"Origin": "http://localhost:9080", "Sec-Fetch-Site": "same-origin"}, status: 204},
	} {
		t.Run(a.name, func(t *testing.T) { a.check(t, h) })
	}
}

// What is asked wrongly is refused, says what is wrong, and does nothing.
func TestRefused(t *testing.T) {
	b := samsatest.New(t, samsatest.Topic("t", 1))
	samsatest.Produce(t, b, "t", "a=1")
	h := Handler(b, Options{Write: true})
	v1 := func(path string) string { return "/api/v1/" + path }
	for _, a := range []asked{
		{name: "no such path", target: v1("nothing"), status: 404, err: "ErrUnknown"},
		{name: "no such version", target: "/api/v2/topics", status: 404, err: "ErrUnknown"},
		{name: "no such method", method: "DELETE", target: v1("topics"), status: 405, err: "ErrUnsupported"},
		{name: "an unknown field", method: "POST", target: v1("topics"), body: `{"name":"u","partition":1}`, status: 400, err: "ErrInvalid"},
		{name: "no JSON", method: "POST", target: v1("topics"), body: `{"name":`, status: 400, err: "ErrInvalid"},
		{name: "two values", method: "POST", target: v1("topics"), body: `{"name":"u"}{"name":"v"}`, status: 400, err: "ErrInvalid"},
		{name: "another type", method: "POST", target: v1("topics"), body: `{"name":1}`, status: 400, err: "ErrInvalid"},
		{name: "no UTF-8", method: "POST", target: v1("topics"), body: "{\"name\":\"\xff\"}", status: 400, err: "ErrInvalid"},
		{name: "no body", method: "POST", target: v1("topics"), status: 400, err: "ErrInvalid"},
		{name: "a body where none belongs", method: "POST", target: v1("sweep"), body: `{}`, status: 400, err: "ErrInvalid"},
		{name: "too large a body", method: "POST", target: v1("topics"), body: `{"name":"` + strings.Repeat("u", maxBody) + `"}`, status: 413, err: "ErrTooLarge"},
		{name: "a bad name", method: "POST", target: v1("topics"), body: `{"name":"a b"}`, status: 400, err: "ErrInvalidTopic"},
		{name: "negative partitions", method: "POST", target: v1("topics"), body: `{"name":"u","partitions":-1}`, status: 400, err: "ErrInvalidPartitions"},
		{name: "an unknown config", method: "POST", target: v1("topics"), body: `{"name":"u","configs":{"x":"1"}}`, status: 400, err: "ErrInvalidConfig"},
		{name: "a limit of none", target: v1("topics?limit=0"), status: 400, err: "ErrInvalid"},
		{name: "too many", target: v1("topics?limit=10001"), status: 400, err: "ErrInvalid"},
		{name: "twice", target: v1("topics?limit=1&limit=2"), status: 400, err: "ErrInvalid"},
		{name: "a broken query", target: v1("topics?limit=%zz"), status: 400, err: "ErrInvalid"},
		{name: "a partition that is none", target: v1("topics/t/records?partition=-1"), status: 400, err: "ErrInvalid"},
		{name: "a partition that is missing", target: v1("topics/t/records?partition=1"), status: 404, err: "ErrUnknownPartition"},
		{name: "a position of groups", target: v1("topics/t/records?from=shift:1"), status: 400, err: "ErrInvalid"},
		{name: "last, backward", target: v1("topics/t/records?from=last:1&backward=true"), status: 400, err: "ErrInvalid"},
		{name: "behind the end, backward", target: v1("topics/t/records?from=offset:9&backward=true"), status: 416, err: "ErrOffsetOutOfRange"},
		{name: "too long a scan", target: v1("topics/t/records?scan=1000001"), status: 400, err: "ErrInvalid"},
		{name: "half a base64", target: v1("topics/t/records?key64=x"), status: 400, err: "ErrInvalid"},
		{name: "a key twice", target: v1("topics/t/records?key=x&key64=eA"), status: 400, err: "ErrInvalid"},
		{name: "an offset that is none", target: v1("topics/t/records/0/x"), status: 400, err: "ErrInvalid"},
		{name: "an offset that is not there", target: v1("topics/t/records/0/1"), status: 416, err: "ErrOffsetOutOfRange"},
		{name: "a record without a key of a partition", target: v1("topics/t/records/follow?offset=0"), status: 400, err: "ErrInvalid"},
		{name: "to follow a partition that is missing", target: v1("topics/t/records/follow?partition=3"), status: 404, err: "ErrUnknownPartition"},
		{name: "to follow from half an id", target: v1("topics/t/records/follow"), header: map[string]string{"Last-Event-ID": "0"}, status: 400, err: "ErrInvalid"},
		{name: "unknown acks", method: "POST", target: v1("topics/t/records"), body: `{"records":[],"acks":"none"}`, status: 400, err: "ErrInvalidOption"},
		{name: "an unknown codec", method: "POST", target: v1("topics/t/records"), body: `{"records":[],"compression":"rar"}`, status: 400, err: "ErrInvalidOption"},
		{name: "records of a partition that is missing", method: "POST", target: v1("topics/t/records"), body: `{"records":[{"partition":7,"key":null,"value":null}]}`, status: 404, err: "ErrUnknownPartition"},
		{name: "records of a partition that cannot be", method: "POST", target: v1("topics/t/records"), body: `{"records":[{"partition":-1,"key":null,"value":null}]}`, status: 404, err: "ErrUnknownPartition"},
		{name: "half a surrogate pair", method: "POST", target: v1("topics/t/records"), body: `{"records":[{"key":null,"value":"\ud800"}]}`, status: 400, err: "ErrInvalid"},
		{name: "a header that was cut", method: "POST", target: v1("topics/t/records"), body: `{"records":[{"key":null,"value":null,"headers":[{"key":"h","value":"v","size":9}]}]}`, status: 400, err: "ErrInvalid"},
		{name: "no dead letter", method: "POST", target: v1("topics/t/requeue"), body: `{"partition":0,"offsets":[0]}`, status: 400, err: "ErrInvalidRecord"},
		{name: "a reset to nowhere", method: "POST", target: v1("groups/g/reset"), body: `{}`, status: 400, err: "ErrInvalid"},
		{name: "a reset of nothing", method: "POST", target: v1("groups/g/reset"), body: `{"to":"latest"}`, status: 404, err: "ErrUnknownGroup"},
		{name: "a reset to two places", method: "POST", target: v1("groups/g/reset"), body: `{"to":"latest","offsets":[{"topic":"t","partition":0,"offset":0}]}`, status: 400, err: "ErrInvalid"},
		{name: "a shift from nowhere", method: "POST", target: v1("groups/g/reset"), body: `{"to":"shift:1","topics":["t"]}`, status: 404, err: "ErrNoOffset"},
		{name: "no such group", target: v1("groups/%2E%2E"), status: 404, err: "ErrUnknownGroup"},
		{name: "no such kind", target: v1("groups?kind=old"), status: 400, err: "ErrInvalid"},
		{name: "no key", target: v1("key"), status: 400, err: "ErrInvalidKey"},
		{name: "no such key", target: v1("key?key=k"), status: 404, err: "ErrKeyNotFound"},
		{name: "no such transaction", target: v1("transactions/x"), status: 404, err: "ErrUnknownTransactionalID"},
		{name: "no fake", target: v1("kit/faults"), status: 501, err: "ErrUnsupported"},
	} {
		if a.method == "" {
			a.method = "GET"
		}
		t.Run(a.name, func(t *testing.T) { a.check(t, h) })
	}
	if names, err := b.Topics().List(t.Context()); err != nil || len(names) != 1 {
		t.Errorf("the topics are %q, %v", names, err)
	}
	samsatest.Equal(t, b, "t", []string{"a=1"})
}

// An API that was opened for reading refuses all that writes.
func TestReadsOnly(t *testing.T) {
	kit := newFakeKit(samsatest.New(t, samsatest.Topic("t", 1)))
	h, fake := Handler(kit.b, Options{}), Handler(nil, Options{Fake: controlled{kit, KitHandler(kit)}})
	asked{method: "GET", target: "/api/v1/kit/faults", status: 200}.check(t, fake)
	for _, r := range append(allRoutes(), route{pattern: "POST kit/forks/f/api/v1/sync"}) {
		method, path := splitPattern(r.pattern)
		if method == "GET" {
			continue
		}
		target := "/api/v1/" + strings.NewReplacer("{", "", "}", "").Replace(path)
		t.Run(r.pattern, func(t *testing.T) {
			asked{method: method, target: target, body: `{}`, status: 403, err: "ErrReadOnly"}.check(t, fake)
			if !strings.HasPrefix(path, "kit/forks/f/") {
				asked{method: method, target: target, body: `{}`, status: 403, err: "ErrReadOnly"}.check(t, h)
			}
		})
	}
	b := samsatest.New(t)
	must(t, b.Close())
	for _, path := range []string{"/api/v1/topics", "/api/v1/stats", "/readyz", "/api/v1/groups", "/api/v1/snapshot"} {
		asked{method: "GET", target: path, status: 503, err: "ErrClosed"}.check(t, Handler(b, Options{}))
	}
}

// deadlines is an answer on a connection that has deadlines.
type deadlines struct {
	*httptest.ResponseRecorder
	now     time.Time
	without int // writes
}

func (d *deadlines) SetWriteDeadline(t time.Time) error {
	d.now = t
	return nil
}

func (d *deadlines) Write(p []byte) (int, error) {
	if d.now.IsZero() {
		d.without++
	}
	return d.ResponseRecorder.Write(p)
}

// Nobody is waited for without end who reads nothing, and what else is served on a connection is not cut off for that.
func TestDeadlines(t *testing.T) {
	h := Handler(samsatest.New(t, samsatest.Topic("t", 1)), Options{})
	for _, path := range []string{"/api/v1/topics", "/api/v1/topics/none", "/api/v1/snapshot", "/metrics", "/healthz", "/nothing", "/api/v1/topics/t/records/follow?from=earliest&until=true"} {
		w := &deadlines{ResponseRecorder: httptest.NewRecorder()}
		r := httptest.NewRequestWithContext(t.Context(), "GET", path, nil)
		r.Host = "localhost"
		h.ServeHTTP(w, r)
		if w.without > 0 || w.Body.Len() == 0 || !w.now.IsZero() {
			t.Errorf("%s: %d writes without a deadline, %d bytes, a deadline after that: %v", path, w.without, w.Body.Len(), w.now)
		}
	}
}
