package console

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/samsa-go/samsa"
)

// policy is what pages may do: nothing but what comes from the console itself, and no code or style within a page.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

var (
	errHost   = fmt.Errorf("%w: the console is not known by that name", errForbidden)
	errOrigin = fmt.Errorf("%w: the request comes from another site", errForbidden)
	errWrite  = fmt.Errorf("%w: the console only looks", samsa.ErrReadOnly)
)

// guard refuses what pages of elsewhere have a browser ask, by the name or the origin of the request, and what would
// write where the console only looks. It bounds what is sent.
func (c *console) guard(next http.Handler) http.Handler {
	var origins http.CrossOriginProtection
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		if !strings.HasPrefix(r.URL.Path, "/") { // a prefix was stripped with its slash
			u := *r.URL
			u.Path, u.RawPath = "/"+u.Path, ""
			asked := r
			r = asked.Clone(asked.Context())
			r.URL = &u
		}
		switch {
		case !c.expected(r.Host):
			c.fail(w, r, fmt.Errorf("%w: %q", errHost, r.Host))
		case origins.Check(r) != nil:
			c.fail(w, r, errOrigin)
		case r.Method == http.MethodPost && !c.opts.Write && !readsByPost(r.URL.Path):
			c.fail(w, r, errWrite)
		default:
			r.Body = http.MaxBytesReader(w, r.Body, bodyMaxBytes)
			next.ServeHTTP(w, r)
		}
	})
}

// readsByPost reports whether what is posted there only reads: its arguments are too long for an address.
func readsByPost(path string) bool { return path == "/save" }

// expected reports whether a request may be for that host. An address in numbers may: who owns a name can have it lead
// anywhere, and cannot have a browser send an address in its place.
func (c *console) expected(host string) bool {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	name = strings.ToLower(strings.TrimSuffix(strings.Trim(name, "[]"), "."))
	if _, err := netip.ParseAddr(name); err == nil || name == "localhost" || strings.HasSuffix(name, ".localhost") {
		return true
	}
	return slices.ContainsFunc(c.opts.Hosts, func(h string) bool { return h == "*" || strings.EqualFold(h, name) })
}
