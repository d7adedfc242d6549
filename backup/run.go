package backup

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"go.uber.org/zap"
)

// Options of Run. The zero value is right for most.
type Options struct {
	// Every is how often what is new is shipped. 0 means 1 s.
	Every time.Duration
	// BaseEvery is how old the newest base becomes before there is another: a restore applies the commits since. 0 means 24 h.
	BaseEvery time.Duration
	// Keep is how long a moment can be restored; what only older moments need is removed. 0 means for ever.
	Keep time.Duration
	// UntilNow has Run return once all is in the target that was stored when it was called.
	UntilNow bool
	// Status is told how it stands after each step, by the goroutine of Run. It may be nil.
	Status func(Status)
	// Logger gets what an operator should know. Nil is silent.
	Logger *zap.Logger
}

// Status is how a backup stands.
type Status struct {
	Generation string `json:"generation"`
	Copied     Mark   `json:"copied"`              // all up to it is in the target
	Base       Mark   `json:"base"`                // the newest
	Commits    int64  `json:"commits"`             // shipped by this Run
	Bytes      int64  `json:"bytes"`               // of frames and bases, likewise
	BaseBytes  int64  `json:"baseBytes,omitempty"` // of the base that is on its way
	Anew       int    `json:"anew"`                // how often this Run had to begin anew because commits were gone
	Err        error  `json:"-"`                   // of the target, why the last step has to be tried again
}

// Run ships what src has to target until ctx ends, whose error it returns then, or with Options.UntilNow until it has caught up.
// It goes on where the last Run has stopped, in whatever way, and begins anew where that cannot be: when the target has nothing of
// this directory, or commits are gone.
//
// Errors of the target are told and tried again, with growing waits. Errors of the source end it: samsa.ErrClosed,
// ErrCorruptValue when a value file is damaged, and so on.
func Run(ctx context.Context, src Source, target Target, opts Options) error {
	if opts.Every == 0 {
		opts.Every = time.Second
	}
	if opts.BaseEvery == 0 {
		opts.BaseEvery = 24 * time.Hour
	}
	if opts.Status == nil {
		opts.Status = func(Status) {}
	}
	if opts.Logger == nil {
		opts.Logger = zap.NewNop()
	}
	r := runner{src: src, target: target, opts: opts}
	if err := r.run(ctx); err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	return nil
}

type runner struct {
	src    Source
	target Target
	opts   Options
	status Status

	id     string
	gen    *generation // nil until it is known where to go on
	swept  bool
	pruned time.Time
}

// errTarget marks errors of the target.
type errTarget struct{ error }

func (e errTarget) Unwrap() error { return e.error }

const maxPause = time.Minute

func (r *runner) run(ctx context.Context) error {
	pause := r.opts.Every
	for {
		more, err := r.step(ctx)
		var ofTarget errTarget
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, ErrGap):
			r.opts.Logger.Warn("commits that are not in the backup are gone, it begins anew", zap.String("generation", r.status.Generation), zap.Error(err))
			r.status.Anew++
			if err = r.anew(ctx); errors.As(err, &ofTarget) {
				r.gen = nil
			}
		}
		r.status.Err = nil
		switch {
		case errors.As(err, &ofTarget):
			r.opts.Logger.Warn("the target of the backup fails, it is tried again", zap.Error(err))
			r.status.Err, r.gen = err, nil // what is there is asked for anew
			pause = min(2*pause, maxPause)
		case err != nil:
			return err
		default:
			pause = r.opts.Every
		}
		r.opts.Status(r.status)
		if err == nil && more {
			continue
		}
		if err == nil && r.opts.UntilNow {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}

// step ships what is next, and reports whether there may be more at once.
func (r *runner) step(ctx context.Context) (more bool, err error) {
	if r.gen == nil {
		if err := r.resume(ctx); err != nil {
			return false, err
		}
	}
	if time.Since(r.status.Base.Time) >= r.opts.BaseEvery {
		return true, r.base(ctx)
	}
	frames, until, err := r.src.Frames(ctx, r.status.Copied.Commit)
	if err != nil {
		return false, err
	}
	if len(frames) == 0 {
		if err := r.reach(ctx); err != nil {
			return false, err
		}
		return false, r.prune(ctx)
	}
	first := r.status.Copied.Commit + 1
	if err := r.put(ctx, first, until, 0, frames); err != nil {
		return false, err
	}
	r.status.Commits += int64(until.Commit - first + 1)
	r.status.Bytes += int64(len(frames))
	r.status.Copied = until
	if err := r.src.Hold(ctx, r.id, until.Commit); err != nil {
		return false, err
	}
	if err := r.merge(ctx); err != nil {
		return false, err
	}
	more = len(frames) >= framesBytes
	if !more && r.opts.UntilNow {
		return false, r.reach(ctx)
	}
	return more, nil
}

// reach notes how far the generation reaches, unless that is noted: else nobody could know that the newest segment is missing.
func (r *runner) reach(ctx context.Context) error {
	at, all := r.status.Copied, r.gen.reaches
	if len(r.gen.segments) > 0 && r.gen.missing(Mark{Commit: at.Commit - 1}) == 0 {
		if err := r.target.Put(ctx, reachName(r.gen.name, at), bytes.NewReader(reachText(at))); err != nil {
			return errTarget{err}
		}
		all = append(all, at)
	}
	for len(all) > 1 {
		if err := r.target.Delete(ctx, reachName(r.gen.name, all[0])); err != nil {
			return errTarget{err}
		}
		all = all[1:]
	}
	r.gen.reaches = all
	return nil
}

// put writes a segment.
func (r *runner) put(ctx context.Context, first uint64, until Mark, level int, frames []byte) error {
	s := segment{name: segmentName(r.gen.name, first, until, level), first: first, until: until, level: level, size: int64(segmentHeader + len(frames))}
	if err := r.target.Put(ctx, s.name, bytes.NewReader(encodeSegment(first, until, frames))); err != nil {
		return errTarget{err}
	}
	r.gen.segments = append(r.gen.segments, s)
	return nil
}

// beginning is the content of begin.json.
type beginning struct {
	Version int       `json:"version"`
	ID      string    `json:"id"`
	Began   time.Time `json:"began"`
}

// resume finds out where to go on.
func (r *runner) resume(ctx context.Context) error {
	if s, ok := r.target.(Sweeper); ok && !r.swept {
		if err := s.Sweep(ctx); err != nil { // which is no reason to have no backup
			r.opts.Logger.Warn("what was cut off is not removed from the target", zap.Error(err))
		}
	}
	r.swept = true
	objects, err := r.target.List(ctx)
	if err != nil {
		return errTarget{err}
	}
	generations := parse(objects)
	for _, g := range slices.Backward(generations) {
		if g.number() != generations[len(generations)-1].number() { // those of one number began at once
			break
		}
		if ours, err := r.resumeIn(ctx, g); err != nil || ours {
			return err
		}
	}
	return r.begin(ctx, generations)
}

// anew begins a generation in the place of the present one.
func (r *runner) anew(ctx context.Context) error {
	objects, err := r.target.List(ctx)
	if err != nil {
		return errTarget{err}
	}
	return r.begin(ctx, parse(objects))
}

// resumeIn goes on in a generation, if it is one of this broker and nothing is missing.
func (r *runner) resumeIn(ctx context.Context, g *generation) (ours bool, err error) {
	begun, err := r.readBeginning(ctx, g)
	if err != nil {
		return false, err
	}
	if begun.ID == "" || len(g.bases) == 0 || r.id != "" && begun.ID != r.id {
		return false, nil
	}
	newest := g.bases[len(g.bases)-1]
	copied := g.until(g.bases[0].at) // the oldest: a base may be younger than what was shipped
	if n := len(g.segments); n > 0 && g.segments[n-1].until.Commit > copied.Commit {
		r.opts.Logger.Warn("a segment of the backup is missing", zap.String("generation", g.name), zap.Uint64("commit", copied.Commit+1))
		return false, nil
	}
	if err := r.src.Hold(ctx, begun.ID, copied.Commit); err != nil {
		if errors.Is(err, ErrGap) {
			r.opts.Logger.Info("the broker does not hold what comes behind the backup", zap.String("generation", g.name), zap.Error(err))
			return false, nil
		}
		return false, err
	}
	for _, s := range g.leftover {
		if err := r.target.Delete(ctx, s.name); err != nil {
			return false, errTarget{err}
		}
	}
	g.leftover = nil
	r.id, r.gen = begun.ID, g
	r.status.Generation, r.status.Copied, r.status.Base = g.name, copied, newest.at
	return true, nil
}

// readBeginning returns what begin.json of a generation says, nothing where there is none that can be read.
func (r *runner) readBeginning(ctx context.Context, g *generation) (b beginning, err error) {
	if !g.begun {
		return b, nil
	}
	text, err := read(ctx, r.target, g.name+"/begin.json", 1<<20)
	if err != nil {
		return b, errTarget{err}
	}
	if err := json.Unmarshal(text, &b); err != nil || b.Version != 1 {
		return beginning{}, nil
	}
	return b, nil
}

// read reads an object of a size, or what shows that it is larger.
func read(ctx context.Context, target Target, name string, size int64) ([]byte, error) {
	body, err := target.Get(ctx, name)
	if err != nil {
		return nil, err
	}
	b := bytes.NewBuffer(make([]byte, 0, min(size, maxSegment)))
	_, err = b.ReadFrom(contextReader{ctx, io.LimitReader(body, min(size, 2*maxSegment)+1)}) // one that is larger is damaged
	return b.Bytes(), errors.Join(err, body.Close())
}

// begin begins a generation behind all that were seen: two who have seen the same have one number.
func (r *runner) begin(ctx context.Context, all []*generation) error {
	if r.id != "" {
		if err := r.src.Release(ctx, r.id); err != nil {
			return err
		}
	}
	number := 1
	if len(all) > 0 {
		if _, err := fmt.Sscanf(all[len(all)-1].name, "g%08d", &number); err != nil {
			return err
		}
		number++
	}
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails
	r.id = hex.EncodeToString(id[:])
	r.gen = &generation{name: generationName(number, r.id), begun: true}
	text, err := json.Marshal(beginning{Version: 1, ID: r.id, Began: time.Now().UTC()})
	if err != nil {
		return err
	}
	if err := r.target.Put(ctx, r.gen.name+"/begin.json", bytes.NewReader(text)); err != nil {
		return errTarget{err}
	}
	r.status.Generation = r.gen.name
	r.opts.Logger.Info("a backup begins", zap.String("generation", r.gen.name))
	return r.base(ctx)
}

// base writes a base. What was copied before it goes on to be, behind it.
func (r *runner) base(ctx context.Context) error {
	id := r.id
	another := len(r.gen.bases) > 0 // the segments go on where they are, with their hold
	if another {
		id += "-base"
	}
	at, body, err := r.src.Base(ctx, id)
	if err != nil {
		return err
	}
	counted := &counter{r: body, tell: func(n int64) {
		r.status.BaseBytes = n
		r.opts.Status(r.status)
	}}
	name := baseName(r.gen.name, at)
	err = r.target.Put(ctx, name, counted)
	_ = body.Close() // it was read to the end, or there is an error
	r.status.BaseBytes = 0
	if another {
		if err := r.src.Release(ctx, id); err != nil {
			return err
		}
	}
	switch {
	case counted.err != nil && !errors.Is(counted.err, io.EOF):
		return counted.err
	case err != nil:
		return errTarget{err}
	}
	r.gen.bases = append(r.gen.bases, snapshot{name, at, counted.n})
	r.status.Base = at
	r.status.Bytes += counted.n
	if !another {
		r.status.Copied = at
	}
	return nil
}

// counter counts what is read, and keeps the error of the reader.
type counter struct {
	r    io.Reader
	n    int64
	told int64
	err  error
	tell func(int64)
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	if c.n-c.told >= framesBytes {
		c.told = c.n
		c.tell(c.n)
	}
	if err != nil {
		c.err = err
	}
	return n, err
}

const (
	mergeCount = 60
	mergeBytes = 16 << 20
	maxSegment = 64 << 20
)

// merge makes one segment of the last of a level, when there are many.
func (r *runner) merge(ctx context.Context) error {
	for level := 0; ; level++ {
		all := r.gen.segments
		at, bytes := len(all), int64(0)
		for at > 0 && all[at-1].level == level && bytes+all[at-1].size <= maxSegment && (at == len(all) || all[at-1].until.Commit+1 == all[at].first) {
			at--
			bytes += all[at].size
		}
		if n := len(all) - at; n < mergeCount && (n < 2 || bytes < mergeBytes) {
			return nil
		}
		if err := r.join(ctx, at, level+1, bytes); err != nil {
			return err
		}
		if err := r.reach(ctx); err != nil {
			return err
		}
	}
}

// join makes one segment of those from one on.
func (r *runner) join(ctx context.Context, at, level int, size int64) error {
	parts := r.gen.segments[at:]
	frames := make([]byte, 0, size)
	for _, s := range parts {
		b, err := read(ctx, r.target, s.name, s.size)
		if err != nil {
			return errTarget{err}
		}
		f, err := decodeSegment(b, s)
		if err != nil {
			r.opts.Logger.Error("a segment of the backup is damaged, and begins anew for that", zap.Error(err))
			return fmt.Errorf("%w: %w", ErrGap, err)
		}
		frames = append(frames, f...)
	}
	old := append([]segment(nil), parts...)
	r.gen.segments = r.gen.segments[:at]
	if err := r.put(ctx, old[0].first, old[len(old)-1].until, level, frames); err != nil {
		return err
	}
	for _, s := range old {
		if err := r.target.Delete(ctx, s.name); err != nil {
			return errTarget{err}
		}
	}
	return nil
}

const pruneEvery = 10 * time.Minute

// prune removes what is not to be kept, now and then.
func (r *runner) prune(ctx context.Context) error {
	if r.opts.Keep == 0 || time.Since(r.pruned) < min(pruneEvery, r.opts.Keep) {
		return nil
	}
	done, err := Prune(ctx, r.target, PruneOptions{Keep: r.opts.Keep})
	if err != nil {
		return errTarget{err}
	}
	r.pruned = time.Now()
	if done.Objects > 0 {
		r.opts.Logger.Info("what the backup need not keep is removed", zap.Int("objects", done.Objects), zap.Int64("bytes", done.Bytes))
		r.gen = nil // what is there is asked for anew
	}
	return nil
}
