package console

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/api"
)

// policy is what pages may do: nothing but what comes from the console itself, and no code or style within a page.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

var errWrite = fmt.Errorf("%w: the console only looks", samsa.ErrReadOnly)

// guard lets requests to pages through that come from where they should (see api.Guard), and refuses those that would
// write where the console only looks. It bounds what is sent.
func (c *console) guard(pages http.Handler) http.Handler {
	return api.Guard(c.opts.Hosts, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost && !c.opts.Write && r.URL.Path != "/save" {
			c.fail(w, r, errWrite)
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, bodyMaxBytes)
		pages.ServeHTTP(w, r)
	}))
}

// absolute says in every answer what pages may do. Paths begin with a slash behind it, also where a prefix was stripped
// with its slash.
func absolute(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		if !strings.HasPrefix(r.URL.Path, "/") {
			rooted, u := r.Clone(r.Context()), *r.URL
			u.Path, u.RawPath = "/"+u.Path, ""
			rooted.URL, r = &u, rooted
		}
		next.ServeHTTP(w, r)
	})
}
