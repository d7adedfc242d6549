// Package inside names the parts of a broker for the packages of this module that stand beside
// its Go API: the wire door (package kafka) and the test kit (package samsatest). It lies
// between the floors of topic and group and the module root, which fills it in.
package inside

import (
	"go.uber.org/zap"

	"github.com/samsa-go/samsa/group"
	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/partition"
	"github.com/samsa-go/samsa/topic"
)

// Broker is the parts of an open broker. They belong to it: none of them may be closed, and
// all writes go through Committer.
type Broker struct {
	Store     store.Store
	Committer *partition.Committer
	Catalogue *topic.Catalogue
	Groups    *group.Coordinator
	Producers *partition.Producers
	Logger    *zap.Logger

	// AutoCreateTopics and TopicDefaults are the broker's options of those names.
	AutoCreateTopics bool
	TopicDefaults    topic.Config
	// Register has end called when the broker closes, before its parts do; the broker waits
	// for it. It returns what undoes that, or ErrClosed from a broker that is closed.
	Register func(end func()) (unregister func(), err error)
}
