package api

import (
	"context"
	"net"
	"net/http"
	"strings"
	"time"
)

// failedLogin is how long a wrong password takes, as at a Kafka server.
const failedLogin = 100 * time.Millisecond

// Door says who is let in: whom one of its functions knows, or everybody when it has none.
type Door struct {
	Login func(ctx context.Context, from, name, password string) bool // from is the address of who calls
	Token func(ctx context.Context, token string) error
}

// Asks returns h for who is let in: by a name and a password (RFC 7617), or by a token (RFC 6750). Whether a broker lives and is ready everybody
// may ask.
func (o Door) Asks(h http.Handler) http.Handler {
	if o.Login == nil && o.Token == nil {
		return h
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/healthz" || r.URL.Path == "/readyz" {
			h.ServeHTTP(w, r)
			return
		}
		given, known := o.knows(r)
		if known {
			h.ServeHTTP(w, r)
			return
		}
		if given {
			late := time.NewTimer(failedLogin)
			defer late.Stop()
			select {
			case <-late.C:
			case <-r.Context().Done():
			}
		}
		if o.Login != nil {
			w.Header().Add("WWW-Authenticate", `Basic realm="samsa", charset="UTF-8"`)
		}
		if o.Token != nil {
			w.Header().Add("WWW-Authenticate", `Bearer realm="samsa"`)
		}
		http.Error(w, "who are you?", http.StatusUnauthorized)
	})
}

// knows reports whether a request says who sends it, and whether that is somebody who is let in.
func (o Door) knows(r *http.Request) (given, known bool) {
	if name, password, ok := r.BasicAuth(); ok && o.Login != nil {
		from := r.RemoteAddr
		if host, _, err := net.SplitHostPort(from); err == nil {
			from = host
		}
		return true, o.Login(r.Context(), from, name, password)
	}
	scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	if !ok || o.Token == nil || !strings.EqualFold(scheme, "Bearer") {
		return false, false
	}
	return true, o.Token(r.Context(), strings.TrimSpace(token)) == nil
}
