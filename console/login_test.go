package console_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"

	"github.com/samsa-go/samsa/console"
	"github.com/samsa-go/samsa/samsatest"
)

// Who brings a password or a token that is known is let in, by each of them that the console takes, and nobody else.
func TestConsoleAsks(t *testing.T) {
	login := func(_ context.Context, from, name, password string) bool {
		if from != "192.0.2.1" {
			t.Errorf("from %q", from)
		}
		return name == "alice" && password == "right"
	}
	token := func(_ context.Context, token string) error {
		if token != "good" {
			return errors.New("secret reason")
		}
		return nil
	}
	basic := func(name, password string) string {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.SetBasicAuth(name, password)
		return r.Header.Get("Authorization")
	}
	all := []string{"", basic("alice", "right"), basic("alice", "wrong"), basic("bob", "right"), "Bearer good", "bearer  good", "Bearer bad", "Bearer", "Bearer ", "Basic good", "Basic", "Digest good", "good", "Bearer good, Bearer bad"}
	for name, c := range map[string]struct {
		o    console.Options
		in   []int // of all
		asks int   // ways that are told
	}{
		"both": {console.Options{Login: login, Token: token}, []int{1, 4, 5}, 2}, "passwords": {console.Options{Login: login}, []int{1}, 1}, "tokens": {console.Options{Token: token}, []int{4, 5}, 1},
	} {
		inBubble(t, name, func(t *testing.T) { // where failures take no time
			handler := console.Handler(samsatest.New(t), c.o)
			want := make(map[int]bool)
			for _, i := range c.in {
				want[i] = true
			}
			for i, says := range all {
				for _, path := range []string{"/topics", "/api/v1/topics", "/metrics"} {
					r := httptest.NewRequest(http.MethodGet, path, nil)
					r.Host = "localhost"
					if says != "" {
						r.Header.Set("Authorization", says)
					}
					w := httptest.NewRecorder()
					handler.ServeHTTP(w, r)
					if in := w.Code == http.StatusOK; in != want[i] || !in && (w.Code != http.StatusUnauthorized || len(w.Header().Values("WWW-Authenticate")) != c.asks || w.Body.String() != "who are you?\n") {
						t.Errorf("%q at %s: %d, %v, %q", says, path, w.Code, w.Header(), w.Body)
					}
				}
			}
		})
	}
}

func inBubble(t *testing.T, name string, story func(t *testing.T)) {
	t.Run(name, func(t *testing.T) { synctest.Test(t, story) })
}
