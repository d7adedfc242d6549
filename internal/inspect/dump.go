package inspect

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"path"
	"time"

	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/internal/users"
	"github.com/samsa-go/samsa/log"
)

// FrameOptions says which frames of a directory are wanted, and how much of them. The zero value is all, without records.
type FrameOptions struct {
	// File is the name of a value file, with or without "values/"; "" means all.
	File string
	// From and To bound the commits, both inclusive; 0 is no bound.
	From, To uint64
	// Topic and Partition have operations left out that concern others, and frames in which none is left. Partition counts
	// with a topic only; nil means all.
	Topic     string
	Partition *int32
	// Batches has batches decoded, and Records their records too.
	Batches, Records bool
}

// Frame is one commit, for people and bug reports.
type Frame struct {
	File   string    `json:"file"`
	Offset int64     `json:"offset"`
	Length int       `json:"length"`
	Commit uint64    `json:"commit"`
	Time   time.Time `json:"time"`
	Synced uint64    `json:"synced"` // commits up to it were durable
	Before string    `json:"before"` // hash of the frame before it, or the seed of the file, in hex
	Hash   string    `json:"hash"`
	Ops    []Op      `json:"ops"`
}

// Op is one operation of a frame.
type Op struct {
	Kind  string `json:"kind"` // set, large, delete, begin, end
	Key   *Key   `json:"key,omitempty"`
	Size  int    `json:"size,omitempty"`  // of the value
	At    int64  `json:"at,omitempty"`    // where in the file a large value is
	Value []byte `json:"value,omitempty"` // a small one, but not of a batch
	// Hidden is that the value is left out, as passwords are checked by it, which is nothing for a bug report.
	Hidden bool   `json:"hidden,omitempty"`
	Batch  *Batch `json:"batch,omitempty"`
	Wrong  string `json:"wrong,omitempty"` // what is damaged
}

// Batch is the header of a batch, and its records if they were asked for.
type Batch struct {
	BaseOffset    int64     `json:"baseOffset"`
	LastOffset    int64     `json:"lastOffset"`
	Bytes         int       `json:"bytes"`
	Count         int       `json:"count"`
	Codec         string    `json:"codec"`
	BaseTimestamp time.Time `json:"baseTimestamp"`
	MaxTimestamp  time.Time `json:"maxTimestamp"`
	AppendTime    bool      `json:"logAppendTime,omitempty"`
	Transactional bool      `json:"transactional,omitempty"`
	Control       bool      `json:"control,omitempty"`
	ProducerID    int64     `json:"producerId"`
	ProducerEpoch int16     `json:"producerEpoch"`
	BaseSequence  int32     `json:"baseSequence"`
	Records       []Record  `json:"records,omitempty"`
}

// Record is a record of a batch.
type Record struct {
	Offset    int64        `json:"offset"`
	Timestamp time.Time    `json:"timestamp"`
	Key       []byte       `json:"key"`
	Value     []byte       `json:"value"`
	Headers   []log.Header `json:"headers,omitempty"`
}

// ErrFlaw is yielded by Frames where something is damaged; what comes behind it follows.
type ErrFlaw struct{ Finding Finding }

func (e *ErrFlaw) Error() string { return e.Finding.String() }
func (e *ErrFlaw) Unwrap() error { return e.Finding.Err }

// Frames yields the frames of the value files of dir that are wanted, in the order of the commits, also beside an owner that
// goes on writing. A topic that nobody has heard of is ErrUnknownTopic. Where something is damaged it yields an *ErrFlaw and goes on; any other error ends it. Topics
// are known by name from the operations that have come, and those that are stored.
func Frames(ctx context.Context, dir string, o FrameOptions) iter.Seq2[Frame, error] {
	return func(yield func(Frame, error) bool) {
		d := dumper{o: o, names: names{}, yield: yield}
		err := d.run(ctx, dir)
		if err != nil && !errors.Is(err, errEnough) {
			yield(Frame{}, fmt.Errorf("dump %s: %w", dir, err))
		}
	}
}

type dumper struct {
	o     FrameOptions
	names names
	yield func(Frame, error) bool
	buf   []byte
	found bool // something that is wanted
}

func (d *dumper) run(ctx context.Context, dir string) error {
	live := false
	lock, err := store.LockShared(dir)
	switch {
	case errors.Is(err, store.ErrLocked):
		live = true
	case err != nil:
		return err
	default:
		defer func() { _ = lock.Close() }() // nothing was written
	}
	if err := d.learn(ctx, dir, live); err != nil {
		return err
	}
	v := Verification{names: d.names}
	flaw := func(f store.Flaw) error {
		if f.File != "FORMAT" && !d.wantsFile(f.File) || f.Kind == store.FlawNote {
			return nil
		}
		if found := v.finding(f); !d.yield(Frame{}, &ErrFlaw{found}) {
			return errEnough
		}
		return nil
	}
	if err := store.InspectFormat(dir, flaw); err != nil {
		return err
	}
	_, err = store.Walk(ctx, dir, store.WalkOptions{Live: live, Frame: d.frame, Flaw: flaw})
	if err == nil && d.o.Topic != "" && !d.found && !d.names.has(d.o.Topic) {
		return fmt.Errorf("%w %s", log.ErrUnknownTopic, d.o.Topic)
	}
	return err
}

// learn finds the names of topics: from the index where that can be opened. The entry of each that is there is in a value
// file too, and is looked for when one is wanted.
func (d *dumper) learn(ctx context.Context, dir string, live bool) error {
	if !live {
		if o, err := open(dir); err == nil {
			for _, t := range o.parts.Catalogue.List() {
				d.names[t.Partitions()[0].ID().Topic] = t.Name()
			}
			return o.close()
		}
	}
	if d.o.Topic == "" {
		return nil
	}
	_, err := store.Walk(ctx, dir, store.WalkOptions{Live: live, Frame: func(f *store.Frame) error {
		return f.Each(func(o store.FrameOp) error {
			d.names.learn(o.Key, o.Value)
			return nil
		})
	}})
	return err
}

func (d *dumper) wantsFile(name string) bool {
	return d.o.File == "" || d.o.File == name || d.o.File == path.Base(name)
}

func (d *dumper) frame(f *store.Frame) error {
	if !d.wantsFile(f.File) || f.Commit < d.o.From {
		return nil
	}
	if d.o.To > 0 && f.Commit > d.o.To {
		return errEnough
	}
	out := Frame{
		File: f.File, Offset: f.Offset, Length: f.Length, Commit: f.Commit, Time: f.Time.UTC(), Synced: f.Synced,
		Before: fmt.Sprintf("%016x", f.Before), Hash: fmt.Sprintf("%016x", f.Hash),
	}
	err := f.Each(func(o store.FrameOp) error {
		d.names.learn(o.Key, o.Value)
		if op, wanted := d.op(o); wanted {
			out.Ops = append(out.Ops, op)
		}
		return nil
	})
	if err != nil || len(out.Ops) == 0 && d.o.Topic != "" {
		return err
	}
	d.found = true
	if !d.yield(out, nil) {
		return errEnough
	}
	return nil
}

// op makes an operation readable, if it is wanted.
func (d *dumper) op(o store.FrameOp) (op Op, wanted bool) {
	op = Op{Kind: o.Kind.String(), Size: len(o.Value), At: o.Offset}
	if o.Key == nil {
		if o.Kind == store.OpBegin {
			op.Value = append([]byte(nil), o.Value...)
		}
		return op, d.o.Topic == ""
	}
	k := d.names.key(o.Key)
	op.Key = &k
	if d.o.Topic != "" && (k.Topic != d.o.Topic || d.o.Partition != nil && (k.Partition == nil || *k.Partition != *d.o.Partition)) {
		return op, false
	}
	switch {
	case o.Bad:
		op.Wrong = "the CRC of the value"
	case o.Kind == store.OpDelete:
	case k.Kind == "batch":
		if d.o.Batches || d.o.Records {
			op.Batch, op.Wrong = d.batch(o)
		}
	case users.Secret(o.Key):
		op.Hidden = true
	case o.Kind == store.OpSet:
		op.Value = append([]byte(nil), o.Value...)
	}
	return op, true
}

func (d *dumper) batch(o store.FrameOp) (*Batch, string) {
	b, err := log.ParseBatch(o.Value)
	if err != nil {
		return nil, err.Error()
	}
	out := &Batch{
		BaseOffset: b.BaseOffset(), LastOffset: b.LastOffset(), Bytes: len(b), Count: b.Records(), Codec: b.Codec().String(),
		BaseTimestamp: time.UnixMilli(b.BaseTimestamp()).UTC(), MaxTimestamp: time.UnixMilli(b.MaxTimestamp()).UTC(), AppendTime: b.LogAppendTime(),
		Transactional: b.Transactional(), Control: b.Control(), ProducerID: b.ProducerID(), ProducerEpoch: b.ProducerEpoch(), BaseSequence: b.BaseSequence(),
	}
	if !d.o.Records {
		return out, ""
	}
	if d.buf, err = b.AppendRecords(d.buf[:0]); err != nil {
		return out, err.Error()
	}
	r := log.NewRecordReader(b, append([]byte(nil), d.buf...)) // the records are the caller's
	for {
		var rec log.Record
		more, err := r.Next(&rec)
		if err != nil {
			return out, err.Error()
		}
		if !more {
			return out, ""
		}
		out.Records = append(out.Records, Record{Offset: rec.Offset, Timestamp: rec.Timestamp.UTC(), Key: rec.Key, Value: rec.Value, Headers: rec.Headers})
	}
}

// WriteText writes the frame as lines for people.
func (f Frame) WriteText(w io.Writer) error {
	_, err := fmt.Fprintf(w, "commit %d  %s offset %d, %d bytes  %s  synced %d  before %s hash %s\n",
		f.Commit, f.File, f.Offset, f.Length, f.Time.Format("2006-01-02T15:04:05.000Z07:00"), f.Synced, f.Before, f.Hash)
	for _, o := range f.Ops {
		if err == nil {
			err = o.writeText(w)
		}
	}
	return err
}

func (o Op) writeText(w io.Writer) error {
	text := "  " + o.Kind
	if o.Key != nil {
		text += " " + o.Key.String()
	}
	if o.Size > 0 {
		text += fmt.Sprintf(", %d bytes", o.Size)
	}
	if o.At > 0 {
		text += fmt.Sprintf(" at %d", o.At)
	}
	if o.Value != nil {
		text += fmt.Sprintf(": %q", o.Value)
	}
	if o.Hidden {
		text += ", which passwords are checked by: not shown"
	}
	if o.Wrong != "" {
		text += "  WRONG: " + o.Wrong
	}
	if _, err := fmt.Fprintln(w, text); err != nil || o.Batch == nil {
		return err
	}
	b := o.Batch
	_, err := fmt.Fprintf(w, "    offsets %d to %d, %d records, %s, %s to %s, producer %d epoch %d sequence %d%s%s%s\n",
		b.BaseOffset, b.LastOffset, b.Count, b.Codec, b.BaseTimestamp.Format(time.RFC3339Nano), b.MaxTimestamp.Format(time.RFC3339Nano),
		b.ProducerID, b.ProducerEpoch, b.BaseSequence, said(b.AppendTime, "log append time"), said(b.Transactional, "transactional"), said(b.Control, "control"))
	for _, r := range b.Records {
		if err == nil {
			_, err = fmt.Fprintf(w, "      %d %s key %s value %s%s\n", r.Offset, r.Timestamp.Format(time.RFC3339Nano), quoted(r.Key), quoted(r.Value), headers(r.Headers))
		}
	}
	return err
}

func said(is bool, what string) string {
	if is {
		return ", " + what
	}
	return ""
}

func quoted(b []byte) string {
	if b == nil {
		return "null"
	}
	return fmt.Sprintf("%q", b)
}

func headers(all []log.Header) (text string) {
	for _, h := range all {
		text += fmt.Sprintf(" header %q %s", h.Key, quoted(h.Value))
	}
	return text
}
