package samsa

import (
	"fmt"
	"time"

	"github.com/samsa-go/samsa/internal/callback"
	"github.com/samsa-go/samsa/internal/inside"
	"github.com/samsa-go/samsa/internal/store"
)

// Inside returns the parts of b. It is for the packages of this module alone, and not part of
// the API: nobody else can name what it returns.
func Inside(b *Broker) inside.Broker {
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

		AutoCreateTopics: b.opts.AutoCreateTopics,
		TopicDefaults:    b.opts.TopicDefaults,
		Register: func(end func()) (func(), error) {
			server := &callback.Client{Name: "a server", Shut: end}
			return func() { b.clients.Remove(server) }, b.clients.Add(server)
		},
	}
}

// InsideOpen opens a broker over st, which belongs to it from then on, even if it fails. It is
// for the packages of this module alone, and not part of the API, as is InsideOptions.
func InsideOpen(st store.Store, opts Options) (*Broker, error) {
	opts.InMemory = true
	if err := opts.validate(""); err != nil {
		return nil, fmt.Errorf("samsa: open: %w", err)
	}
	return openOn(time.Now(), st, "", opts)
}

// InsideOptions returns the options that b was opened with.
func InsideOptions(b *Broker) Options { return b.given }
