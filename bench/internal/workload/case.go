// Package workload does the work that is timed, on any peer.
package workload

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/samsa-go/samsa/bench/internal/data"
)

// Case is a workload with its axes: what is measured on each peer. Fields that a workload
// does not look at are zero, so that equal work is an equal Case.
type Case struct {
	Work       string `json:"work"`
	Goroutines int    `json:"goroutines,omitempty"` // that append, of single; workers, of queue
	Size       int    `json:"size"`                 // bytes of a record
	Batch      int    `json:"batch"`                // records
	Partitions int    `json:"partitions"`
	Data       string `json:"data"`
	Codec      string `json:"codec"`
	Acks       string `json:"acks"`
	Rate       int    `json:"rate,omitempty"` // records a second, of latency
}

// The workloads.
const (
	Batch     = "batch"
	Single    = "single"
	Cold      = "cold"
	Tail      = "tail"
	Latency   = "latency"
	Group     = "group"
	Retention = "retention"
	Queue     = "queue"

	Transactions = "transactions"
)

// Acks, as peer.Options.Synced.
const (
	Stored = "stored"
	Synced = "synced"
)

// Work describes a workload.
type Work struct {
	Name  string
	Title string
	About string // what is done and what is counted, in a sentence or two
	run   func(*run) error
}

// All returns the workloads in the order of reports.
func All() []Work {
	return []Work{
		{Batch, "Append batches", "One goroutine hands over batches, without waiting for one before the next where the peer can do that; the time ends when all are acknowledged. Latency: from handing a batch over until it is acknowledged.", appendBatches},
		{Transactions, "Append batches in transactions", "As the workload before, by a producer with a transactional id, which commits after every tenth batch and begins anew when that is answered. Latency: from handing a batch over until it is acknowledged, committed or not.", appendTransactions},
		{Single, "Append one record a call", "Each goroutine appends a record, waits until it is acknowledged, and appends the next. Latency: of a call.", appendSingle},
		{Cold, "Consume from the start", "A log that was written, closed and opened again is read from its first record to its last, and every record is touched. The page cache is as the writing left it.", consumeCold},
		{Tail, "Consume at the tail", "One goroutine appends batches as fast as it can, one a partition reads them as they come; the time ends when all are read.", consumeTail},
		{Latency, "Produce to consume, at a fixed rate", "A record is due at fixed times, whether the one before was acknowledged or not. Latency: from when a record was due until a waiting reader has it, so a stall counts for every record it delays.", produceToConsume},
		{Group, "Consume in a group", "A group reads a log that was written before, and commits its offset after every batch.", consumeGroup},
		{Retention, "Steady state under retention", "Batches are appended while only the newest bytes are kept: by the peer's retention, or by deleting the oldest records after every eighth. Also measured: the most that the directory had, in times of what is kept.", steadyState},
		{Queue, "Work off a queue", "Workers share a log that was written before: each receives records that nobody else has, as many as there are to a batch, acknowledges them, and comes back. What is counted is records, received and acknowledged.", workOff},
	}
}

// Find returns the workload with that name.
func Find(name string) (Work, bool) {
	all := All()
	i := slices.IndexFunc(all, func(w Work) bool { return w.Name == name })
	if i < 0 {
		return Work{}, false
	}
	return all[i], true
}

// Normal returns c with its batch cut to what maxBatchBytes holds, and without what its
// workload does not look at.
func (c Case) Normal() Case {
	c.Batch = max(1, min(c.Batch, maxBatchBytes/max(1, c.Size)))
	switch c.Work {
	case Single:
		c.Batch = 1
	case Queue:
		c.Batch = min(c.Batch, maxReceived)
	default:
		c.Goroutines = 0
	}
	if c.Work != Latency {
		c.Rate = 0
	} else {
		c.Batch = 1
	}
	switch c.Work {
	case Latency, Group, Retention, Queue:
		c.Partitions = 1
	}
	return c
}

// maxReceived is how many records a worker of Queue gets at most: what it has, the others have not.
const maxReceived = 100

// maxBatchBytes is what a Kafka broker takes in a batch by default.
const maxBatchBytes = 1_000_000

// Validate reports all wrong fields at once.
func (c Case) Validate() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	_, known := Find(c.Work)
	check(known, "workload %q: there are batch, transactions, single, cold, tail, latency, group, retention and queue", c.Work)
	check(c.Work != Single && c.Work != Queue || c.Goroutines >= 1 && c.Goroutines <= maxGoroutines, "%d goroutines: from 1 to %d", c.Goroutines, maxGoroutines)
	check(slices.Contains(data.Kinds(), c.Data), "data %q: json or random", c.Data)
	check(c.Size >= 1 && c.Size <= data.MaxSize, "a record size of %d: from 1 byte to %d", c.Size, data.MaxSize)
	check(c.Data != data.JSON || c.Size >= data.MinJSON, "a record size of %d: JSON needs %d bytes", c.Size, data.MinJSON)
	check(c.Batch >= 1, "%d records a batch: at least 1", c.Batch)
	check(c.Partitions >= 1 && c.Partitions <= maxPartitions, "%d partitions: from 1 to %d", c.Partitions, maxPartitions)
	check(slices.Contains([]string{"none", "gzip", "snappy", "lz4", "zstd"}, c.Codec), "compression %q: none, gzip, snappy, lz4 or zstd", c.Codec)
	check(c.Acks == Stored || c.Acks == Synced, "acks %q: stored or synced", c.Acks)
	check(c.Work != Latency || c.Rate >= 1 && c.Rate <= maxRate, "a rate of %d: from 1 to %d records/s", c.Rate, maxRate)
	return errors.Join(errs...)
}

const (
	maxGoroutines = 4096
	maxPartitions = 1024
	maxRate       = 1_000_000
)

// Axes returns the axes as benchmark names have them, for benchstat.
func (c Case) Axes() string {
	var b strings.Builder
	fmt.Fprintf(&b, "work=%s", c.Work)
	if c.Goroutines > 0 {
		fmt.Fprintf(&b, "/goroutines=%d", c.Goroutines)
	}
	fmt.Fprintf(&b, "/size=%dB/batch=%d/partitions=%d/data=%s/compression=%s/acks=%s", c.Size, c.Batch, c.Partitions, c.Data, c.Codec, c.Acks)
	if c.Rate > 0 {
		fmt.Fprintf(&b, "/rate=%d", c.Rate)
	}
	return b.String()
}
