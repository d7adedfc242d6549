package api

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/inside"
	"github.com/samsa-go/samsa/internal/store"
)

// module is the name of the library in the build info.
const module = "github.com/samsa-go/samsa"

// version is the version of the library, "devel" when the build does not say.
var version = sync.OnceValue(func() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "devel"
	}
	for _, m := range append(info.Deps, &info.Main) {
		if m.Path == module && m.Version != "" && m.Version != "(devel)" {
			return m.Version
		}
	}
	return "devel"
})

func brokerInfo(c *call) (any, error) {
	if err := c.none(); err != nil {
		return nil, err
	}
	in := inside.Of(c.b)
	host, _ := os.Hostname() // for people
	return Broker{
		ClusterID: in.ClusterID, Version: version(), Format: store.FormatVersion, Dir: in.Dir, Host: host, PID: os.Getpid(), Opened: At(c.s.opened),
		ReadOnly: in.Options.(samsa.Options).ReadOnly, Write: c.s.opts.Write, Fake: c.s.opts.Fake != nil || c.s.kit != nil,
	}, nil
}

func stats(c *call) (any, error) {
	if err := c.none(); err != nil {
		return nil, err
	}
	s, err := c.b.Stats(c.limited)
	if err != nil {
		return nil, err
	}
	return Stats{
		Topics: s.Topics, Partitions: s.Partitions, Groups: s.Groups, Clients: s.Clients, Records: s.Records, Batches: s.Batches, Bytes: s.Bytes,
		Commits: s.Commits, Syncs: s.Syncs, Failed: s.Failed, Refused: s.Refused, Resets: s.Resets, Skipped: s.Skipped, Aborted: s.Aborted,
		Rebalances: s.Rebalances, HookPanics: s.HookPanics, DiskBytes: s.DiskBytes,
		CommitTimes: histogramOf(s.CommitTimes), SyncTimes: histogramOf(s.SyncTimes), Store: storeOf(s.Store),
	}, nil
}

func histogramOf(h samsa.Histogram) *Histogram {
	if h.Count() == 0 {
		return nil
	}
	return &Histogram{Bounds: h.Bounds, Counts: h.Counts, Sum: h.Sum}
}

func storeOf(s samsa.StoreStats) StoreStats {
	return StoreStats{
		Files: s.Files, FileBytes: s.FileBytes, LiveBytes: s.LiveBytes, Tables: s.Tables, TableBytes: s.TableBytes, Entries: s.Entries,
		MemBytes: s.MemBytes, Checkpoints: s.Checkpoints, Merges: s.Merges, Moved: s.Moved, Reclaimed: s.Reclaimed, Stalls: s.Stalls,
		StallTime: Duration(s.StallTime), FreeBytes: s.FreeBytes,
	}
}

func syncNow(c *call) (any, error) {
	if err := c.none(); err != nil {
		return nil, err
	}
	return nil, c.b.Sync(c.limited)
}

func retention(c *call) (any, error) {
	if err := c.none(); err != nil {
		return nil, err
	}
	s, err := c.b.RetentionStats(c.limited)
	if err != nil {
		return nil, err
	}
	return Retention{LastSweep: At(s.LastSweep), Removed: Removed(s.Removed), BytesLive: s.BytesLive, BytesDisk: s.BytesDisk}, nil
}

// sweep may take long: its limit is that of who asks.
func sweep(c *call) (any, error) {
	if err := c.none(); err != nil {
		return nil, err
	}
	s, err := c.b.Sweep(c.ctx)
	if err != nil {
		return nil, err
	}
	return Swept{Removed: Removed(s.Removed), Topics: s.Topics, BytesFreed: s.BytesFreed}, nil
}

// health is well as long as the process answers.
func (s *server) health(w http.ResponseWriter, _ *http.Request) { write(w, []byte("ok\n")) }

// ready is well as long as the broker takes requests: it is open, and its store has not failed.
func (s *server) ready(w http.ResponseWriter, r *http.Request) {
	b := s.broker()
	_, err := b.Stats(r.Context())
	if c := inside.Of(b).Committer; err == nil && c != nil {
		err = c.Failed()
	}
	if err != nil {
		e := asError(fmt.Errorf("not ready: %w", err))
		e.Status = http.StatusServiceUnavailable
		writeError(w, e)
		return
	}
	write(w, []byte("ok\n"))
}

// snapshot streams a snapshot, of some topics if they are named.
func snapshot(c *call) (any, error) {
	topics := c.query.all("topic")
	if err := c.none(); err != nil {
		return nil, err
	}
	return stream(func(w http.ResponseWriter) error {
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Content-Disposition", `attachment; filename="samsa.snapshot"`)
		out := &patient{w: w, ctl: http.NewResponseController(w)}
		err := c.b.Snapshot(c.ctx, out, topics...)
		if err != nil && !out.begun {
			return err
		}
		return c.endStream(w, err)
	}), nil
}

// importTopics takes topics of a snapshot, which is the body.
func importTopics(c *call) (any, error) {
	o := samsa.ImportOptions{Topics: c.query.all("topic"), Offsets: c.query.flag("offsets"), As: make(map[string]string)}
	for _, as := range c.query.all("as") {
		from, to, ok := strings.Cut(as, "=")
		if _, twice := o.As[from]; !ok || twice {
			c.query.refuse("as is %.100q, want OLD=NEW, once for each OLD", as)
		}
		o.As[from] = to
	}
	if err := c.none(); err != nil {
		return nil, err
	}
	return stream(func(w http.ResponseWriter) error {
		if err := c.b.Import(c.ctx, c.in, o); err != nil {
			return err
		}
		w.WriteHeader(http.StatusNoContent)
		return nil
	}), nil
}

// endStream ends a stream that has begun. After an error the connection is cut, or the trailer says it to who looks at that.
func (c *call) endStream(w http.ResponseWriter, err error) error {
	if err == nil {
		return nil
	}
	if c.r.Header.Get("TE") != "trailers" {
		panic(http.ErrAbortHandler)
	}
	if text, e := encode(asError(err)); e == nil {
		w.Header().Set(http.TrailerPrefix+errorTrailer, string(text))
	}
	return nil
}

// patient writes to who reads slowly, as long as something is taken in streamLimit.
type patient struct {
	w     io.Writer
	ctl   *http.ResponseController
	begun bool
}

func (p *patient) Write(b []byte) (int, error) {
	p.begun = true
	_ = p.ctl.SetWriteDeadline(time.Now().Add(streamLimit))
	n, err := p.w.Write(b)
	if err != nil {
		err = fmt.Errorf("%w: who has asked does not take it: %w", samsa.ErrClosed, err)
	}
	return n, err
}
