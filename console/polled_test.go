package console_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/console"
	"github.com/samsa-go/samsa/samsatest"
)

func polls(r *http.Request) { r.Header.Set("Samsa-Poll", "1") }

// poll returns how many records a page says the topic t has, and how old it is in seconds.
func (s site) poll(path string) (records, age string) {
	s.Helper()
	status, header, body := s.ask("GET", path, polls)
	if status != http.StatusOK {
		s.Fatalf("%s: %d\n%s", path, status, body)
	}
	_, rest, _ := strings.Cut(body, "<dt>Records</dt><dd>")
	records, _, _ = strings.Cut(rest, "</dd>")
	return records, header.Get("Age")
}

// A page that many browsers keep up to date is made once in a second, and less often if it takes long. Who comes by a link
// gets it as it is now, and so does who has written something.
func TestPolling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := &shifted{fail: func(context.Context, samsa.Record) error { time.Sleep(100 * time.Millisecond); return nil }}
		b := samsatest.New(t, samsatest.Topic("t", 1))
		s := site{t, b, console.Handler(b, console.Options{Write: true, Decoder: slow})}
		check := func(records, age string) {
			t.Helper()
			if r, a := s.poll("/topic?name=t"); r != records || a != age {
				t.Errorf("%s records, %s s old, want %s and %s", r, a, records, age)
			}
		}
		check("0", "0")
		s.put(samsa.Record{Topic: "t", Value: []byte("1")})
		time.Sleep(900 * time.Millisecond)
		check("0", "0")
		if page := s.page("/topic?name=t"); !strings.Contains(page, "<dt>Records</dt><dd>1</dd>") {
			t.Errorf("who does not poll gets an old page:\n%s", page)
		}
		time.Sleep(200 * time.Millisecond)
		check("1", "0")
		s.sent("/produce", url.Values{"topic": {"t"}, "key_as": {"null"}, "value_as": {"text"}})
		check("2", "0")
		if status, _, _ := s.ask("GET", "/records?topic=t", polls); status != 200 { // which takes 200 ms
			t.Error(status)
		}
		s.put(samsa.Record{Topic: "t"})
		time.Sleep(3 * time.Second)
		check("2", "3")
		time.Sleep(7 * time.Second)
		check("3", "0")
		s.no(s.Topics().Delete(t.Context(), "t"))
		time.Sleep(time.Second)
		for range 2 {
			if status, _, _ := s.ask("GET", "/topic?name=t", polls); status != 404 {
				t.Errorf("of a topic that is gone: %d", status)
			}
		}
	})
}

// However many pages are polled, a bounded number is kept.
func TestPollingManyPages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := samsatest.New(t, samsatest.Topic("t", 1))
		s := site{t, b, console.Handler(b, console.Options{})}
		for i := range 100 {
			s.put(samsa.Record{Topic: "t"})
			if records, _ := s.poll(fmt.Sprintf("/topic?name=t&page=%d", i)); records != fmt.Sprint(i+1) {
				t.Errorf("page %d has %s records", i, records)
			}
			time.Sleep(time.Millisecond)
		}
		if records, _ := s.poll("/topic?name=t&page=0"); records != "100" {
			t.Errorf("the oldest page is kept: %s", records)
		}
		if records, _ := s.poll("/topic?name=t&page=99"); records != "100" {
			t.Error(records)
		}
	})
}

// How a topic has grown is read as a table, from the first look on by the times of its records, and drawn of what was noted
// since.
func TestGrowth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := samsatest.New(t, samsatest.Topic("t", 2), samsatest.Topic("other", 1))
		s := site{t, b, console.Handler(b, console.Options{})}
		random := rand.NewChaCha8([32]byte{})
		value := func() []byte { // that cannot be compressed
			b := make([]byte, 1000)
			_, _ = random.Read(b)
			return b
		}
		for i := range 200 {
			s.put(samsa.Record{Topic: "t", Partition: int32(i % 2), Value: value()})
			time.Sleep(time.Minute)
		}
		rows := func() string {
			_, table, _ := strings.Cut(s.text("/topic?name=t"), "Bytes stored\n")
			_, table, _ = strings.Cut(table, "Bytes stored\n")
			table, _, _ = strings.Cut(table, "Records by their timestamps")
			return strings.Join(strings.Fields(table), " ")
		}
		if got, want := rows(), "1 min10.02– 10 min100.02– 1 h600.02– 1 d2000.00– 7 d2000.00–"; got != want {
			t.Errorf("got %s\nwant %s", got, want)
		}
		for range 70 {
			s.put(samsa.Record{Topic: "t", Value: value()})
			time.Sleep(10 * time.Second)
			s.page("/")
		}
		if got := rows(); !strings.HasPrefix(got, "1 min60.10+6.") || !strings.Contains(got, " 10 min600.10+6") {
			t.Errorf("got %s", got)
		}
		var series struct {
			Times, Size []float64
			Records     []*float64
		}
		s.no(json.Unmarshal([]byte(s.page("/history.json?topic=t")), &series))
		n := len(series.Times)
		if n < 60 || len(series.Size) != n || len(series.Records) != n || series.Records[0] != nil {
			t.Fatalf("%d times: %+v", n, series)
		}
		if r, more := series.Records[n-2], series.Size[n-1]-series.Size[n-21]; r == nil || *r != 0.1 || more < 20_000 || more > 25_000 {
			t.Errorf("rate %v, %v bytes more", *r, more)
		}
	})
}

// The history of a topic has a bound, and so have all of them together: who looks at a topic has it kept.
func TestGrowthHasBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := samsatest.New(t)
		s := site{t, b, console.Handler(b, console.Options{})}
		for i := range 300 {
			s.no(b.Topics().Create(t.Context(), fmt.Sprintf("t%03d", i), samsa.TopicConfig{}))
		}
		points := func(i int) int {
			var series struct{ Times []float64 }
			s.no(json.Unmarshal([]byte(s.page(fmt.Sprintf("/history.json?topic=t%03d", i))), &series))
			return len(series.Times)
		}
		for i := range 300 {
			if n := points(i); n != 1 {
				t.Fatalf("t%03d has %d points", i, n)
			}
			time.Sleep(time.Millisecond)
		}
		for range 700 {
			time.Sleep(2 * time.Second)
			s.page("/")
		}
		if n := points(299); n < 300 || n > 600 {
			t.Errorf("%d points of a topic that was looked at last", n)
		}
		if n := points(0); n != 1 {
			t.Errorf("%d points of one that had to give way", n)
		}
		if status, _, _ := s.ask("GET", "/history.json?topic=nobody"); status != 404 {
			t.Error(status)
		}
	})
}
