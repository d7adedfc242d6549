package console

import (
	"net/http"
	"strconv"
	"sync"
	"time"
)

// pollHeader is what a page sends that asks for its own numbers again: it takes an answer that is a moment old.
const pollHeader = "Samsa-Poll"

// Limits of polling.
const (
	polledEvery = time.Second // a page is made anew at most once in this time
	polledMax   = 64          // pages
	polledBytes = 512 << 10   // of one: a larger one is made each time
	polledOld   = 15 * time.Second
)

// polled are the answers to who polls. However many browsers have however many pages open, to make them anew takes at most
// one part in costShare of the time: pages become older instead, by up to polledOld.
type polled struct {
	mu    sync.Mutex
	pages map[string]*answered // by what is asked for; mu guards these
	free  time.Time            // when one may be made anew
}

// answered is a page as it was made.
type answered struct {
	made time.Time
	took time.Duration
	kind string // of what
	body []byte
}

// rest is how long after a page nothing is made anew.
func (a answered) rest() time.Duration { return min(costShare*a.took, polledOld) }

// known returns the answer to what is asked for, and how old it is, unless it is to be made anew.
func (p *polled) known(what string) (a answered, age time.Duration, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	page, now := p.pages[what], time.Now()
	if page == nil {
		return a, 0, false
	}
	if age = now.Sub(page.made); age >= polledEvery && !now.Before(p.free) {
		page.made, p.free = now, now.Add(page.rest()) // others get the old one until the new one is there
		return a, 0, false
	}
	return *page, age, true
}

// note notes a page that was made, in the place of the oldest one if there are too many. Without a body it is forgotten.
func (p *polled) note(what string, a answered) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.free = a.made.Add(a.rest())
	if delete(p.pages, what); len(a.body) == 0 || len(a.body) > polledBytes {
		return
	}
	if len(p.pages) >= polledMax {
		var oldest string
		for other, page := range p.pages {
			if oldest == "" || page.made.Before(p.pages[oldest].made) {
				oldest = other
			}
		}
		delete(p.pages, oldest)
	}
	if p.pages == nil {
		p.pages = make(map[string]*answered)
	}
	p.pages[what] = &a
}

// forget has all pages be made anew: something was written.
func (p *polled) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	clear(p.pages)
}

// polls has who polls answered with what was made for others a moment ago. Who does not poll is answered by next, anew.
func (c *console) polls(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get(pollHeader) == "" {
			next(w, r)
			return
		}
		what := r.URL.RequestURI()
		a, age, ok := c.polled.known(what)
		if !ok {
			made := &page{header: make(http.Header), status: http.StatusOK}
			anew := r.Clone(r.Context())
			anew.Header.Del("If-None-Match")
			a.made = time.Now()
			next(made, anew)
			a.took, a.kind = time.Since(a.made), made.header.Get("Content-Type")
			if made.status != http.StatusOK {
				c.polled.note(what, a)
				w.Header().Set("Content-Type", a.kind)
				w.WriteHeader(made.status)
				_, _ = w.Write(made.body)
				return
			}
			a.body = made.body
			c.polled.note(what, a)
		}
		w.Header().Set("Content-Type", a.kind)
		w.Header().Set("Age", strconv.Itoa(int(age.Seconds())))
		unlessSame(w, r, a.body)
	}
}

// page is an http.ResponseWriter that keeps an answer.
type page struct {
	header http.Header
	status int
	body   []byte
}

func (p *page) Header() http.Header         { return p.header }
func (p *page) WriteHeader(status int)      { p.status = status }
func (p *page) Write(b []byte) (int, error) { p.body = append(p.body, b...); return len(b), nil }
