package console

import (
	"net"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/api"
)

// Control serves the HTTP API of b, which docs/api.md describes, to who connects to l, until l is closed: it is for
// samsa.Options.Control, and has the command samsa look at a directory that a program has open. It has no pages. Who may
// connect may write.
//
//	b, err := samsa.Open("data", samsa.Options{Control: console.Control})
func Control(b *samsa.Broker, l net.Listener) error {
	return api.Serve(b, l, api.Handler(b, api.Options{Write: true}))
}
