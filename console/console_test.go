package console_test

import (
	"fmt"
	"html"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/console"
	"github.com/samsa-go/samsa/internal/lazygc"
	"github.com/samsa-go/samsa/samsatest"
)

func TestMain(m *testing.M) {
	lazygc.Use()
	goleak.VerifyTestMain(m)
}

const hostile = `"><script>alert(1)</script><img src=x onerror='alert(2)'>&lt;` + "\u202e\x00"

// site is a console that is asked without a network.
type site struct {
	*testing.T
	*samsa.Broker
	http.Handler
}

// newSite returns a console of a broker that has something in everything.
func newSite(t *testing.T, opts console.Options) site {
	b := samsatest.New(t, samsatest.Topic("web_log", 3), samsatest.Topic("one", 1), samsatest.Topic("__hidden", 1))
	s := site{t, b, console.Handler(b, opts)}
	began := time.UnixMilli(1_700_000_000_000)
	for i := range 30 {
		s.put(samsa.Record{
			Topic: "web_log", Key: fmt.Appendf(nil, "key-%d", i), Value: fmt.Appendf(nil, "value %d", i), Timestamp: began.Add(time.Duration(i) * time.Second),
		})
	}
	s.put(samsa.Record{
		Topic: "one", Key: []byte(hostile), Value: []byte(hostile), Headers: []samsa.Header{{Key: hostile, Value: []byte(hostile)}}, Timestamp: began,
	})
	s.no(b.Groups().AlterOffsets(t.Context(), hostile, samsa.To(samsa.Earliest()), samsa.TopicPartition{Topic: "one"}))
	return s
}

func (s site) no(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

func (s site) put(records ...samsa.Record) []samsa.Record {
	s.Helper()
	stored, err := s.Produce(s.Context(), records...)
	s.no(err)
	return stored
}

// ask returns the answer to a request for a path.
func (s site) ask(method, path string, change ...func(*http.Request)) (int, http.Header, string) {
	s.Helper()
	r := httptest.NewRequestWithContext(s.Context(), method, "http://localhost"+path, nil)
	for _, c := range change {
		c(r)
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	body, err := io.ReadAll(w.Result().Body)
	s.no(err)
	return w.Code, w.Header(), string(body)
}

// page returns a page that is there.
func (s site) page(path string) string {
	s.Helper()
	status, _, body := s.ask("GET", path)
	if status != http.StatusOK {
		s.Fatalf("%s: status %d:\n%s", path, status, body)
	}
	return body
}

func (s site) want(path string, texts ...string) {
	s.Helper()
	body := s.page(path)
	for _, text := range texts {
		if !strings.Contains(body, text) {
			s.Errorf("%s has no %q:\n%s", path, text, body)
		}
	}
}

var (
	addresses = regexp.MustCompile(`(?:href|src|(action))="([^"]*)"`)
	inline    = regexp.MustCompile(`(?i)<style|\sstyle=|\son[a-z]+="|<script>|<script [^>]*>[^<]|javascript:`)
)

// crawl visits all that can be come to from the first page by links, and returns the pages.
func (s site) crawl(prefix string) map[string]string {
	s.Helper()
	pages := make(map[string]string)
	var visit func(path string)
	visit = func(path string) {
		if _, seen := pages[path]; seen || len(pages) > 400 {
			return
		}
		status, header, body := s.ask("GET", path)
		pages[path] = ""
		if status != http.StatusOK {
			s.Errorf("%s: status %d", path, status)
			return
		}
		if !strings.HasPrefix(header.Get("Content-Type"), "text/html") {
			return
		}
		pages[path] = body
		base, err := url.Parse(path)
		s.no(err)
		for _, a := range addresses.FindAllStringSubmatch(body, -1) {
			link := html.UnescapeString(a[2])
			if strings.HasPrefix(link, "#") {
				continue
			}
			if strings.HasPrefix(link, "/") || strings.Contains(link, "://") {
				s.Errorf("%s: the link %s is not relative", path, link)
				continue
			}
			to, err := base.Parse(link)
			s.no(err)
			if to.Fragment = ""; !strings.HasPrefix(to.Path, prefix+"/") {
				s.Errorf("%s: the link %s leads out of %s", path, link, prefix)
				continue
			}
			if a[1] != "" || strings.HasPrefix(to.RequestURI(), prefix+"/record?") && to.Query().Get("offset") != "0" {
				continue // what is sent by a form, and neighbours, which may not be there
			}
			visit(to.RequestURI())
		}
	}
	visit(prefix + "/")
	return pages
}

// Links of all pages lead to pages, under any prefix, with or without its slash, and nothing in them is code.
func TestPages(t *testing.T) {
	for name, mount := range map[string]func(http.Handler) (string, http.Handler){
		"at the root":  func(h http.Handler) (string, http.Handler) { return "", h },
		"under a path": func(h http.Handler) (string, http.Handler) { return "/a/b", http.StripPrefix("/a/b", h) },
		"whose slash is stripped too": func(h http.Handler) (string, http.Handler) {
			return "/a", http.StripPrefix("/a/", h)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, console.Options{Write: true})
			prefix, h := mount(s.Handler)
			s.Handler = h
			pages := s.crawl(prefix)
			for _, want := range []string{"/", "/topics", "/groups", "/topic?name=web_log", "/records?topic=web_log", "/group?name=" + url.QueryEscape(hostile)} {
				if pages[prefix+want] == "" {
					t.Errorf("no link leads to %s, only to %q", want, slices.Sorted(maps.Keys(pages)))
				}
			}
			for path, body := range pages {
				if found := inline.FindString(body); found != "" {
					t.Errorf("%s has %s in it", path, found)
				}
				if strings.Contains(body, "ZgotmplZ") || strings.Contains(body, "\u202e") || strings.Contains(body, "<img") {
					t.Errorf("%s lets through what a record brings:\n%s", path, body)
				}
			}
		})
	}
}

// A proxy that puts a prefix before the paths, and tells nobody, is no hindrance.
func TestBehindAProxy(t *testing.T) {
	s := newSite(t, console.Options{Hosts: []string{"ops.example.org"}})
	behind := s.Handler
	s.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Host = "ops.example.org"
		http.StripPrefix("/tools/samsa", behind).ServeHTTP(w, r)
	})
	if pages := s.crawl("/tools/samsa"); len(pages) < 20 {
		t.Errorf("%d pages: %q", len(pages), slices.Sorted(maps.Keys(pages)))
	}
}

func TestWhatIsNotThere(t *testing.T) {
	s := newSite(t, console.Options{})
	for path, want := range map[string]int{
		"/nothing": 404, "/assets/nothing.css": 404, "/assets/../console.go": 404,
		"/topic?name=nobody": 404, "/topic": 404, "/group?name=nobody": 404,
		"/records?topic=nobody": 404, "/records?topic=one&partition=7": 404,
		"/records?topic=one&partition=x": 400, "/records?topic=one&from=yesterday": 400, "/records?topic=one&n=100000": 400,
		"/records?topic=one&older=1,2": 400, "/records?topic=one&older=x": 400, "/records?topic=one&order=up": 400,
		"/record?topic=one&partition=0&offset=7": 404, "/record?topic=one&partition=0": 400, "/record?topic=one&offset=0": 400,
		"/bytes?topic=one&partition=0&offset=0&part=tail": 400, "/bytes?topic=one&partition=0&offset=0&part=1": 400,
	} {
		status, header, body := s.ask("GET", path)
		if status != want && (status != 301 && status != 307) {
			t.Errorf("%s: status %d, want %d:\n%s", path, status, want, body)
		}
		if strings.Contains(body, "<script>") || header.Get("Content-Security-Policy") == "" {
			t.Errorf("%s: %v\n%s", path, header, body)
		}
	}
	s.no(s.Close())
	if status, _, body := s.ask("GET", "/"); status != http.StatusServiceUnavailable {
		t.Errorf("of a broker that is closed: %d\n%s", status, body)
	}
}

// Only who knows the console by its name, and only its own pages, get anything from it.
func TestWhoMayAsk(t *testing.T) {
	s := newSite(t, console.Options{Write: true, Hosts: []string{"ops.example.org"}})
	for host, want := range map[string]int{
		"localhost": 200, "localhost:9080": 200, "127.0.0.1:9080": 200, "[::1]:9080": 200, "10.1.2.3": 200, "ops.example.org": 200, "OPS.example.org:80": 200,
		"evil.example.org": 421, "localhost.evil.example.org": 421, "127.0.0.1.nip.example": 421, "": 421,
	} {
		if status, _, _ := s.ask("GET", "/topics", func(r *http.Request) { r.Host = host }); status != want {
			t.Errorf("host %q: %d, want %d", host, status, want)
		}
	}
	for header, want := range map[string]int{"same-origin": 404, "none": 404, "cross-site": 403, "same-site": 403} {
		status, _, _ := s.ask("POST", "/nothing", func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", header) })
		if status != want && (want == 403 || status != 405) {
			t.Errorf("Sec-Fetch-Site %q: %d, want %d", header, status, want)
		}
	}
}

// A page that has not changed is not sent again.
func TestSamePageIsNotSentAgain(t *testing.T) {
	s := newSite(t, console.Options{})
	_, header, _ := s.ask("GET", "/topic?name=one")
	again := func(r *http.Request) { r.Header.Set("If-None-Match", "W/"+header.Get("ETag")) }
	if status, _, body := s.ask("GET", "/topic?name=one", again); status != http.StatusNotModified || body != "" {
		t.Errorf("status %d, %q", status, body)
	}
	s.put(samsa.Record{Topic: "one"})
	if status, _, _ := s.ask("GET", "/topic?name=one", again); status != http.StatusOK {
		t.Errorf("status %d after a record", status)
	}
}
