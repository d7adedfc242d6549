package console

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"net/http"
	"strings"

	"github.com/samsa-go/samsa"
)

// view is what a page shows.
type view struct {
	Page  string // the template
	Title string
	Nav   string // the entry of the navigation that it belongs to
	Data  any
	Notes []string // what went wrong without being the end of the page

	// What all pages show. answer fills it in.
	Cluster string
	Write   bool
	Fake    bool // the broker is a fake
	Status  int  // of the answer; 0 is 200

	See string // the page to go to, in the place of all that: what was asked for is done
}

// pageFunc makes a page. Its context ends with the request, or when the page has taken too long.
type pageFunc func(ctx context.Context, r *http.Request) (view, error)

var (
	errNoPage = fmt.Errorf("%w: there is no such page", samsa.ErrUnknown)
	errAsked  = fmt.Errorf("%w: the address of the page", samsa.ErrInvalid)
)

// answer answers with a page, or with one that tells an error. A page that has not changed since is not sent again.
func (c *console) answer(w http.ResponseWriter, r *http.Request, fn pageFunc) {
	ctx, cancel := context.WithTimeout(r.Context(), pageTimeout)
	defer cancel()
	v, err := fn(ctx, r)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	if v.See != "" { // not by http.Redirect, which makes the address one of this server
		w.Header().Set("Location", v.See)
		w.WriteHeader(http.StatusSeeOther)
		return
	}
	c.send(w, r, v)
}

// seed makes tags of this process: pages of another release do not pass for these.
var seed = maphash.MakeSeed()

func (c *console) send(w http.ResponseWriter, r *http.Request, v view) {
	v.Cluster, v.Write, v.Fake = c.broker().ClusterID(), c.opts.Write, c.opts.Fake != nil
	var page bytes.Buffer
	if err := c.pages[v.Page].ExecuteTemplate(&page, "layout.html", v); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	if v.Status != 0 {
		w.WriteHeader(v.Status)
		_, _ = w.Write(page.Bytes())
		return
	}
	unlessSame(w, r, page.Bytes())
}

// unlessSame sends a body whose header is set, or 304 to who has it.
func unlessSame(w http.ResponseWriter, r *http.Request, body []byte) {
	tag := fmt.Sprintf(`"%x"`, maphash.Bytes(seed, body))
	w.Header().Set("ETag", tag)
	w.Header().Set("Cache-Control", "no-cache")
	for known := range strings.SplitSeq(r.Header.Get("If-None-Match"), ",") {
		if strings.TrimPrefix(strings.TrimSpace(known), "W/") == tag { // a proxy that compresses weakens it
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	_, _ = w.Write(body)
}

// statuses are the answers to errors, the first that fits.
var statuses = []struct {
	err    error
	status int
}{
	{samsa.ErrReadOnly, http.StatusForbidden},
	{samsa.ErrClosed, http.StatusServiceUnavailable},
	{samsa.ErrTooLarge, http.StatusRequestEntityTooLarge},
	{samsa.ErrGroupNotEmpty, http.StatusConflict},
	{samsa.ErrUnknown, http.StatusNotFound},
	{samsa.ErrInvalid, http.StatusBadRequest},
	{samsa.ErrUnavailable, http.StatusServiceUnavailable},
	{context.DeadlineExceeded, http.StatusGatewayTimeout},
	{context.Canceled, http.StatusServiceUnavailable},
}

// statusOf returns how an error is answered.
func statusOf(err error) int {
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return http.StatusRequestEntityTooLarge
	}
	for _, s := range statuses {
		if errors.Is(err, s.err) {
			return s.status
		}
	}
	return http.StatusInternalServerError
}

// fail answers with an error.
func (c *console) fail(w http.ResponseWriter, r *http.Request, err error) {
	status := statusOf(err)
	c.send(w, r, view{Page: "error.html", Title: http.StatusText(status), Data: err.Error(), Status: status})
}
