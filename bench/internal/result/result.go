// Package result holds what a run of the benchmark has found, as -json writes it.
package result

import (
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/samsa-go/samsa/bench/internal/machine"
	"github.com/samsa-go/samsa/bench/internal/workload"
)

// Run is a whole run.
type Run struct {
	Format  int             `json:"format"` // of this file: 1
	Began   time.Time       `json:"began"`
	Took    time.Duration   `json:"took"`
	Command string          `json:"command"` // that does the same again
	Rounds  int             `json:"rounds"`
	Limits  workload.Limits `json:"limits"`
	Samsa   string          `json:"samsa"` // the revision of its source
	Machine machine.Info    `json:"machine"`
	Peers   []Peer          `json:"peers"`
	Results []Result        `json:"results"` // by case, in the order of the run
}

const format = 1

// Peer is a peer that took part.
type Peer struct {
	Name    string `json:"name"`
	Title   string `json:"title"`
	About   string `json:"about"`
	Version string `json:"version"`
	Memory  bool   `json:"memory,omitempty"` // nothing of it outlives the process
}

// Result is what came of a case on a peer: rounds, or why there are none.
type Result struct {
	Peer   string        `json:"peer"`
	Case   workload.Case `json:"case"`
	Codec  string        `json:"codec"` // that the peer used
	Rounds []Round       `json:"rounds,omitempty"`
	// Cannot says why the peer has no such thing; Failed is the error of the first round
	// that failed, which ends the case for the peer.
	Cannot string `json:"cannot,omitempty"`
	Failed string `json:"failed,omitempty"`
}

// Round is one measurement, in a process of its own.
type Round struct {
	workload.Outcome
	PeakRSS     int64  `json:"peak_rss"`            // bytes; -1 unknown
	DiskWritten int64  `json:"disk_written"`        // bytes, from open to close; -1 unknown
	Histogram   string `json:"histogram,omitempty"` // of latencies in ns, HdrHistogram's V2 encoding in base64
}

// Write stores r as indented JSON.
func (r *Run) Write(path string) error {
	r.Format = format
	b, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(b, '\n'), 0o644)
}

// Read reads what Write has stored.
func Read(path string) (*Run, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var r Run
	if err := json.Unmarshal(b, &r); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if r.Format != format {
		return nil, fmt.Errorf("%s: it has format %d, known is %d", path, r.Format, format)
	}
	return &r, nil
}
