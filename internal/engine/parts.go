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
	// Close ends the parts, after the clients of the broker, and once: what waits in them fails with ErrClosed. It returns when
	// nothing of them runs any more.
	Close func() error
}
