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
	}
}
