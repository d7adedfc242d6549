package engine

import "github.com/samsa-go/samsa/group"

// Parts are all that a broker stands on. Those from Groups on may be missing: what needs one is ErrUnsupported then, naming it,
// before anything is done (see Absent). Parts may wrap errors or not; the root says which call has failed.
type Parts struct {
	// Where says for people where the records are: a directory, "in memory", kafka://host:9092.
	Where string
	// ClusterID is what tells these records from others'.
	ClusterID string

	Topics      Topics
	Coordinator Coordinator
	Offsets     Offsets

	Groups       Admin
	GroupConfigs GroupConfigs
	Shares       Shares
	ShareAdmin   ShareAdmin
	TopicAdmin   TopicAdmin
	Producing    Producing
	Transactor   Transactor
	Transactions Transactions
	Copying      Copying

	// Rules bound the options of members of groups. Where they are zero anything is allowed here, and the group refuses what it
	// does not want.
	Rules group.Rules
	// Stored tells what was written since the parts are open, of calls, producers and transactions; nil where a store of this process
	// counts that.
	Stored func() Stored
	// Close ends the parts, after the clients of the broker, and once: what waits in them fails with ErrClosed. It returns when
	// nothing of them runs any more.
	Close func() error
}

// Stored is what was written: records, their batches, the bytes of those, compressed, transactions of the Transactor and of calls of several records,
// and how many batches and transactions have failed.
type Stored struct{ Records, Batches, Bytes, Commits, Failed int64 }
