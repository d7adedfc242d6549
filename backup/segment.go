package backup

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/store"
)

// A segment is a header and frames, as they lie in value files, in the order of their commits. Integers are big endian.
//
//	magic "samsa/s\n" | first commit u64 | last commit u64 | until u64, ms | length of the frames u64 |
//	xxhash64 of the header before it and the frames u64 | frames
//
// All commits up to the last were made up to until, and none besides.
const (
	segmentMagic  = "samsa/s\n"
	segmentHeader = 48
	segmentHashAt = 40
)

// ErrDamaged says that an object of a backup is damaged or missing, and which.
var ErrDamaged = fmt.Errorf("%w: backup", samsa.ErrCorruptValue)

func encodeSegment(first uint64, until Mark, frames []byte) []byte {
	b := make([]byte, 0, segmentHeader+len(frames))
	b = append(b, segmentMagic...)
	b = binary.BigEndian.AppendUint64(b, first)
	b = binary.BigEndian.AppendUint64(b, until.Commit)
	b = binary.BigEndian.AppendUint64(b, uint64(until.Time.UnixMilli()))
	b = binary.BigEndian.AppendUint64(b, uint64(len(frames)))
	b = binary.BigEndian.AppendUint64(b, segmentHash(b, frames))
	return append(b, frames...)
}

func segmentHash(header, frames []byte) uint64 {
	d := xxhash.New()
	_, _ = d.Write(header[:segmentHashAt]) // never fails
	_, _ = d.Write(frames)
	return d.Sum64()
}

// decodeSegment returns the frames of a segment, which is to be that of a name. What is wrong is ErrDamaged.
func decodeSegment(b []byte, is segment) ([]byte, error) {
	if len(b) < segmentHeader || string(b[:len(segmentMagic)]) != segmentMagic {
		return nil, fmt.Errorf("%w: %s: it is no segment", ErrDamaged, is.name)
	}
	header, frames := b[:segmentHeader], b[segmentHeader:]
	if n := binary.BigEndian.Uint64(header[32:]); n != uint64(len(frames)) {
		return nil, fmt.Errorf("%w: %s: it has %d bytes of frames, not %d", ErrDamaged, is.name, len(frames), n)
	}
	if segmentHash(header, frames) != binary.BigEndian.Uint64(header[segmentHashAt:]) {
		return nil, fmt.Errorf("%w: %s: its hash", ErrDamaged, is.name)
	}
	first, last := binary.BigEndian.Uint64(header[8:]), binary.BigEndian.Uint64(header[16:])
	if first != is.first || last != is.until.Commit {
		return nil, fmt.Errorf("%w: %s: it has commits %d to %d", ErrDamaged, is.name, first, last)
	}
	next := first
	for rest := frames; len(rest) > 0; next++ {
		f, err := store.ParseFrame(rest)
		if err != nil {
			return nil, fmt.Errorf("%w: %s: commit %d: %w", ErrDamaged, is.name, next, err)
		}
		if f.Commit != next {
			return nil, fmt.Errorf("%w: %s: commit %d stands where %d should", ErrDamaged, is.name, f.Commit, next)
		}
		rest = rest[f.Length:]
	}
	if next != last+1 {
		return nil, fmt.Errorf("%w: %s: it ends with commit %d", ErrDamaged, is.name, next-1)
	}
	return frames, nil
}

// segment is one that is in the target.
type segment struct {
	name  string
	first uint64
	until Mark
	level int
	size  int64
}

func segmentName(generation string, first uint64, until Mark, level int) string {
	return fmt.Sprintf("%s/seg-%020d-%020d-%d-%d.seg", generation, first, until.Commit, level, until.Time.UnixMilli())
}

func baseName(generation string, at Mark) string {
	return fmt.Sprintf("%s/base-%020d-%d.snap", generation, at.Commit, at.Time.UnixMilli())
}

// reachName is the name of an object that notes how far the generation reaches: all commits up to that one are in the target. Who lists
// the names in their order comes upon it before the segments.
func reachName(generation string, until Mark) string {
	return fmt.Sprintf("%s/reach-%020d-%d.json", generation, until.Commit, until.Time.UnixMilli())
}

// reachText is what is in it, for people: the name says it all.
func reachText(until Mark) []byte {
	text, err := json.Marshal(Mark{until.Commit, time.UnixMilli(until.Time.UnixMilli()).UTC()})
	if err != nil {
		panic(err) // a time of our own making
	}
	return text
}

// snapshot is a base that is in the target.
type snapshot struct {
	name string
	at   Mark
	size int64
}

// generationNamed matches names of generations: a number, and the beginning of the id, for when two begin at once.
var generationNamed = regexp.MustCompile(`^g[0-9]{8}-[0-9a-f]{8}$`)

func generationName(number int, id string) string { return fmt.Sprintf("g%08d-%s", number, id[:8]) }

// generation is what the target has of one history.
type generation struct {
	name     string
	begun    bool       // begin.json is there
	bases    []snapshot // the oldest first
	segments []segment  // by first commit; each reaches farther than those before
	leftover []segment  // that lie within others
	reaches  []Mark     // that were noted, the newest last
}

// missing returns the last commit that is missing behind one up to which all is there, 0 if none is known to be.
func (g *generation) missing(until Mark) uint64 {
	if n := len(g.reaches); n > 0 && g.reaches[n-1].Commit > until.Commit {
		return g.reaches[n-1].Commit
	}
	return 0
}

// number returns the number of the generation, which those share that began at once.
func (g *generation) number() string { number, _, _ := strings.Cut(g.name, "-"); return number }

// look returns what is in a target. A list is not made at one moment: where something seems to be missing it is made again.
func look(ctx context.Context, target Target) ([]Object, []*generation, error) {
	for again := false; ; again = true {
		objects, err := target.List(ctx)
		if err != nil {
			return nil, nil, err
		}
		all := parse(objects)
		if again || !slices.ContainsFunc(all, func(g *generation) bool { return g.missing(Mark{Commit: g.last()}) > 0 }) {
			return objects, all, nil
		}
	}
}

// until returns how far the generation reaches from a commit on, without a gap.
func (g *generation) until(from Mark) Mark {
	for _, s := range g.segments {
		if s.first <= from.Commit+1 && s.until.Commit > from.Commit {
			from = s.until
		}
	}
	return from
}

// parse reads the names of a target.
func parse(objects []Object) (generations []*generation) {
	var g *generation
	for _, o := range objects { // by name, and so by generation
		var level int
		var first, last uint64
		var ms int64
		name, rest, ok := strings.Cut(o.Name, "/")
		if !ok || !generationNamed.MatchString(name) {
			continue
		}
		if g == nil || g.name != name {
			g = &generation{name: name}
			generations = append(generations, g)
		}
		if n, _ := fmt.Sscanf(rest, "base-%020d-%d.snap", &last, &ms); n == 2 {
			at := Mark{last, time.UnixMilli(ms)}
			if baseName(g.name, at) == o.Name {
				g.bases = append(g.bases, snapshot{o.Name, at, o.Size})
			}
			continue
		}
		if n, _ := fmt.Sscanf(rest, "seg-%020d-%020d-%d-%d.seg", &first, &last, &level, &ms); n == 4 {
			s := segment{o.Name, first, Mark{last, time.UnixMilli(ms)}, level, o.Size}
			if segmentName(g.name, first, s.until, level) == o.Name {
				g.segments = append(g.segments, s)
			}
			continue
		}
		if n, _ := fmt.Sscanf(rest, "reach-%020d-%d.json", &last, &ms); n == 2 {
			at := Mark{last, time.UnixMilli(ms)}
			if reachName(g.name, at) == o.Name {
				g.reaches = append(g.reaches, at)
			}
			continue
		}
		g.begun = g.begun || rest == "begin.json"
	}
	for _, g := range generations {
		g.order()
	}
	return generations
}
