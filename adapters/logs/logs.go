// Package logs appends log lines to a topic: a slog.Handler, and an io.Writer for everything else that writes lines.
//
//	p, err := b.NewProducer(ctx, samsa.ProducerOptions{Linger: 100 * time.Millisecond})
//	logger := slog.New(logs.NewHandler(p, logs.Options{Topic: "app_log"}))
//
// Records are stored in the background, in batches. What was logged is there once the producer was flushed or
// closed. A line waits for nothing but room in the producer's buffer. The log of the broker itself goes elsewhere: it is written where the
// broker takes no records.
package logs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/samsa-go/samsa"
)

// Options says where lines go.
type Options struct {
	Topic string // has to be there
	Key   []byte // of each record: lines with the same one keep their order; nil for none
	// Failed is called with a record that could not be stored, and why; nil drops it. It must not log to the same
	// handler.
	Failed func(r samsa.Record, err error)
	// Slog is how a Handler makes a line: which level is enabled, whether the source is there, what becomes of attributes.
	Slog slog.HandlerOptions
}

// out is where lines become records.
type out struct {
	p    *samsa.Producer
	opts Options
}

// LevelHeader is the key of the header that has the level of a line, as slog writes it: INFO.
const LevelHeader = "level"

func (o *out) append(ctx context.Context, line []byte, at time.Time, headers ...samsa.Header) {
	r := samsa.Record{Topic: o.opts.Topic, Key: o.opts.Key, Value: line, Timestamp: at, Headers: headers}
	o.p.Produce(ctx, r, func(r samsa.Record, err error) {
		if err != nil && o.opts.Failed != nil {
			o.opts.Failed(r, err)
		}
	})
}

// Handler is a slog.Handler whose lines, JSON as slog.JSONHandler makes it, become records: each with the time of its
// line, and its level in a header. Where p's buffer is full a line waits for room, until its context ends.
type Handler struct {
	out  *out
	line *line // shared by all that With has made
	json slog.Handler
}

// line takes a line out of a slog.JSONHandler. Each Handle of that makes a single call of Write, on the same goroutine and when the line is
// made. So mu is held from there until the line is taken, and not while it is made: what it is made of may log, or panic.
type line struct {
	mu   sync.Mutex
	text []byte
}

func (l *line) Write(text []byte) (int, error) {
	l.mu.Lock()
	l.text = bytes.Clone(text)
	return len(text), nil
}

// take returns the line that the goroutine has just made.
func (l *line) take() []byte {
	defer l.mu.Unlock()
	return bytes.TrimSuffix(l.text, []byte("\n"))
}

// NewHandler returns a handler. p is not closed by it.
func NewHandler(p *samsa.Producer, opts Options) *Handler {
	l := new(line)
	return &Handler{&out{p, opts}, l, slog.NewJSONHandler(l, &opts.Slog)}
}

// Enabled is slog.Handler's.
func (h *Handler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.json.Enabled(ctx, level)
}

// Handle is slog.Handler's. Whether the record is stored Options.Failed is told.
func (h *Handler) Handle(ctx context.Context, r slog.Record) error {
	if err := h.json.Handle(ctx, r); err != nil {
		return fmt.Errorf("logs: %w", err)
	}
	text := h.line.take()
	h.out.append(ctx, text, r.Time, samsa.Header{Key: LevelHeader, Value: []byte(r.Level.String())})
	return nil
}

// WithAttrs is slog.Handler's.
func (h *Handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &Handler{h.out, h.line, h.json.WithAttrs(attrs)}
}

// WithGroup is slog.Handler's.
func (h *Handler) WithGroup(name string) slog.Handler {
	return &Handler{h.out, h.line, h.json.WithGroup(name)}
}

// MaxLine is how many bytes without a newline a Writer gathers: a longer line becomes several records.
const MaxLine = 256 << 10

// Writer is an io.Writer that makes a record of each line that is written, without its newline: for package log, for the output
// of another process, for what zap and others write to. It may be used by many goroutines at once.
type Writer struct {
	out *out

	mu     sync.Mutex
	rest   []byte // of a line whose end is not there yet
	closed bool
}

// NewWriter returns a writer. p is not closed by it. Options.Slog says nothing to it.
func NewWriter(p *samsa.Producer, opts Options) *Writer { return &Writer{out: &out{p, opts}} }

var errClosed = errors.New("logs: the writer is closed")

// Write makes records of all lines that are complete, and keeps the rest. It waits while p's buffer is full. After Close it is an error;
// whether records are stored Options.Failed is told.
func (w *Writer) Write(text []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return 0, errClosed
	}
	for rest := text; len(rest) > 0; {
		part, more, complete := bytes.Cut(rest, []byte("\n"))
		if room := MaxLine - len(w.rest); len(part) > room {
			part, more, complete = rest[:room], rest[room:], true
		}
		w.rest = append(w.rest, part...)
		if complete {
			w.flush()
		}
		rest = more
	}
	return len(text), nil
}

// flush makes a record of the line. The producer copies its bytes, but who is told of a record that was not stored has those that were given.
func (w *Writer) flush() {
	text := w.rest
	if w.out.opts.Failed != nil {
		text = bytes.Clone(text)
	}
	w.out.append(context.Background(), text, time.Now())
	w.rest = w.rest[:0]
}

// Close makes a record of what has no newline. It may be called more than once.
func (w *Writer) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.closed && len(w.rest) > 0 {
		w.flush()
	}
	w.closed = true
	return nil
}
