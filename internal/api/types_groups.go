package api

// GroupsRequest asks for a page of groups.
type GroupsRequest struct {
	After  string // the name before the first one wanted
	Prefix string // of the names
	Kind   string // classic, consumer, share or streams; "" for all
	Limit  int    // at most so many; 0 means 1,000, at most 10,000
}

// GroupPage is a page of groups, by name.
type GroupPage struct {
	Groups []GroupSummary `json:"groups"`
	Next   string         `json:"next,omitempty"` // After of the next page; "" when this is the last one
}

// GroupSummary is what a list of groups says of each.
type GroupSummary struct {
	Name  string `json:"name"`
	Kind  string `json:"kind"`  // classic, consumer, share or streams; "" of a group that is damaged
	State string `json:"state"` // Empty, PreparingRebalance, CompletingRebalance, Stable, Dead, Assigning, Reconciling, NotReady
}

// Group describes a group at one moment.
type Group struct {
	GroupSummary
	Assignor   string           `json:"assignor,omitempty"`
	Generation int32            `json:"generation"`
	Lag        int64            `json:"lag"` // the sum of those of the partitions
	Members    []Member         `json:"members"`
	Partitions []GroupPartition `json:"partitions"` // that are assigned or have a committed offset, by topic and partition
}

// Member is a member of a group.
type Member struct {
	ID         string           `json:"id"`
	InstanceID string           `json:"instance_id,omitempty"`
	ClientID   string           `json:"client_id,omitempty"`
	ClientHost string           `json:"client_host,omitempty"`
	Topics     []string         `json:"topics,omitempty"`
	Assigned   []TopicPartition `json:"assigned,omitempty"`
}

// GroupPartition is how far a group is in a partition.
type GroupPartition struct {
	TopicPartition
	Committed     int64           `json:"committed"` // -1 when there is no committed offset; of a share group all before is acknowledged
	Metadata      string          `json:"metadata,omitempty"`
	LogStart      int64           `json:"log_start"`
	HighWatermark int64           `json:"high_watermark"`
	Lag           int64           `json:"lag"`
	MemberID      string          `json:"member_id,omitempty"` // who has it
	Share         *SharePartition `json:"share,omitempty"`     // of a share group
}

// SharePartition is what a share group has under way in a partition.
type SharePartition struct {
	InFlight    int   `json:"in_flight"`       // records that members have
	Waiting     int   `json:"waiting"`         // records that are to come later
	Oldest      Time  `json:"oldest,omitzero"` // the timestamp of the first record that is not acknowledged
	Deliveries  int64 `json:"deliveries"`      // since the broker was opened
	DeadLetters int64 `json:"dead_letters"`    // since the broker was opened
}

// ResetGroup moves the committed offsets of a group without members.
type ResetGroup struct {
	// To is where: not "" or last. A time to come is the end. An offset outside the log becomes the nearer end of it.
	To Position `json:"to,omitzero"`
	// Offsets are where, one by one, in the place of To.
	Offsets []GroupOffset `json:"offsets,omitempty"`
	// Topics and Partitions are what is moved; none for all that the group has offsets for. A group that does not exist is
	// made by them. Not with Offsets.
	Topics     []string         `json:"topics,omitempty"`
	Partitions []TopicPartition `json:"partitions,omitempty"`
	// DryRun changes nothing, and tells what would be.
	DryRun bool `json:"dry_run,omitempty"`
}

// GroupOffset is an offset of a group.
type GroupOffset struct {
	TopicPartition
	Offset int64 `json:"offset"`
}

// GroupMove is what a reset does to a partition.
type GroupMove struct {
	TopicPartition
	From  int64  `json:"from"` // -1 when there was no committed offset
	To    int64  `json:"to"`
	Asked *int64 `json:"asked,omitempty"` // where it was to go, if that is outside of the log: To is the nearer end
}

// GroupReset is what a reset has done, or with DryRun would do, by topic and partition.
type GroupReset struct {
	Moves []GroupMove `json:"moves"`
}

// DeleteGroupOffsets removes committed offsets of a group.
type DeleteGroupOffsets struct {
	Partitions []TopicPartition `json:"partitions"`
}

// Configs are the configs of a group that are in force, by Kafka's names.
type Configs struct {
	Configs map[string]string `json:"configs"` // to set: "" unsets one
}

// TransactionPage is a page of transactional ids, sorted.
type TransactionPage struct {
	IDs  []string `json:"ids"`
	Next string   `json:"next,omitempty"`
}

// Transaction describes a transactional id.
type Transaction struct {
	ID            string           `json:"id"`
	State         string           `json:"state"` // Empty, Ongoing, CompleteCommit, CompleteAbort
	ProducerID    int64            `json:"producer_id"`
	ProducerEpoch int16            `json:"producer_epoch"`
	Timeout       Duration         `json:"timeout_ms"`
	Started       Time             `json:"started,omitzero"`
	Partitions    []TopicPartition `json:"partitions,omitempty"`
	Groups        []string         `json:"groups,omitempty"`
}

// OpenTransaction is a transaction as it is open in one partition.
type OpenTransaction struct {
	TopicPartition
	ProducerID    int64  `json:"producer_id"`
	ProducerEpoch int16  `json:"producer_epoch"`
	Since         int64  `json:"since"`            // offset of its first record there
	Written       Time   `json:"written,omitzero"` // when its producer last wrote there
	ID            string `json:"id,omitempty"`     // the transactional id; "" for one that hangs
}

// OpenTransactions are the transactions that are open.
type OpenTransactions struct {
	Transactions []OpenTransaction `json:"transactions"`
}
