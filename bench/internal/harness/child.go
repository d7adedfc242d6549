// Package harness runs workloads on peers: each measurement in a process of its own, so
// that its memory, its allocations and its writes are nobody else's, in turns and several
// times over.
package harness

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/pprof"

	"github.com/samsa-go/samsa/bench/internal/machine"
	"github.com/samsa-go/samsa/bench/internal/peer"
	"github.com/samsa-go/samsa/bench/internal/result"
	"github.com/samsa-go/samsa/bench/internal/workload"
)

// ChildVariable is set in the environment of a process that is to call Child.
const ChildVariable = "SAMSA_BENCH_CHILD"

// order is what a child is to do.
type order struct {
	Do       action          `json:"do"`
	Peer     string          `json:"peer"`
	Settings peer.Settings   `json:"settings"`
	Dir      string          `json:"dir"` // empty, except for checkSurvivors
	Case     workload.Case   `json:"case"`
	Limits   workload.Limits `json:"limits"`
	Acked    int             `json:"acked"`
	// Where profiles of the measurement go; "" for none.
	CPUProfile string `json:"cpu_profile"`
	MemProfile string `json:"mem_profile"`
}

type action string

const (
	measure        action = "measure"
	conform        action = "conform"
	appendForever  action = "append forever"
	checkSurvivors action = "check survivors"
)

// answer is what a child says in the end.
type answer struct {
	Round  result.Round `json:"round"`
	Cannot string       `json:"cannot,omitempty"`
	Failed string       `json:"failed,omitempty"`
}

// Child does what the order on in says, and answers on out.
func Child(in io.Reader, out io.Writer) error {
	var o order
	if err := json.NewDecoder(in).Decode(&o); err != nil {
		return fmt.Errorf("order: %w", err)
	}
	peers, err := peer.Select(o.Settings, []string{o.Peer})
	if err != nil {
		return err
	}
	ctx := context.Background()
	var a answer
	switch o.Do {
	case measure:
		a.Round, err = o.measure(ctx, peers[0])
	case conform:
		err = o.conform(ctx, peers[0])
	case appendForever:
		err = peer.AppendForever(ctx, peers[0], o.Dir, conformOptions(peers[0], false), out)
	case checkSurvivors:
		err = peer.CheckSurvivors(ctx, peers[0], o.Dir, conformOptions(peers[0], false), o.Acked)
	default:
		err = fmt.Errorf("order to %q", o.Do)
	}
	switch {
	case errors.Is(err, errors.ErrUnsupported):
		a.Cannot = err.Error()
	case err != nil:
		a.Failed = err.Error()
	}
	return json.NewEncoder(out).Encode(a)
}

func conformOptions(p *peer.Peer, synced bool) peer.Options {
	return peer.Options{Partitions: 2, Codec: p.Codec("snappy"), BatchBytes: 1 << 20, Writers: 8, Synced: synced}
}

// conform checks both durabilities.
func (o *order) conform(ctx context.Context, p *peer.Peer) error {
	for _, synced := range []bool{false, true} {
		if synced && p.NoSync != "" {
			continue
		}
		dir, err := os.MkdirTemp(o.Dir, "conform")
		if err != nil {
			return err
		}
		if err := peer.Conform(ctx, p, dir, conformOptions(p, synced)); err != nil {
			return fmt.Errorf("synced=%t: %w", synced, err)
		}
	}
	return nil
}

func (o *order) measure(ctx context.Context, p *peer.Peer) (result.Round, error) {
	stop, err := startProfile(o.CPUProfile)
	if err != nil {
		return result.Round{}, err
	}
	before := machine.Used()
	out, err := workload.Run(ctx, p, o.Dir, o.Case, o.Limits)
	after := machine.Used()
	if err := errors.Join(stop(), writeHeap(o.MemProfile)); err != nil {
		return result.Round{}, err
	}
	if err != nil {
		return result.Round{}, err
	}
	round := result.Round{Outcome: out, PeakRSS: after.PeakRSS, DiskWritten: -1}
	if before.DiskWritten >= 0 {
		round.DiskWritten = after.DiskWritten - before.DiskWritten
	}
	if p.Outside {
		round.PeakRSS, round.DiskWritten = -1, -1
	}
	if out.Latencies != nil {
		encoded, err := out.Latencies.EncodeV2()
		if err != nil {
			return result.Round{}, err
		}
		round.Histogram = string(encoded)
	}
	return round, nil
}

// startProfile begins a CPU profile and returns what ends it.
func startProfile(path string) (stop func() error, err error) {
	if path == "" {
		return func() error { return nil }, nil
	}
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() error {
		pprof.StopCPUProfile()
		return f.Close()
	}, nil
}

// writeHeap writes a profile of all allocations since the start.
func writeHeap(path string) error {
	if path == "" {
		return nil
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	runtime.GC()
	return errors.Join(pprof.Lookup("allocs").WriteTo(f, 0), f.Close())
}
