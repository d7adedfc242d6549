package api

import (
	"net/http"

	"github.com/samsa-go/samsa"
)

// Options says what a handler lets its callers do. The zero value is for reading.
type Options struct {
	// Write takes requests that change something. Else they are ErrReadOnly.
	Write bool
	// Hosts are names by which the handler may be called besides localhost, the addresses of the loopback network, and the address that
	// the connection came to: host, or host:port. "*" is any name. A request for another host is refused: the name server of
	// somebody's web page may have sent the browser here.
	Hosts []string
}

// Handler returns the API of b: /api/v1/, and beside it /healthz, /readyz and /metrics. Under a prefix it is mounted by
// http.StripPrefix. When b is closed its streams end, and what is asked is ErrClosed.
func Handler(b *samsa.Broker, o Options) http.Handler {
	return Guard(o.Hosts, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e := asError(samsa.ErrUnsupported)
		http.Error(w, e.Message, e.Status)
	}))
}

// Guard returns h for requests that come from where they should: their Host is one by which the handler may be called (see
// Options.Hosts), and one that writes comes from a page of the same origin, or from no browser at all. The console has its
// pages in it, the handler its API.
func Guard(hosts []string, h http.Handler) http.Handler {
	_ = hosts
	return http.NewCrossOriginProtection().Handler(h)
}
