package mirror

import (
	"cmp"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/samsa-go/samsa/internal/engine"
	"github.com/samsa-go/samsa/log"
)

// The notes of a mirror are records of a compacted topic with one partition, JSON under these keys; the names are those of
// topics of the source.
//
//	mirror                    headNote
//	topic/NAME                topicNote
//	position/NAME/PARTITION   positionNote
//	ranges/NAME/PARTITION/N   [[source offset, target offset, count], ...], the first being of source offset N
const (
	headKey        = "mirror"
	topicPrefix    = "topic/"
	positionPrefix = "position/"
	rangesPrefix   = "ranges/"

	notesVersion = 1
)

// headNote says whose notes these are.
type headNote struct {
	Version int    `json:"version"` // notesVersion
	From    string `json:"from"`    // the id of the source's cluster
	Prefix  string `json:"prefix,omitempty"`
}

// topicNote is what is known of a topic that is copied.
type topicNote struct {
	ID   id     `json:"id"`   // in the source
	To   string `json:"to"`   // its name in the target
	ToID id     `json:"toID"` // and its id there
	// Via are the ids of clusters that the topic of the source is a copy of, the nearest first.
	Via []string `json:"via,omitempty"`
	// Finished says that it is the target's own now.
	Finished bool `json:"finished,omitempty"`
	// Move counts how often the topic has moved between the two, with this time; of several that have finished the last one counts.
	Move int `json:"move"`
	// Configs are those of the source that the target was given.
	Configs map[string]string `json:"configs,omitempty"`
}

// positionNote says how far a partition is copied.
type positionNote struct {
	ID     id    `json:"id"`     // of the topic of the source
	Offset int64 `json:"offset"` // of the source, behind what is copied
	Target int64 `json:"target"` // of the target, behind the copies
	Start  int64 `json:"start"`  // of the source, where copying began
	Cover  bool  `json:"cover"`  // the target has the same offsets, and nothing before Start
	Known  int64 `json:"known"`  // of the source: ranges before it were forgotten
	Lost   int64 `json:"lost"`   // offsets that retention of the source has taken before they were copied
}

// id is the id of a topic, as text.
type id [16]byte

// MarshalText implements encoding.TextMarshaler.
func (i id) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, i[:]), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (i *id) UnmarshalText(text []byte) error {
	if n, err := hex.Decode(i[:], text); err != nil || n != len(i) {
		return fmt.Errorf("%w: %q is no id", log.ErrCorruptValue, text)
	}
	return nil
}

// notes are those of a mirror.
type notes struct {
	head      headNote // of version 0: there are none
	topics    map[string]*topicNote
	positions map[log.TopicPartition]*positionNote
	ranges    map[log.TopicPartition]*ranges
}

func newNotes() *notes {
	return &notes{topics: map[string]*topicNote{}, positions: map[log.TopicPartition]*positionNote{}, ranges: map[log.TopicPartition]*ranges{}}
}

// readNotes reads the notes in a topic, to its stable end, behind which nobody is who could add to them.
func readNotes(ctx context.Context, topics engine.Topics, name string) (*notes, error) {
	n := newNotes()
	t, err := topics.Find(ctx, name, false)
	if errors.Is(err, log.ErrUnknownTopic) {
		return n, nil
	}
	if err != nil {
		return nil, err
	}
	err = readAll(ctx, t, func(r *log.Record) error {
		if err := n.take(string(r.Key), r.Value); err != nil {
			return fmt.Errorf("%s/%d: offset %d: %w: %w", name, r.Partition, r.Offset, log.ErrCorruptValue, err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if n.head.Version > notesVersion {
		return nil, fmt.Errorf("%s: %w: notes of version %d", name, log.ErrUnsupported, n.head.Version)
	}
	for _, r := range n.ranges {
		slices.SortFunc(r.blocks, func(a, b block) int { return cmp.Compare(a.from, b.from) })
		r.n = 0
		for i := range r.blocks {
			r.n += len(r.blocks[i].runs)
		}
	}
	return n, nil
}

// readAll calls fn for the records of what is committed in the first partition of a topic.
func readAll(ctx context.Context, t engine.Topic, fn func(*log.Record) error) error {
	p, err := t.Partition(0)
	if err != nil {
		return err
	}
	end, err := stableEnd(ctx, p)
	if err != nil {
		return err
	}
	var buf, plain []byte
	for from := p.LogStart(); from < end; {
		before := from
		var bad error
		buf, err = p.Fetch(ctx, "", log.ReadCommitted, from, buf, func(sb log.StoredBatch) bool {
			from = sb.LastOffset + 1
			if bad = sb.Err; bad != nil || sb.Aborted || sb.Batch.Control() {
				return bad == nil
			}
			plain, bad = eachRecord(sb.Batch, plain, fn)
			return bad == nil
		})
		switch {
		case errors.Is(err, log.ErrOffsetOutOfRange) && from < p.LogStart():
			from = p.LogStart()
		case errors.Is(err, engine.ErrNotYet):
			err = pause(ctx, 5*time.Millisecond)
			if err != nil {
				return err
			}
		case err != nil:
			return err
		case bad != nil:
			return bad
		case from == before:
			from = end // the last offsets have no batches any more
		}
	}
	return nil
}

// eachRecord calls fn for the records of a batch, whose bytes live in plain, until it fails. It returns plain, grown as needed.
func eachRecord(b log.Batch, plain []byte, fn func(*log.Record) error) ([]byte, error) {
	plain, err := b.AppendRecords(plain[:0])
	if err != nil {
		return plain, err
	}
	r := log.NewRecordReader(b, plain)
	for {
		var rec log.Record
		more, err := r.Next(&rec)
		if err != nil || !more {
			return plain, err
		}
		if err := fn(&rec); err != nil {
			return plain, err
		}
	}
}

// stableEnd returns the last stable offset of a partition once no transaction is open there.
func stableEnd(ctx context.Context, p engine.Partition) (int64, error) {
	for {
		if r, ok := p.(engine.Remote); ok {
			if err := r.Ask(ctx); err != nil {
				return 0, err
			}
		}
		high := p.HighWatermark()
		if stable := p.LastStable(); stable >= high || p.Err() != nil {
			return stable, p.Err()
		}
		if err := pause(ctx, 10*time.Millisecond); err != nil {
			return 0, fmt.Errorf("%s: a transaction is open: %w", p.TopicPartition(), err)
		}
	}
}

// pause waits, or returns the error of ctx.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// take takes a note in.
func (n *notes) take(key string, value []byte) error {
	switch {
	case key == headKey:
		return json.Unmarshal(value, &n.head)
	case strings.HasPrefix(key, topicPrefix):
		return take(n.topics, strings.TrimPrefix(key, topicPrefix), value)
	case strings.HasPrefix(key, positionPrefix):
		tp, rest, err := parsePartition(strings.TrimPrefix(key, positionPrefix))
		if err != nil || rest != "" {
			return fmt.Errorf("key %q", key)
		}
		return take(n.positions, tp, value)
	case strings.HasPrefix(key, rangesPrefix):
		tp, rest, err := parsePartition(strings.TrimPrefix(key, rangesPrefix))
		from, bad := strconv.ParseInt(rest, 10, 64)
		if err != nil || bad != nil {
			return fmt.Errorf("key %q", key)
		}
		return n.takeRanges(tp, from, value)
	}
	return nil // of a release to come
}

func take[K comparable, V any](all map[K]*V, key K, value []byte) error {
	if value == nil {
		delete(all, key)
		return nil
	}
	v := new(V)
	all[key] = v
	return json.Unmarshal(value, v)
}

func (n *notes) takeRanges(tp log.TopicPartition, from int64, value []byte) error {
	all := n.ranges[tp]
	if all == nil {
		all = new(ranges)
		n.ranges[tp] = all
	}
	all.blocks = slices.DeleteFunc(all.blocks, func(b block) bool { return b.from == from })
	if value == nil {
		return nil
	}
	var raw [][3]int64
	if err := json.Unmarshal(value, &raw); err != nil {
		return err
	}
	if len(raw) == 0 || raw[0][0] != from {
		return fmt.Errorf("ranges that do not begin at %d", from)
	}
	b := block{from: from}
	for i, r := range raw {
		if r[0] < 0 || r[1] < 0 || r[2] <= 0 || i > 0 && r[0] < b.end() {
			return fmt.Errorf("ranges that cannot be: %v", r)
		}
		b.runs = append(b.runs, run{from: r[0], to: r[1], n: r[2]})
	}
	all.blocks = append(all.blocks, b)
	return nil
}

// parsePartition takes a key apart.
func parsePartition(key string) (tp log.TopicPartition, rest string, err error) {
	name, rest, _ := strings.Cut(key, "/")
	index, rest, _ := strings.Cut(rest, "/")
	i, err := strconv.ParseInt(index, 10, 32)
	return log.TopicPartition{Topic: name, Partition: int32(i)}, rest, err
}

// partitionKey is the key of a note of a partition.
func partitionKey(prefix string, tp log.TopicPartition) string {
	return prefix + tp.Topic + "/" + strconv.Itoa(int(tp.Partition))
}

func rangesKey(tp log.TopicPartition, from int64) string {
	return partitionKey(rangesPrefix, tp) + "/" + strconv.FormatInt(from, 10)
}

// note returns the record of a note, a tombstone without a value.
func (l *leg) note(key string, value any) log.Record {
	r := log.Record{Topic: l.notesTopic, Key: []byte(key), Timestamp: time.UnixMilli(time.Now().UnixMilli())}
	if value != nil {
		r.Value, _ = json.Marshal(value) // of our own types, which have it
	}
	return r
}

// rangesNote returns the record of a block.
func (l *leg) rangesNote(tp log.TopicPartition, b *block) log.Record {
	raw := make([][3]int64, len(b.runs))
	for i, r := range b.runs {
		raw[i] = [3]int64{r.from, r.to, r.n}
	}
	return l.note(rangesKey(tp, b.from), raw)
}
