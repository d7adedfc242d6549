package stats

import "time"

// Mirroring is a mirror that runs, of a broker that it copies from or to, as inside.Broker.Servers has it.
type Mirroring interface{ Mirror() Mirror }

// Mirror is what a mirror tells.
type Mirror struct {
	Name, From, To string // From and To are cluster ids: these three tell mirrors apart

	Records, Bytes, Transactions, Lost int64     // that were copied, or not
	Restarts                           int64     // after something that passes
	Untranslated                       int64     // committed offsets
	Refused, Damaged                   int       // topics, and partitions of the source, that are not copied
	Failed                             time.Time // when it has met an error the last time; zero if never
	Trouble                            bool      // and has not begun to copy since

	Lag     map[string]int64 // offsets of each topic of the source that are not copied
	LagTime time.Duration    // for how long some of these have not been, at most
}
