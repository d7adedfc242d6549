package console_test

import (
	"fmt"
	"html"
	"net/http"
	"net/url"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/console"
	"github.com/samsa-go/samsa/samsatest"
)

// sent sends a form, and returns where that leads.
func (s site) sent(path string, form url.Values) string {
	s.Helper()
	status, header, body := s.post(path, form)
	if status != http.StatusSeeOther {
		s.Fatalf("%s: status %d:\n%s", path, status, body)
	}
	return header.Get("Location")
}

func (s site) all(topic string) (records []samsa.Record) {
	s.Helper()
	c, err := s.NewConsumer(s.Context(), samsa.ConsumerOptions{Topics: []string{topic}})
	s.no(err)
	defer func() { s.no(c.Close()) }()
	for r, err := range c.RecordsUntil(s.Context()) {
		s.no(err)
		records = append(records, r)
	}
	return records
}

// Without Options.Write a console does nothing, whoever asks, and offers nothing.
func TestItOnlyLooks(t *testing.T) {
	s := newSite(t, console.Options{})
	before, err := s.Stats(t.Context())
	s.no(err)
	for _, path := range []string{"/produce", "/reset", "/requeue"} {
		if status, _, _ := s.post(path, url.Values{"topic": {"one"}, "name": {hostile}, "to": {"oldest"}}); status != http.StatusForbidden {
			t.Errorf("%s: status %d", path, status)
		}
	}
	if status, _, _ := s.ask("DELETE", "/api/v1/topics/one", func(r *http.Request) { r.Header.Set("Samsa-Request", "1") }); status != http.StatusForbidden {
		t.Errorf("the API: status %d", status)
	}
	after, err := s.Stats(t.Context())
	s.no(err)
	if after.Commits != before.Commits {
		t.Error("something was written")
	}
	for path, body := range s.crawl("") {
		if strings.Contains(body, `action="produce"`) || strings.Contains(body, `action="reset`) || strings.Contains(body, `href="produce`) {
			t.Errorf("%s offers to write", path)
		}
	}
}

func TestProduce(t *testing.T) {
	b := samsatest.New(t, samsatest.Topic("t", 3))
	s := site{t, b, console.Handler(b, console.Options{Write: true})}
	at := s.sent("/produce", url.Values{
		"topic": {"t"}, "partition": {"2"}, "key": {"k"}, "key_as": {"text"}, "value": {"a\r\nb"}, "value_as": {"text"}, "time": {"2026-11-29 13:00"},
		"headers": {"one: 1\r\none:\r\n"}, "headers_as": {"text"},
	})
	if at != "record?offset=0&partition=2&topic=t" {
		t.Errorf("it leads to %s", at)
	}
	s.sent("/produce", url.Values{"topic": {"t"}, "partition": {"1"}, "key_as": {"null"}, "value": {"AP8="}, "value_as": {"base64"},
		"headers": {`[{"key":"h","value":null},{"key":"h","value":{"base64":"/w=="}}]`}, "headers_as": {"json"}})
	s.sent("/produce", url.Values{"topic": {"t"}, "partition": {"0"}, "key_as": {"hex"}, "value_as": {"null"}, "headers_as": {"text"}})
	got := make(map[int32]samsa.Record)
	for _, r := range s.all("t") {
		if r.Partition != 2 {
			r.Timestamp = time.Time{}
		}
		got[r.Partition] = r
	}
	want := map[int32]samsa.Record{
		2: {Topic: "t", Partition: 2, Key: []byte("k"), Value: []byte("a\nb"), Timestamp: time.UnixMilli(1795957200000), Headers: []samsa.Header{{Key: "one", Value: []byte("1")}, {Key: "one", Value: []byte{}}}},
		1: {Topic: "t", Partition: 1, Value: []byte{0, 0xff}, Headers: []samsa.Header{{Key: "h"}, {Key: "h", Value: []byte{0xff}}}},
		0: {Topic: "t", Key: []byte{}},
	}
	for p := range want {
		if fmt.Sprintf("%+q", got[p]) != fmt.Sprintf("%+q", want[p]) || (got[p].Key == nil) != (want[p].Key == nil) {
			t.Errorf("got %+q, want %+q", got[p], want[p])
		}
	}
}

// What cannot be produced comes back in the form, with the reasons, and nothing is stored.
func TestProduceSaysWhatIsWrong(t *testing.T) {
	b := samsatest.New(t, samsatest.Topic("t", 1), samsatest.Options(samsa.Options{AutoCreateTopics: true}))
	s := site{t, b, console.Handler(b, console.Options{Write: true})}
	form := func(change ...string) url.Values {
		f := url.Values{"topic": {"t"}, "key_as": {"null"}, "value": {"typed with <care>"}, "value_as": {"text"}, "headers_as": {"text"}}
		for i := 0; i < len(change); i += 2 {
			f.Set(change[i], change[i+1])
		}
		return f
	}
	for name, c := range map[string]struct {
		form   url.Values
		status int
		says   string
	}{
		"a topic that is not there": {form("topic", "tt"), 404, "unknown topic"},
		"no topic":                  {form("topic", ""), 404, "topic"},
		"a partition":               {form("partition", "7"), 404, "partition"},
		"no partition":              {form("partition", "x"), 400, "partition is"},
		"no base64":                 {form("value_as", "base64"), 400, "the value"},
		"no hex":                    {form("key", "x", "key_as", "hex"), 400, "the key"},
		"no JSON":                   {form("value_as", "json"), 400, "the value is no JSON"},
		"no headers":                {form("headers", "x"), 400, "has no colon"},
		"no JSON of headers":        {form("headers", "x", "headers_as", "json"), 400, "the headers"},
		"no time":                   {form("time", "noon"), 400, "time is"},
		"null with a text":          {form("key", "k"), 400, "the key is null"},
		"too large":                 {form("value", strings.Repeat("x", 1100<<10)), 413, "too large"},
	} {
		t.Run(name, func(t *testing.T) {
			status, _, body := s.post("/produce", c.form)
			if status != c.status || !strings.Contains(body, c.says) {
				t.Errorf("status %d, want %d and %q:\n%.2000s", status, c.status, c.says, body)
			}
			if !strings.Contains(body, "typed with &lt;care&gt;") && name != "too large" {
				t.Error("what was typed is lost")
			}
		})
	}
	if n := len(s.all("t")); n > 0 {
		t.Errorf("%d records", n)
	}
	if status, _, _ := s.post("/produce", form("value", strings.Repeat("x", 3<<20))); status != http.StatusRequestEntityTooLarge {
		t.Errorf("3 MiB: status %d", status)
	}
}

var field = regexp.MustCompile(`(?s)<(?:input|textarea)[^>]* name="(\w+)"(?: value="([^"]*)")?[^>]*>(?:\n([^<]*)</textarea>)?`)
var option = regexp.MustCompile(`<select name="(\w+)">(?:<option>\w+</option>)*<option selected>(\w+)</option>`)

// Whatever is in a record, the form that is filled with it produces it again.
func TestProduceAgain(t *testing.T) {
	b := samsatest.New(t, samsatest.Topic("t", 1), samsatest.Topic("copy", 1))
	s := site{t, b, console.Handler(b, console.Options{Write: true})}
	s.put(
		samsa.Record{Topic: "t", Key: []byte("k"), Value: []byte("{\n\t\"a\": \"<&\\u00e9>é\"\n}"), Headers: []samsa.Header{{Key: "a", Value: []byte("1")}, {Key: "a", Value: []byte("2: 3")}}},
		samsa.Record{Topic: "t", Value: []byte("\r\n \x00")},
		samsa.Record{Topic: "t", Key: []byte{}, Value: []byte{0xff}, Headers: []samsa.Header{{Key: "", Value: nil}, {Key: "h:\u202e", Value: []byte{0xfe}}}},
		samsa.Record{Topic: "t", Key: []byte(hostile), Value: []byte("\nbegins with a line end"), Headers: []samsa.Header{{Key: hostile, Value: []byte(hostile)}}},
	)
	for offset := range 4 {
		body := s.page(fmt.Sprintf("/produce?topic=t&partition=0&offset=%d", offset))
		form := make(url.Values)
		for _, m := range field.FindAllStringSubmatch(body, -1) {
			form.Set(m[1], html.UnescapeString(m[2]+strings.ReplaceAll(m[3], "\n", "\r\n"))) // as a browser does
		}
		for _, m := range option.FindAllStringSubmatch(body, -1) {
			form.Set(m[1], m[2])
		}
		form.Set("topic", "copy")
		s.sent("/produce", form)
	}
	originals, copies := s.all("t"), s.all("copy")
	for i := range originals {
		copies[i].Topic, copies[i].Timestamp = originals[i].Topic, originals[i].Timestamp
		if !reflect.DeepEqual(copies[i], originals[i]) {
			t.Errorf("%+q became %+q", originals[i], copies[i])
		}
	}
	s.put(samsa.Record{Topic: "t", Value: make([]byte, 100<<10)})
	if status, _, body := s.ask("GET", "/produce?topic=t&partition=0&offset=4"); status != 413 {
		t.Errorf("a large one: status %d\n%s", status, body)
	}
}

// A reset says what it would do, and does what it has said, even if the end has moved meanwhile.
func TestReset(t *testing.T) {
	s := newSite(t, console.Options{Write: true})
	one := samsa.TopicPartition{Topic: "one"}
	for range 9 {
		s.put(samsa.Record{Topic: "one"})
	}
	committed := func() int64 {
		at, err := s.Groups().Committed(t.Context(), hostile)
		s.no(err)
		return at[one].Offset
	}
	page := "/reset?name=" + url.QueryEscape(hostile)
	for _, c := range []struct {
		to    string
		want  int64
		tells string
	}{
		{"newest", 10, "10 records are left out"}, {"by -3", 7, "3 records come again"}, {"by 1", 8, "1 records are left out"}, {"4", 4, "4 records come again"},
		{"oldest", 0, "4 records come again"}, {"oldest", 0, "Nothing comes again"},
	} {
		status, _, body := s.post(page, url.Values{"to": {c.to}})
		if status != 200 || !strings.Contains(body, c.tells) {
			t.Errorf("to %s: status %d, want %q:\n%s", c.to, status, c.tells, body)
		}
		before := committed()
		s.put(samsa.Record{Topic: "web_log"}) // time goes on
		if now := committed(); now != before {
			t.Errorf("to %s: it was done before yes was said", c.to)
		}
		offsets := regexp.MustCompile(`name="offsets" value="([^"]*)"`).FindStringSubmatch(body)
		if to := s.sent(page, url.Values{"offsets": {html.UnescapeString(offsets[1])}}); to != "group?name="+url.QueryEscape(hostile) {
			t.Errorf("it leads to %s", to)
		}
		if now := committed(); now != c.want {
			t.Errorf("to %s: at %d, want %d", c.to, now, c.want)
		}
	}
	for _, wrong := range []url.Values{
		{"to": {""}}, {"to": {"by x"}}, {"to": {"nowhere"}}, {"to": {"1"}, "partitions": {"0"}}, {"to": {"1"}, "topic": {"one"}, "partitions": {"x"}}, {"offsets": {"x"}},
	} {
		if status, _, body := s.post(page, wrong); status != 400 {
			t.Errorf("%v: status %d\n%s", wrong, status, body)
		}
	}
	if status, _, _ := s.post("/reset?name=nobody", url.Values{"to": {"oldest"}}); status != 404 {
		t.Errorf("an unknown group: status %d", status)
	}
}

// Who is in a group is not moved.
func TestResetOfAGroupAtWork(t *testing.T) {
	s := newSite(t, console.Options{Write: true})
	c, err := s.NewConsumer(t.Context(), samsa.ConsumerOptions{Group: "g", Topics: []string{"one"}})
	s.no(err)
	defer func() { s.no(c.Close()) }()
	_, err = c.Poll(t.Context())
	s.no(err)
	if status, _, body := s.post("/reset?name=g", url.Values{"to": {"oldest"}}); status != http.StatusConflict || !strings.Contains(body, "members now: 1") {
		t.Errorf("status %d:\n%s", status, body)
	}
	s.want("/group?name=g", "Members now: 1.", "one 0")
}

// Dead letters are found by their group, with why they died, and are sent back to where they were.
func TestDeadLettersGoBack(t *testing.T) {
	b := samsatest.New(t, samsatest.Topic("mails", 2), samsatest.TopicWith("dead", samsa.TopicConfig{DeadLetters: true}))
	s := site{t, b, console.Handler(b, console.Options{Write: true})}
	q, err := b.NewQueue(t.Context(), samsa.QueueOptions{Group: "mailer", Topics: []string{"mails"}, DeadLetter: "dead"})
	s.no(err)
	defer func() { s.no(q.Close()) }()
	s.want("/queues", "mailer", `<td class="n">0</td>`)
	original := s.put(samsa.Record{Topic: "mails", Key: []byte("k"), Value: []byte("to nobody"), Headers: []samsa.Header{{Key: "a", Value: []byte("1")}}}, samsa.Record{Topic: "mails", Value: []byte("kept")})[0]
	for n := 0; n < 2; {
		ds, err := q.Receive(t.Context(), 10)
		s.no(err)
		for _, d := range ds {
			s.no(d.Reject("no <mailbox>"))
			n++
		}
	}
	s.put(samsa.Record{Topic: "dead", Value: []byte("of somebody else")})
	s.want("/group?name=mailer", "no &lt;mailbox&gt;", fmt.Sprintf("mails/%d at 0", original.Partition), `<dt>Dead letters</dt><dd>2</dd>`)
	body := s.page("/group?name=mailer")
	boxes := regexp.MustCompile(`name="at" value="([^"]*)"`).FindAllStringSubmatch(body, -1)
	if len(boxes) != 2 {
		t.Fatalf("%d letters:\n%s", len(boxes), body)
	}
	s.want("/queues", `<td class="n bad">2</td>`)
	var at string
	for i, r := range s.all("dead") {
		if string(r.Value) == "to nobody" {
			at = fmt.Sprintf("0:%d", i)
		}
	}
	if to := s.sent("/requeue?name=mailer", url.Values{"topic": {"dead"}, "at": {at}}); to != "group?name=mailer&sent=1" {
		t.Errorf("it leads to %s", to)
	}
	ds, err := q.Receive(t.Context(), 10)
	s.no(err)
	if len(ds) != 1 || ds[0].Record.Partition != original.Partition || string(ds[0].Record.Value) != "to nobody" || len(ds[0].Record.Headers) != 1 {
		t.Fatalf("received %+v", ds)
	}
	s.no(ds[0].Ack())
	for _, wrong := range []url.Values{{"topic": {"dead"}}, {"topic": {"dead"}, "at": {"x"}}, {"topic": {"dead"}, "at": {"0:2"}}} {
		if status, _, body := s.post("/requeue?name=mailer", wrong); status != 400 {
			t.Errorf("%v: status %d\n%s", wrong, status, body)
		}
	}
}

// The same handler has the API, health and metrics.
func TestWhatElseItServes(t *testing.T) {
	s := newSite(t, console.Options{})
	for path, want := range map[string]string{"/healthz": "", "/readyz": "", "/metrics": "# TYPE samsa_", "/api/v1/topics": `"web_log"`} {
		status, header, body := s.ask("GET", path)
		if status != 200 || !strings.Contains(body, want) || header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: status %d, %v\n%.500s", path, status, header, body)
		}
		if status, _, _ := s.ask("GET", path, func(r *http.Request) { r.Host = "evil.example.org" }); status != http.StatusMisdirectedRequest {
			t.Errorf("%s for another host: status %d", path, status)
		}
	}
}
