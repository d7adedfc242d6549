package samsa

import "github.com/samsa-go/samsa/internal/inside"

// Inside returns the parts of b. It is for the packages of this module alone, and not part of
// the API: nobody else can name what it returns.
func Inside(b *Broker) inside.Broker {
	return inside.Broker{
		Store:     b.st,
		Committer: b.committer,
		Catalogue: b.catalogue,
		Groups:    b.groups,
		Producers: b.producers,
		Logger:    b.logger,

		AutoCreateTopics: b.opts.AutoCreateTopics,
		TopicDefaults:    b.opts.TopicDefaults,
		Register: func(end func()) (func(), error) {
			n := &neighbour{end}
			return func() { b.unregister(n) }, b.register(n)
		},
	}
}

// neighbour is a client of the broker that stands outside this package.
type neighbour struct{ end func() }

func (n *neighbour) shut() { n.end() }
