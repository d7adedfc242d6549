package console

import (
	"net/http"
	"time"
)

// failedLogin is how long a wrong password takes, as at a Kafka server.
const failedLogin = 100 * time.Millisecond

// asks returns h for who is let in by login, a name and a password as HTTP has them (RFC 7617). Whether a broker lives and is ready everybody may ask.
func asks(login func(name, password string) bool, h http.Handler) http.Handler {
	if login == nil {
		return h
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/healthz" || r.URL.Path == "/readyz" {
			h.ServeHTTP(w, r)
			return
		}
		name, password, given := r.BasicAuth()
		if given && login(name, password) {
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
		w.Header().Set("WWW-Authenticate", `Basic realm="samsa", charset="UTF-8"`)
		http.Error(w, "who are you?", http.StatusUnauthorized)
	})
}
