package api

// NewFault puts something in the way of a fake broker: see package samsatest, whose words these are.
type NewFault struct {
	On          string  `json:"on"`                    // appends, fetches, commits, joins, requests, space
	Topic       string  `json:"topic,omitempty"`       // "" for all
	Partitions  []int32 `json:"partitions,omitempty"`  // none for all
	Group       string  `json:"group,omitempty"`       // "" for all
	Client      string  `json:"client,omitempty"`      // a client id, or that of a member; "" for all
	Transaction string  `json:"transaction,omitempty"` // a transactional id, or * for any; "" for requests without one, too
	Principal   string  `json:"principal,omitempty"`   // who has logged in, as User:alice, on requests; "" for all
	Keys        []int16 `json:"keys,omitempty"`        // API keys, on requests; none for all
	Answers     bool    `json:"answers,omitempty"`     // it is done, and only the answer is hit: appends, commits, requests
	Next        int     `json:"next,omitempty"`        // so often; 0 for any number of times

	// What happens is one of these.
	Fail  bool     `json:"fail,omitempty"`     // with ErrUnavailable
	Error string   `json:"error,omitempty"`    // with the error of that name
	Code  int16    `json:"code,omitempty"`     // with that error code of Kafka
	Delay Duration `json:"delay_ms,omitempty"` // it waits so long
	Hold  bool     `json:"hold,omitempty"`     // it waits until it is released
	Count bool     `json:"count,omitempty"`    // nothing but that it is counted
}

// Fault is a fault that was made.
type Fault struct {
	ID   int64  `json:"id"`
	Text string `json:"text"` // what it is, in words
	Hits int    `json:"hits"` // how often it has acted
	Want int    `json:"want"` // after how many hits a wait ends: NewFault.Next, or 1
}

// Faults are the faults of a fake broker, in the order in which they act.
type Faults struct {
	Faults []Fault `json:"faults"`
}

// Wait waits for one thing, and no longer than Timeout, which is 30 s if it is 0, at most 10 min.
type Wait struct {
	Fault     int64          `json:"fault,omitempty"`     // has acted as often as it says
	Records   *WaitRecords   `json:"records,omitempty"`   // a topic, which may not exist yet, has so many records
	Committed *WaitCommitted `json:"committed,omitempty"` // a group has committed offsets behind so many records of a topic
	Stable    *WaitStable    `json:"stable,omitempty"`    // a group has so many members, and all partitions are assigned
	Timeout   Duration       `json:"timeout_ms,omitempty"`
}

// WaitRecords waits for records of a topic.
type WaitRecords struct {
	Topic string `json:"topic"`
	N     int    `json:"n"`
}

// WaitCommitted waits for commits of a group.
type WaitCommitted struct {
	Group string `json:"group"`
	Topic string `json:"topic"`
	N     int    `json:"n"`
}

// WaitStable waits for members of a group.
type WaitStable struct {
	Group   string `json:"group"`
	Members int    `json:"members"`
}

// Expire has time run out, at once: for a member of a group, or for the open transaction of a transactional id.
type Expire struct {
	Group       string `json:"group,omitempty"`
	Member      string `json:"member,omitempty"`
	Transaction string `json:"transaction,omitempty"`
}

// Corrupt damages the stored batch that has a record.
type Corrupt struct {
	TopicPartition
	Offset int64 `json:"offset"`
}

// Restart ends a fake broker and opens it again, over what it had stored. Clients lose their connections.
type Restart struct {
	// Kill is how it ends: "" for Close, crash for the death of the process, power for a power failure, which leaves what was synced.
	Kill string `json:"kill,omitempty"`
}

// ClusterEvent is what is to happen to the cluster as which a fake broker is served: see kafka.Cluster, whose methods these are.
type ClusterEvent struct {
	// Do is what, one of ClusterEvents.
	Do string `json:"do"`

	Node        int32    `json:"node,omitempty"`     // of all but add, elect, reassign, hold_reassignments and load
	Rack        string   `json:"rack,omitempty"`     // of add
	Topic       string   `json:"topic,omitempty"`    // of lead, elect_unclean and reassign
	Partition   int32    `json:"partition"`          // likewise
	Offset      int64    `json:"offset,omitempty"`   // of elect_unclean: where the log ends then
	Replicas    []int32  `json:"replicas,omitempty"` // of reassign, the preferred leader first
	Group       string   `json:"group,omitempty"`    // of coordinate and load, or
	Transaction string   `json:"transaction,omitempty"`
	Off         bool     `json:"off,omitempty"`      // ends it: hold_reassignments, load, cut_off, stale
	Delay       Duration `json:"delay_ms,omitempty"` // of slow; 0 ends it
	Next        int      `json:"next,omitempty"`     // of rebootstrap: how many answers
}

// ClusterEvents returns what ClusterEvent.Do may be.
func ClusterEvents() []string {
	return []string{
		"stop", "kill", "start", "add", "remove", "lead", "elect", "elect_unclean", "reassign", "hold_reassignments", "coordinate", "load", "control", "cut_off",
		"slow", "stale", "rebootstrap",
	}
}

// Cluster is the cluster as which a fake broker is served.
type Cluster struct {
	Controller int32              `json:"controller"` // -1 while no node runs
	Nodes      []ClusterNode      `json:"nodes"`
	Partitions []ClusterPartition `json:"partitions"`
}

// ClusterNode is a node of a cluster.
type ClusterNode struct {
	ID    int32  `json:"id"`
	Kafka string `json:"kafka"` // host and port at which Kafka clients find it
	Runs  bool   `json:"runs"`
}

// ClusterPartition says who leads a partition.
type ClusterPartition struct {
	TopicPartition
	Leader int32 `json:"leader"` // -1 while none does
	Epoch  int32 `json:"epoch"`
}

// NewFork copies a fake broker, with all that is stored in it, to a broker of its own beside it.
type NewFork struct {
	Name string `json:"name"` // 1 to 100 of a-z, 0-9, - and _
}

// Fork is a copy of a fake broker. Its API lies below kit/forks/NAME/api/v1/.
type Fork struct {
	Name  string `json:"name"`
	Kafka string `json:"kafka,omitempty"` // host and port at which Kafka clients find it; "" for none
}

// Forks are the copies that are there, by name.
type Forks struct {
	Forks []Fork `json:"forks"`
}
