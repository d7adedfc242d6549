package harness

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/samsa-go/samsa/bench/internal/peer"
	"github.com/samsa-go/samsa/bench/internal/result"
	"github.com/samsa-go/samsa/bench/internal/workload"
)

// Plan is what a run measures.
type Plan struct {
	Peers    []*peer.Peer
	Settings peer.Settings
	Cases    []workload.Case
	Limits   workload.Limits
	Rounds   int
	Dir      string        // where logs are written; "" for the system's directory for temporary files
	Timeout  time.Duration // of one measurement
	// Deadline ends the run early: what is not measured by then says so. Zero for none.
	Deadline time.Time
	// Where profiles go; "" for none. With more than one measurement their names are added.
	CPUProfile, MemProfile string
	// Progress is called before each step, with the number of those done and of all.
	Progress func(done, all int, step string)
}

// Measure carries out p. First each peer has to conform to what all promise; one that does
// not is not measured. Then the peers take turns: every case with every peer, and all of it
// again, as many times as there are rounds. What fails is a result. The error is the
// context's, or one of this machine.
func Measure(ctx context.Context, p Plan) ([]result.Result, error) {
	m := &measuring{Plan: p, spawner: spawner{dir: p.Dir, timeout: p.Timeout}}
	m.all = len(p.Peers) + p.Rounds*len(p.Cases)*len(p.Peers)
	bad, err := m.conform(ctx)
	if err != nil {
		return nil, err
	}
	results := make([]result.Result, 0, len(p.Cases)*len(p.Peers))
	for _, c := range p.Cases {
		for _, q := range p.Peers {
			results = append(results, result.Result{Peer: q.Name, Case: c, Codec: q.Codec(c.Codec), Failed: bad[q.Name]})
		}
	}
	for round := range p.Rounds {
		for i := range p.Cases {
			row := results[i*len(p.Peers):][:len(p.Peers)]
			for j := range row {
				// Each round begins with another peer, so that none is always first.
				if err := m.measure(ctx, &row[(j+round)%len(row)], round); err != nil {
					return nil, err
				}
			}
		}
	}
	return results, nil
}

// measuring is a run under way.
type measuring struct {
	Plan
	spawner   spawner
	done, all int
}

func (m *measuring) step(what string) {
	if m.Progress != nil {
		m.Progress(m.done, m.all, what)
	}
	m.done++
}

// conform returns what is wrong with which peers.
func (m *measuring) conform(ctx context.Context) (map[string]string, error) {
	bad := make(map[string]string)
	for _, p := range m.Peers {
		m.step(p.Name + " conforms")
		o := order{Do: conform, Peer: p.Name, Settings: m.Settings}
		a, err := m.spawner.do(ctx, o)
		if err == nil && a.Failed == "" && !p.Volatile {
			a, err = m.spawner.killed(ctx, o)
		}
		if err != nil {
			return nil, err
		}
		if a.Failed != "" {
			bad[p.Name] = "it does not conform: " + a.Failed
		}
	}
	return bad, nil
}

// measure adds a round to r, unless it has ended.
func (m *measuring) measure(ctx context.Context, r *result.Result, round int) error {
	m.step(r.Peer + " " + Short(r.Case))
	if r.Failed != "" || r.Cannot != "" {
		return nil
	}
	if !m.Deadline.IsZero() && time.Now().After(m.Deadline) {
		if len(r.Rounds) == 0 {
			r.Cannot = "not measured: the time for the run was over"
		}
		return nil
	}
	c := r.Case
	c.Codec = r.Codec
	a, err := m.spawner.do(ctx, order{
		Do: measure, Peer: r.Peer, Settings: m.Settings, Case: c, Limits: m.Limits,
		CPUProfile: m.profile(m.CPUProfile, r, round), MemProfile: m.profile(m.MemProfile, r, round),
	})
	if err != nil {
		return err
	}
	r.Cannot, r.Failed = a.Cannot, a.Failed
	if a.Cannot == "" && a.Failed == "" {
		r.Rounds = append(r.Rounds, a.Round)
	}
	return nil
}

// profile returns where the profile of a measurement goes.
func (m *measuring) profile(path string, r *result.Result, round int) string {
	if path == "" || len(m.Cases)*len(m.Peers)*m.Rounds == 1 {
		return path
	}
	ext := filepath.Ext(path)
	name := strings.NewReplacer("/", ",", "=", "-").Replace(r.Case.Axes())
	return fmt.Sprintf("%s,%s,%s,round-%d%s", strings.TrimSuffix(path, ext), r.Peer, name, round+1, ext)
}

// Short names a case in a few words.
func Short(c workload.Case) string {
	words := []string{c.Work}
	if c.Goroutines > 0 {
		words = append(words, fmt.Sprintf("x%d", c.Goroutines))
	}
	words = append(words, fmt.Sprintf("%dB", c.Size))
	if c.Partitions > 1 {
		words = append(words, fmt.Sprintf("%d partitions", c.Partitions))
	}
	if c.Acks == workload.Synced {
		words = append(words, "synced")
	}
	return strings.Join(words, " ")
}

// Failures returns an error that names what failed of Samsa, or nil: the failure of another
// peer is a result.
func Failures(results []result.Result) error {
	var errs []error
	for _, r := range results {
		err := fmt.Errorf("%s: %s", r.Peer, r.Failed)
		if peer.Ours(r.Peer) && r.Failed != "" && !slices.ContainsFunc(errs, func(e error) bool { return e.Error() == err.Error() }) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
