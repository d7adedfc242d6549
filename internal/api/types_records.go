package api

// Record is one record of a partition. It is also a line of the command's JSON lines: what is read can be produced.
//
//	{"topic":"web_log","partition":0,"offset":1042,"timestamp":1764422361000,"key":"k","value":{"base64":"/w=="},
//	 "headers":[{"key":"trace","value":"a"},{"key":"trace","value":null}]}
type Record struct {
	Topic     string   `json:"topic"`
	Partition int32    `json:"partition"`
	Offset    int64    `json:"offset"`
	Timestamp Time     `json:"timestamp"`         // null for none
	Key       Bytes    `json:"key"`               // null for none
	Value     Bytes    `json:"value"`             // null for none: a tombstone
	Headers   []Header `json:"headers,omitempty"` // in their order, with duplicates

	KeySize   int `json:"key_size,omitempty"`   // of the whole key, where Key was cut
	ValueSize int `json:"value_size,omitempty"` // of the whole value, where Value was cut
}

// Header is a header of a record.
type Header struct {
	Key   Text  `json:"key"`
	Value Bytes `json:"value"`
	Size  int   `json:"size,omitempty"` // of the whole value, where Value was cut
}

// Filter says which records are wanted. Its fields must all hold; the zero Filter has all records.
type Filter struct {
	Key      Bytes  // the key is this; nil for any
	Contains Bytes  // the key, the value, or a header's key or value has these bytes in it; upper and lower case differ
	Header   string // a header, KEY or KEY=VALUE
}

// ReadRequest asks for a page of records of one partition.
type ReadRequest struct {
	Topic     string
	Partition int32
	// From is where to begin: the first record at or behind it, or with Backward the first one before it. "" means
	// earliest, and with Backward latest.
	From     Position
	Backward bool // from the newest to the oldest
	Limit    int  // at most so many; 0 means 100, at most 10,000
	Filter   Filter
	// Scan is how many records may be looked at for it, 0 means 10,000, at most 1,000,000. A page ends sooner when it has taken
	// a second, or is full: Next goes on.
	Scan        int
	MaxValue    int  // keys, values and headers are cut behind so many bytes; 0 for whole ones
	Uncommitted bool // records of transactions that are open or were aborted, too
}

// RecordPage is a page of records, in the order that was asked for. It is bounded in bytes, too: one may have fewer records than
// the limit, and even none, and not be the last.
type RecordPage struct {
	Records []Record `json:"records"`
	Scanned int64    `json:"scanned"`        // how many records were looked at
	Next    Position `json:"next,omitzero"`  // From of the next page
	End     bool     `json:"end"`            // nothing more is there now; forwards, more may come at Next
	Start   int64    `json:"log_start"`      // of the partition
	Stop    int64    `json:"high_watermark"` // of the partition
	// Damaged says which records could not be read. They are passed over.
	Damaged []Error `json:"damaged,omitempty"`
}

// FollowRequest asks for records as they come: all of some partitions of a topic.
type FollowRequest struct {
	Topic       string
	Partitions  []int32         // none for all, those too that are added later
	From        Position        // in each of them; "" means latest
	Offsets     map[int32]int64 // where to begin in these, in the place of From
	Until       bool            // end where the partitions end when it begins
	Limit       int64           // end after so many records; 0 for no limit
	Filter      Filter
	MaxValue    int // as in ReadRequest
	Uncommitted bool
	// Damaged is told of records that cannot be read. The client alone has it: without it they are the end.
	Damaged func(error)
}

// NewRecord is a record to be produced.
type NewRecord struct {
	Partition *int32   `json:"partition,omitempty"` // nil for the partitioner's choice
	Timestamp Time     `json:"timestamp,omitzero"`  // zero for now
	Key       Bytes    `json:"key"`
	Value     Bytes    `json:"value"`
	Headers   []Header `json:"headers,omitempty"`
}

// ProduceRequest has records produced: all of them or none.
type ProduceRequest struct {
	Records     []NewRecord `json:"records"`               // at most 10,000, of 16 MiB in all
	Acks        string      `json:"acks,omitempty"`        // stored (or "") or synced; of a cluster leader or all (or "")
	Compression string      `json:"compression,omitempty"` // none, gzip, snappy (or ""), lz4, zstd
	Partitioner string      `json:"partitioner,omitempty"` // hash (or ""), murmur2, roundrobin, random
}

// Produced says where records were stored, in their order.
type Produced struct {
	Records []Place `json:"records"`
}

// Place is where a record was stored.
type Place struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"`
	Timestamp Time   `json:"timestamp"`
}

// RequeueRequest sends dead letters back: each record is produced to the topic and partition that it came from, as it was, without the
// headers that say why it died. The dead letters stay where they are.
type RequeueRequest struct {
	Partition int32   `json:"partition"`
	Offsets   []int64 `json:"offsets"` // at most 1,000
}
