package samsa

import (
	"fmt"
	"time"

	"github.com/samsa-go/samsa/internal/callback"
	"github.com/samsa-go/samsa/internal/inside"
	"github.com/samsa-go/samsa/internal/store"
)

// What stands beside the API, in this module, is given the parts of a broker.
var _ = inside.Fill(inside.Hooks{
	Of:   func(b any) inside.Broker { return b.(*Broker).inside() },
	Open: func(st store.Store, options any) (any, error) { return openOver(st, options.(Options)) },
})

func (b *Broker) inside() inside.Broker {
	return inside.Broker{
		Dir:       b.dir,
		ClusterID: b.clusterID,
		Store:     b.st,
		Committer: b.committer,
		Catalogue: b.catalogue,
		Groups:    b.groups,
		Producers: b.producers,
		Logger:    b.logger,
		Clients:   b.describeClients,
		Kill:      b.kill,

		Options:          b.given,
		AutoCreateTopics: b.opts.AutoCreateTopics,
		TopicDefaults:    b.opts.TopicDefaults,
		Register: func(end func()) (func(), error) {
			server := &callback.Client{Name: "a server", Shut: end}
			return func() { b.clients.Remove(server) }, b.clients.Add(server)
		},
	}
}

// openOver opens a broker over st: see inside.Open.
func openOver(st store.Store, opts Options) (*Broker, error) {
	opts.InMemory = true
	if err := opts.validate(""); err != nil {
		return nil, fmt.Errorf("samsa: open: %w", err)
	}
	return openOn(time.Now(), st, "", opts)
}
