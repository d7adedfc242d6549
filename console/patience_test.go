package console_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/console"
	"github.com/samsa-go/samsa/samsatest"
)

// A search gives up a record for which it would take minutes, and goes on behind it.
func TestSearchGivesUp(t *testing.T) {
	b := samsatest.New(t)
	s := site{t, b, console.Handler(b, console.Options{})}
	s.no(b.Topics().Create(t.Context(), "t", samsa.TopicConfig{MaxMessageBytes: 8 << 20}))
	s.put(samsa.Record{Topic: "t", Value: []byte(strings.Repeat("a", 4<<20))}, samsa.Record{Topic: "t", Value: []byte("a" + strings.Repeat("x", 1000) + "b")})
	const costly = "(?s)a.{1000}b"
	found, n, _ := s.find("topic=t&from=oldest&as=regexp&q=" + url.QueryEscape(costly))
	if len(found) != 1 || n != "2" {
		t.Errorf("found %q of %s", found, n)
	}
	if body := s.page("/search?topic=t&from=oldest&as=regexp&q=" + url.QueryEscape(costly)); !strings.Contains(body, "the record at offset 0 takes too long to be searched") {
		t.Error("it does not say what it has given up")
	}
	if status, _, body := s.ask("GET", "/search?topic=t&as=regexp&q="+url.QueryEscape("("+strings.Repeat("a|b", 50)+"){1000}")); status != 400 || !strings.Contains(body, "repeats too much") {
		t.Errorf("status %d: %s", status, body)
	}
}

// Matches are those of package regexp also where the clock is looked at.
func TestSearchInLargeValues(t *testing.T) {
	b := samsatest.New(t, samsatest.Topic("t", 1))
	s := site{t, b, console.Handler(b, console.Options{})}
	long := strings.Repeat("x", 10_000)
	s.put(samsa.Record{Topic: "t", Value: []byte(long + "Tea\u00e9\xff")})
	for query, want := range map[string]int{"text&q=tEA%C3%89": 1, "regexp&q=a%C3%A9": 1, "regexp&q=%5ETea": 0, "regexp&q=%5Ex": 1, "regexp&q=coffee": 0} {
		if found, _, _ := s.find("topic=t&from=oldest&as=" + query); len(found) != want {
			t.Errorf("%s: found %q", query, found)
		}
	}
}

// stuck is the answer to somebody who reads nothing.
type stuck struct {
	http.ResponseWriter
	begun   func()
	release chan struct{}
}

func (s stuck) Write(p []byte) (int, error) {
	s.begun()
	<-s.release
	return len(p), nil
}

// Who saves and does not read holds up others who save, and no pages.
func TestSaversWhoDoNotRead(t *testing.T) {
	s := newSite(t, console.Options{})
	release := make(chan struct{})
	var all, begun sync.WaitGroup
	form := url.Values{"topic": {"web_log"}, "at": {"0:0"}}
	for range 4 {
		begun.Add(1)
		all.Go(func() {
			r := httptest.NewRequestWithContext(t.Context(), "POST", "/save", strings.NewReader(form.Encode()))
			r.Host = "localhost"
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			s.ServeHTTP(stuck{httptest.NewRecorder(), sync.OnceFunc(begun.Done), release}, r)
		})
	}
	begun.Wait()
	if status, _, _ := s.post("/save", form); status != 503 {
		t.Errorf("one more file: status %d", status)
	}
	if status, _, _ := s.ask("GET", "/records?topic=web_log"); status != 200 {
		t.Errorf("a page of records: status %d", status)
	}
	close(release)
	all.Wait()
}
