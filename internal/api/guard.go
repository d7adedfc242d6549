package api

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/samsa-go/samsa/internal/inside"
)

// Guard returns h for requests that come from where they should.
//
// The Host of a request is localhost, an address, or one of hosts, where "*" is any: else the name server of somebody's page
// may have sent a browser here (DNS rebinding), to which the page and the broker would be one origin. A page that has an
// address for its name comes from that address. Hosts are names without a port.
//
// A request that writes comes from a page of the same origin, or from no browser (http.CrossOriginProtection).
//
// An answer that nobody takes is given up after a while.
//
// The console has its pages in it, the handler its API.
func Guard(hosts []string, h http.Handler) http.Handler {
	cross := http.NewCrossOriginProtection()
	cross.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		writeError(w, &Error{Name: "ErrInvalid", Message: "the request comes from a page of another origin", Status: http.StatusForbidden})
	}))
	inner := cross.Handler(h)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !expected(r.Host, hosts) {
			writeError(w, &Error{
				Name: "ErrInvalid", Message: fmt.Sprintf("the request is for the host %.100q, which is none of those that are served here", r.Host),
				Status: http.StatusMisdirectedRequest,
			})
			return
		}
		ctl := http.NewResponseController(w)
		_ = ctl.SetWriteDeadline(time.Now().Add(streamLimit)) // who does not read is not waited for
		defer func() {                                        // and what else is served on the connection has no deadline of ours
			_ = ctl.Flush()
			_ = ctl.SetWriteDeadline(time.Time{})
		}()
		inner.ServeHTTP(w, r.WithContext(inside.AsStored(r.Context())))
	})
}

// expected reports whether a Host is one that is served.
func expected(host string, hosts []string) bool {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	name = strings.ToLower(strings.TrimSuffix(strings.Trim(name, "[]"), "."))
	if name == "" {
		return false
	}
	if _, err := netip.ParseAddr(name); err == nil || name == "localhost" {
		return true
	}
	return slices.ContainsFunc(hosts, func(h string) bool { return h == "*" || strings.EqualFold(h, name) })
}
