// Package api is Samsa's HTTP API: the shapes of its requests and answers, a handler that serves a broker, and a client.
// The command, the console and other programs use it, over TCP, over the unix socket of a directory's owner, or without a
// connection (Direct). docs/api.md describes it for those who call it from elsewhere.
//
// All of it lies below /api/v1/, and v1 may get more: endpoints, fields of answers, optional fields of requests. Nothing of
// it goes or comes to mean something else. Requests with fields that nobody knows are refused.
//
// The types say nothing of how a broker works, so that they fit any Kafka cluster, too. What a cluster cannot tell is zero.
package api

// NewTopic is a topic to be created.
type NewTopic struct {
	Name       string            `json:"name"`
	Partitions int               `json:"partitions,omitempty"` // 0 for the broker's default
	Replicas   int               `json:"replicas,omitempty"`   // 0 for the broker's default
	Configs    map[string]string `json:"configs,omitempty"`    // by Kafka's names; the broker's defaults for the others
}

// Ensured says whether Ensure has created the topic.
type Ensured struct {
	Created bool `json:"created"`
}

// TopicsRequest asks for a page of topics.
type TopicsRequest struct {
	After    string // the name before the first one wanted; "" for the beginning
	Prefix   string // of the names
	Internal bool   // those too whose names begin with two underscores
	Limit    int    // at most so many; 0 means 1,000, at most 10,000
	// Sizes has bytes counted that nobody has counted yet, and tells what is due, as far as that can be done in a second: what is left is
	// for the next time.
	Sizes bool
}

// TopicPage is a page of topics, by name.
type TopicPage struct {
	Topics []TopicSummary `json:"topics"`
	Next   string         `json:"next,omitempty"` // After of the next page; "" when this is the last one
}

// TopicSummary is what a list of topics says of each.
type TopicSummary struct {
	Name       string `json:"name"`
	ID         string `json:"id,omitempty"`
	Internal   bool   `json:"internal,omitempty"` // the name begins with two underscores
	Partitions int    `json:"partitions"`
	Replicas   int    `json:"replicas"`
	Records    int64  `json:"records"`         // offsets from the log starts to the ends: an upper bound where records were compacted
	Produced   int64  `json:"produced"`        // the sum of the ends: its growth is the rate
	Bytes      int64  `json:"bytes"`           // of stored batches; -1 when it is not known
	Appended   int64  `json:"appended"`        // bytes that were stored since the broker was opened: its growth is the rate; -1 when it is not known
	Due        Time   `json:"due,omitzero"`    // when the oldest batch will be too old
	Error      *Error `json:"error,omitempty"` // of a topic that is damaged: it has nothing but a name
}

// Topic describes a topic.
type Topic struct {
	TopicSummary
	Configs []Config    `json:"configs"` // by name
	Parts   []Partition `json:"parts"`   // by index
}

// Config is a config under Kafka's name.
type Config struct {
	Name    string `json:"name"`
	Value   string `json:"value"`
	Default bool   `json:"default"` // it is what it would be if nobody had set it
}

// Partition describes a partition at one moment.
type Partition struct {
	Partition     int32   `json:"partition"`
	LogStart      int64   `json:"log_start"`          // offset of the first record that can be read
	LastStable    int64   `json:"last_stable"`        // offset behind what is committed: a transaction is open from there on
	HighWatermark int64   `json:"high_watermark"`     // offset of the next record
	Bytes         int64   `json:"bytes"`              // of stored batches; -1 when it is not known
	Appended      int64   `json:"appended"`           // as in TopicSummary
	Due           Time    `json:"due,omitzero"`       // when the oldest batch will be too old
	Leader        int32   `json:"leader"`             // of a cluster; 0 for a broker of its own
	Replicas      []int32 `json:"replicas,omitempty"` // of a cluster
	InSync        []int32 `json:"in_sync,omitempty"`  // of a cluster
	Error         *Error  `json:"error,omitempty"`    // why nothing is known of it, in a cluster
}

// AlterTopic changes configs of a topic.
type AlterTopic struct {
	Configs map[string]*string `json:"configs"` // by Kafka's names; null has one go back to its default
}

// GrowTopic raises the number of partitions.
type GrowTopic struct {
	Partitions int `json:"partitions"` // in all
}

// PartitionOffset is an offset of a partition.
type PartitionOffset struct {
	Partition int32 `json:"partition"`
	Offset    int64 `json:"offset"`
}

// Offsets are offsets of partitions of a topic.
type Offsets struct {
	Offsets []PartitionOffset `json:"offsets"`
}

// TopicPartition names a partition.
type TopicPartition struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
}

// Broker is what a broker is: what does not change while it is open.
type Broker struct {
	ClusterID string `json:"cluster_id"`
	Version   string `json:"version"`        // of the library; "devel" when it is not known
	Format    int    `json:"format"`         // of the data directory
	Dir       string `json:"dir,omitempty"`  // the data directory; "" in memory
	Host      string `json:"host,omitempty"` // the name of the machine
	PID       int    `json:"pid,omitempty"`
	Opened    Time   `json:"opened,omitzero"` // when the handler was made
	ReadOnly  bool   `json:"read_only"`       // the broker takes no writes
	Write     bool   `json:"write"`           // the API takes writes
	Fake      bool   `json:"fake"`            // it has the controls of the test kit
}

// Stats is what a broker has done since it was opened, and what it holds now: samsa.Stats.
type Stats struct {
	Topics     int   `json:"topics"`
	Partitions int   `json:"partitions"`
	Groups     int   `json:"groups"`
	Clients    int   `json:"clients"`
	Records    int64 `json:"records"`
	Batches    int64 `json:"batches"`
	Bytes      int64 `json:"bytes"`
	Commits    int64 `json:"commits"`
	Syncs      int64 `json:"syncs"`
	Failed     int64 `json:"failed"`

	Refused map[string]int64 `json:"refused,omitempty"` // by the name of the error

	Resets     int64 `json:"resets"`
	Skipped    int64 `json:"skipped"`
	Aborted    int64 `json:"aborted"`
	Rebalances int64 `json:"rebalances"`
	HookPanics int64 `json:"hook_panics"`
	DiskBytes  int64 `json:"disk_bytes"`

	CommitTimes *Histogram `json:"commit_times,omitempty"` // nil without one
	SyncTimes   *Histogram `json:"sync_times,omitempty"`
	Store       StoreStats `json:"store"`
}

// Histogram is how often values were observed, by size: samsa.Histogram. Times are in seconds.
type Histogram struct {
	Bounds []float64 `json:"bounds"` // upper ones of the buckets, rising
	Counts []int64   `json:"counts"` // in each bucket, and above the last bound
	Sum    float64   `json:"sum"`
}

// StoreStats is how the store on disk is: samsa.StoreStats. In memory there is nothing.
type StoreStats struct {
	Files       int      `json:"files"`
	FileBytes   int64    `json:"file_bytes"`
	LiveBytes   int64    `json:"live_bytes"`
	Tables      int      `json:"tables"`
	TableBytes  int64    `json:"table_bytes"`
	Entries     int      `json:"entries"`
	MemBytes    int64    `json:"mem_bytes"`
	Checkpoints int64    `json:"checkpoints"`
	Merges      int64    `json:"merges"`
	Moved       int64    `json:"moved"`
	Reclaimed   int64    `json:"reclaimed"`
	Stalls      int64    `json:"stalls"`
	StallTime   Duration `json:"stall_time"`
	FreeBytes   int64    `json:"free_bytes"` // -1 where the file system does not say
}

// Removed counts what retention has removed.
type Removed struct {
	Records int64 `json:"records"`
	Batches int64 `json:"batches"`
	Bytes   int64 `json:"bytes"`
}

// Retention is what retention has done since the broker was opened: samsa.RetentionStats. What it knows of partitions is in Topic.
type Retention struct {
	LastSweep Time    `json:"last_sweep,omitzero"`
	Removed   Removed `json:"removed"`
	BytesLive int64   `json:"bytes_live"`
	BytesDisk int64   `json:"bytes_disk"`
}

// Swept is what a sweep has done.
type Swept struct {
	Removed    Removed `json:"removed"`
	Topics     int     `json:"topics"`
	BytesFreed int64   `json:"bytes_freed"`
}

// KeysRequest asks for a page of the application's keys.
type KeysRequest struct {
	Prefix   Bytes
	After    Bytes // the key before the first one wanted
	Limit    int   // at most so many; 0 means 100, at most 10,000
	MaxValue int   // values are cut behind so many bytes; 0 for whole ones
}

// KeyPage is a page of keys, in the order of their bytes.
type KeyPage struct {
	Keys []KeyValue `json:"keys"`
	Next Bytes      `json:"next,omitempty"` // After of the next page; nil when this is the last one
}

// KeyValue is a key of the application and its value.
type KeyValue struct {
	Key       Bytes `json:"key"`
	Value     Bytes `json:"value"`
	ValueSize int   `json:"value_size,omitempty"` // of the whole value, where Value was cut
}

// SnapshotRequest says what is in a snapshot.
type SnapshotRequest struct {
	Topics []string // none for everything
}

// ImportRequest says which topics of a snapshot are wanted: samsa.ImportOptions.
type ImportRequest struct {
	Topics  []string          // none for all
	As      map[string]string // their new names, where these are others
	Offsets bool              // those of groups, too
}
