// Package conform is the promises of the Go API of samsa as a test suite, for every place that a *samsa.Broker comes from: a
// directory, memory, or a cluster behind it.
//
//	func TestConformance(t *testing.T) {
//		conform.Run(t, conform.Place{
//			Name: "memory",
//			Open: func(_ context.Context, o conform.Options) (*samsa.Broker, error) {
//				return samsa.Open("", samsa.Options{InMemory: true, AutoCreateTopics: o.AutoCreateTopics, Hooks: o.Hooks, Groups: samsa.GroupOptions{
//					InitialRebalanceDelay: -1,
//					Configs:               map[string]string{"group.share.min.record.lock.duration.ms": "1000"},
//				}})
//			},
//			Differences: []conform.Difference{{Promises: "reopen/*", Why: "it is gone with Close"}},
//		})
//	}
//
// A promise is a sentence and a function that fails where it is broken. A place that does not keep one says so (Difference),
// and why. Promises that it says it breaks are tried like the others, and have to be broken: so the table of what differs
// (Table) is made by running, and not by hand.
package conform

import (
	"context"
	"time"

	"github.com/samsa-go/samsa"
)

// Place is where brokers come from. The suite asks two things of those that it opens, so that it does not wait for long: that
// the lock of a queue may last 1 s (Options.Groups.Configs, group.share.min.record.lock.duration.ms), and that a group does not wait
// for more members before its first generation (group.initial.rebalance.delay.ms).
type Place struct {
	// Name is the head of the place's column in a table.
	Name string
	// Open opens a broker, which the suite closes. Several are open at once.
	Open func(ctx context.Context, o Options) (*samsa.Broker, error)
	// Differences are the promises that the place does not keep.
	Differences []Difference
	// Session is the shortest session timeout that a member may ask for; 0 means 6 s, Kafka's.
	Session time.Duration
	// Patience is how long a promise may take before it counts as broken; 0 means 1 min. Nothing is measured against it.
	Patience time.Duration
}

// Options is what a broker has to be like.
type Options struct {
	// Data names what is stored: a directory, say. A broker finds what an earlier one of the same Data has left, which is closed
	// by then. Two of different Data may see the same topics and groups, those of one cluster: the suite gives them names that
	// are used once, begins no name of its own with another prefix than "conform-", and removes what it has made. Keys of the
	// application it expects to be apart.
	Data string
	// AutoCreateTopics is the option of that name of samsa.Options.
	AutoCreateTopics bool
	// Hooks are those of samsa.Options.
	Hooks []samsa.Hook
}

// Difference is promises that a place does not keep.
type Difference struct {
	// Promises is the name of one, as "topics/create", or a pattern of them for path.Match, as "keys/*".
	Promises string
	// Why is a few words for the table.
	Why string
	// Err is the error by which they are broken, samsa.ErrUnsupported for one: what fails in another way is a failure of the
	// test. nil is any way.
	Err error
}
