// Package inspect looks at a data directory from outside: it verifies every byte, prints what is there for bug reports, and
// has the index made anew. It needs no owner, and stands beside one that goes on writing.
package inspect

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"path/filepath"

	"github.com/samsa-go/samsa/internal/store"
)

// Severity says how bad a finding is.
type Severity int8

const (
	// Note is worth knowing and costs nothing: an end that was not finished, or what has a second copy.
	Note Severity = iota
	// Repairable costs nothing once the index is made anew, see Repair.
	Repairable
	// Damage cannot be repaired. Cost says what is lost.
	Damage
)

// String returns the name in lower case.
func (s Severity) String() string { return [...]string{"note", "repairable", "damage"}[s] }

// MarshalText returns what String does.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Finding is something that is not as it should be.
type Finding struct {
	Severity Severity `json:"severity"`
	File     string   `json:"file,omitempty"`   // with slashes, from the directory on; "" when it is not in one place
	Offset   int64    `json:"offset,omitempty"` // in the file
	End      int64    `json:"end,omitempty"`    // where it ends at most, 0 when that is not known
	What     string   `json:"what"`             // what is wrong
	Of       string   `json:"of,omitempty"`     // what it belongs to
	Cost     string   `json:"cost,omitempty"`   // what it costs
	Err      error    `json:"-"`                // the same for errors.Is
}

// String returns all of it on one line.
func (f Finding) String() string {
	text := f.Severity.String() + ": "
	if f.File != "" {
		text += f.File
		if f.Offset > 0 {
			text += fmt.Sprintf(", offset %d", f.Offset)
		}
		text += ": "
	}
	if f.Of != "" {
		text += f.Of + ": "
	}
	text += f.What
	if f.Cost != "" {
		text += "; it costs " + f.Cost
	}
	return text
}

// Options of Verify. The zero value is right for most.
type Options struct {
	// Progress is told how much is done of how much of a stage, in bytes, now and then. It is called by the
	// goroutine that asks for findings.
	Progress func(stage string, done, total int64)
}

// Summary is what a Verification has come past.
type Summary struct {
	Live    bool  `json:"live"` // an owner had the directory open: only its value files were read
	Files   int   `json:"files"`
	Bytes   int64 `json:"bytes"`   // of frames
	Commits int64 `json:"commits"` // as many frames
	First   uint64
	Last    uint64
	Closed  bool   `json:"closed"` // the last owner has closed it
	Cut     string `json:"cut,omitempty"`
	Topics  int    `json:"topics"`
	Batches int64  `json:"batches"`
	Records int64  `json:"records"`
	Keys    int64  `json:"keys"` // of the store that were read

	Notes      int `json:"notes"`
	Repairable int `json:"repairable"`
	Damage     int `json:"damage"`
}

// Whole reports whether nothing but notes was found.
func (s Summary) Whole() bool { return s.Repairable+s.Damage == 0 }

// Verification is one look at a directory. It is for one goroutine.
type Verification struct {
	dir     string
	opts    Options
	sum     Summary
	names   names
	told    map[string]bool // keys whose values were found to be damaged, up to maxTold
	index   *opened         // nil when it is not to be used
	records recordCheck
}

const maxTold = 100_000

// Verify returns a look at dir, which begins with All.
func Verify(dir string, opts Options) *Verification {
	if opts.Progress == nil {
		opts.Progress = func(string, int64, int64) {}
	}
	return &Verification{dir: dir, opts: opts, names: names{}, told: map[string]bool{}}
}

// errEnough ends a look whose caller wants no more findings.
var errEnough = errors.New("no more findings are wanted")

// All reads every byte of the directory: value files, and where nobody has it open the manifests and tables too. Then it
// looks at what they mean: each batch, header, CRC and records; whether offsets follow one another; whether topics, groups,
// producers, transactions and states of queues can be read; and whether the index leads to what the value files hold. Beside an owner
// it reads value files alone, and what these mean by themselves.
//
// It yields what is wrong. An error ends it: of the file system, of ctx, or store.ErrNotExist and the like when dir is no
// data directory. Memory is bounded by the largest value file, and by the number of topics and findings.
func (v *Verification) All(ctx context.Context) iter.Seq2[Finding, error] {
	return func(yield func(Finding, error) bool) {
		err := v.run(ctx, func(f Finding) error {
			switch f.Severity {
			case Note:
				v.sum.Notes++
			case Repairable:
				v.sum.Repairable++
			case Damage:
				v.sum.Damage++
			}
			if !yield(f, nil) {
				return errEnough
			}
			return nil
		})
		if err != nil && !errors.Is(err, errEnough) {
			yield(Finding{}, fmt.Errorf("verify %s: %w", v.dir, err))
		}
	}
}

// Summary returns what was seen so far.
func (v *Verification) Summary() Summary { return v.sum }

func (v *Verification) run(ctx context.Context, tell func(Finding) error) (err error) {
	lock, err := store.LockShared(v.dir)
	if errors.Is(err, store.ErrLocked) {
		v.sum.Live = true
		return v.walk(ctx, tell)
	}
	if err != nil {
		return err
	}
	defer func() { err = store.Join(err, lock.Close()) }()
	usable := true
	err = store.Inspect(ctx, v.dir, func(f store.Flaw) error {
		usable = usable && f.Kind == store.FlawNote
		return tell(v.finding(f))
	})
	if err != nil {
		return err
	}
	var refused error
	if usable {
		if v.index, refused = open(v.dir); v.index != nil {
			defer func() { err = store.Join(err, v.index.close()) }()
		}
	}
	before := v.sum.Damage + v.sum.Repairable
	if err := v.walk(ctx, tell); err != nil {
		return err
	}
	if refused != nil && v.sum.Damage+v.sum.Repairable == before {
		return tell(Finding{Severity: Damage, What: refused.Error(), Cost: costOfAll, Err: refused})
	}
	if v.index == nil {
		return nil
	}
	return v.meaning(ctx, tell)
}

const (
	costOfAll    = "the directory: it is not opened, and a backup or a snapshot has to take its place"
	costOfIndex  = "nothing once the index is made anew; until then what it leads to cannot be read"
	costOfFrames = "values of 1 KiB and more that lay there, each of which is told of if it still counts; smaller ones are in the index too, which cannot be made anew any more"
	costNothing  = "nothing: it was removed or overwritten since"
)

// finding puts a flaw into words.
func (v *Verification) finding(f store.Flaw) Finding {
	found := Finding{File: f.File, Offset: f.Offset, End: f.End, What: f.Err.Error(), Err: f.Err}
	if f.Commit > 0 && f.Key == nil {
		found.Of = fmt.Sprintf("commit %d", f.Commit)
	}
	switch f.Kind {
	case store.FlawNote:
		found.Severity, found.Cost = Note, "nothing"
	case store.FlawIndex:
		found.Severity, found.Cost = Repairable, costOfIndex
	case store.FlawValue:
		k := v.names.key(f.Key)
		found.Severity, found.Of, found.Cost = Damage, k.String(), costOf(k)
	case store.FlawFrames:
		found.Severity, found.Cost = Damage, costOfFrames
	default:
		found.Severity, found.Cost = Damage, costOfAll
	}
	return found
}

// costOf says what a damaged value of a key costs.
func costOf(k Key) string {
	switch k.Kind {
	case "batch":
		return "its records"
	case "topic", "log start":
		return "the topic, until it is deleted"
	case "application key":
		return "the key, until it is set or deleted"
	case "aborted transaction":
		return "readers of committed records what is before its marker"
	}
	return "what is stored there"
}

// walk goes through the value files.
func (v *Verification) walk(ctx context.Context, tell func(Finding) error) error {
	o := store.WalkOptions{
		Live:     v.sum.Live,
		Frame:    func(f *store.Frame) error { return v.frame(f, tell) },
		Flaw:     func(f store.Flaw) error { return v.flaw(f, tell) },
		Progress: func(done, total int64) { v.opts.Progress("value files", done, total) },
	}
	if v.index != nil {
		for _, t := range v.index.parts.Catalogue.List() {
			v.names[t.Partitions()[0].ID().Topic] = t.Name()
		}
	}
	sum, err := store.Walk(ctx, v.dir, o)
	v.sum.Files, v.sum.Bytes, v.sum.Commits, v.sum.First, v.sum.Last = sum.Files, sum.Bytes, sum.Frames, sum.First, sum.Last
	v.sum.Closed, v.sum.Cut = sum.Closed, sum.Cut
	if err == nil && sum.Cut != "" {
		err = tell(Finding{Severity: Note, What: "the end was not finished: " + sum.Cut, Cost: "what was on its way, and was not acknowledged as synced"})
	}
	return err
}

// flaw tells of a flaw of a value file.
func (v *Verification) flaw(f store.Flaw, tell func(Finding) error) error {
	found := v.finding(f)
	if f.Kind == store.FlawValue && len(v.told) < maxTold {
		v.told[string(f.Key)] = true
	}
	if f.Kind == store.FlawValue && v.index != nil {
		at, err := v.index.where.Where(f.Key)
		if err == nil && (at.File != f.File || at.Offset != f.Offset) || errors.Is(err, store.ErrNotFound) {
			found.Cost = costNothing
			delete(v.told, string(f.Key))
		}
	}
	return tell(found)
}

// frame looks at what a frame means: where there is an index, whether it knows of it.
func (v *Verification) frame(f *store.Frame, tell func(Finding) error) error {
	var ops []store.FrameOp
	err := f.Each(func(o store.FrameOp) error {
		if o.Key != nil {
			ops = append(ops, o)
		}
		return nil
	})
	for n, o := range ops {
		if err != nil {
			return err
		}
		v.names.learn(o.Key, o.Value)
		if v.index != nil {
			err = v.compare(f, o, ops[n+1:], tell)
			continue
		}
		err = v.value(f, o, tell)
	}
	return err
}

// compare asks the index for the key of an operation. later are those behind it in the frame.
func (v *Verification) compare(f *store.Frame, o store.FrameOp, later []store.FrameOp, tell func(Finding) error) error {
	at, err := v.index.where.Where(o.Key)
	wrong := ""
	switch {
	case errors.Is(err, store.ErrNotFound): // it was deleted since, which the index need not know
	case errors.Is(err, store.ErrCorrupt):
		wrong = err.Error()
	case err != nil:
		return err
	case at.Commit < f.Commit:
		wrong = fmt.Sprintf("the index has it as of commit %d, and commit %d has set or deleted it since", at.Commit, f.Commit)
	case at.Commit == f.Commit && (at.File != f.File || o.Offset != at.Offset && !again(o, later)):
		wrong = fmt.Sprintf("the index has it at %s, offset %d", filepath.ToSlash(at.File), at.Offset)
	}
	if wrong == "" {
		return nil
	}
	k := v.names.key(o.Key)
	return tell(Finding{
		Severity: Repairable, File: f.File, Offset: f.Offset, End: f.Offset + int64(f.Length), Of: k.String(), What: wrong, Cost: costOfIndex, Err: store.ErrIndex,
	})
}

// again reports whether an operation is overwritten in the same frame.
func again(o store.FrameOp, later []store.FrameOp) bool {
	for _, l := range later {
		if string(l.Key) == string(o.Key) {
			return true
		}
	}
	return false
}

// value looks at a value as it lies in a frame.
func (v *Verification) value(f *store.Frame, o store.FrameOp, tell func(Finding) error) error {
	if o.Kind == store.OpDelete || o.Bad {
		return nil
	}
	k := v.names.key(o.Key)
	var err error
	switch k.Kind {
	case "batch":
		err = v.records.check(o.Key, o.Value)
		v.sum.Batches, v.sum.Records = v.records.batches, v.records.records
	case "unknown key":
		err = fmt.Errorf("%w: it is none that this release knows", store.ErrCorrupt)
	}
	if err == nil {
		return nil
	}
	at := f.Offset
	if o.Offset > 0 {
		at = o.Offset
	}
	return tell(Finding{
		Severity: Damage, File: f.File, Offset: at, Of: k.String(), What: err.Error(), Cost: costOf(k) + ", unless it was removed or overwritten since", Err: err,
	})
}
