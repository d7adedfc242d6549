// Package schema turns records that were written with a schema of a registry into JSON, and JSON into such records.
//
// A record has the wire format of Confluent's serializers: a byte 0, the id of its schema in four bytes, with Protobuf the place of the
// message in its file, and the data. Schemas are Avro, Protobuf or JSON Schema, and may refer to others.
package schema

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/sr"

	"github.com/samsa-go/samsa/internal/api"
)

// Limits of what a registry may say.
const (
	maxAnswer     = 4 << 20 // bytes of an answer
	maxText       = 4 << 20 // bytes of a schema and all that it refers to
	maxReferences = 1000    // schemas that one is made of
	maxKnown      = 10_000  // schemas that are remembered
	patience      = 10 * time.Second
	missFor       = time.Minute // a schema that is not there, or is wrong, is asked for again after so long
)

// Errors of this package are of five kinds. What is none of them is an answer of the registry that makes no sense.
var (
	// ErrRecord: the bytes, or the schema that they name, make no sense. Other records may do.
	ErrRecord = errors.New("not decoded")
	// ErrPlain is the ErrRecord of bytes that name no schema: they were not written with one.
	ErrPlain = fmt.Errorf("%w: it does not begin with a byte 0 and the id of a schema", ErrRecord)
	// ErrText: the text is no JSON, or not what the schema wants.
	ErrText = errors.New("not encoded")
	// ErrSchema: the schema makes no sense, or not with what it refers to.
	ErrSchema = errors.New("wrong schema")
	// ErrNotFound: the registry does not have the schema or the subject.
	ErrNotFound = errors.New("not in the registry")
	// ErrUnavailable: the registry cannot be reached, or cannot answer now.
	ErrUnavailable = errors.New("the registry does not answer")
)

// Registry decodes and encodes with the schemas of a registry, which it remembers. Its methods may be called at the same time.
type Registry struct {
	client *sr.Client
	close  func()
	name   string // its URL without a password
	now    func() time.Time

	mu    sync.Mutex // guards known
	known map[int]known
}

// known is a schema by its id, or why there is none.
type known struct {
	format format
	kind   string // Avro, Protobuf or JSON Schema
	err    error
	until  time.Time // of an error
}

// format is a schema that was read.
type format interface {
	// decode returns the JSON of what stands behind the id of the schema.
	decode(b []byte) ([]byte, error)
	// encoder returns what turns JSON into what stands behind the id of the schema. With Protobuf message names the message, or is "" for the
	// first one; else it must be "".
	encoder(message string) (func(text []byte) ([]byte, error), error)
}

// New returns the registry at a URL of http or https. A user and a password may stand in it. Nothing is asked yet.
func New(address string) (*Registry, error) {
	u, err := url.Parse(address)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		if strings.Contains(address, "@") { // before which a password may stand
			return nil, errors.New("that is no URL of a registry, want http://HOST:PORT; in a password a space is %20, # is %23")
		}
		return nil, fmt.Errorf("%q is no URL of a registry, want http://HOST:PORT", address)
	}
	user := u.User
	u.User = nil
	transport := http.DefaultTransport.(*http.Transport).Clone()
	var opts []sr.ClientOpt
	if user != nil {
		password, _ := user.Password()
		opts = append(opts, sr.BasicAuth(user.Username(), password))
	}
	return open(u.String(), transport, transport.CloseIdleConnections, opts...)
}

// Of returns the registry that is h, in this process.
func Of(h http.Handler) (*Registry, error) {
	return open("http://localhost", api.Into(h), func() {})
}

func open(name string, transport http.RoundTripper, close func(), opts ...sr.ClientOpt) (r *Registry, err error) {
	r = &Registry{close: close, name: name, now: time.Now, known: make(map[int]known)}
	r.client, err = sr.NewClient(append(opts, sr.URLs(name), sr.UserAgent("samsa"),
		sr.HTTPClient(&http.Client{Timeout: patience, Transport: limited{transport}}))...)
	return r, err
}

// Close closes the connections to the registry.
func (r *Registry) Close() { r.close() }

// limited bounds answers.
type limited struct{ http.RoundTripper }

// RoundTrip carries out a request. An answer that is too long fails when it is read.
func (l limited) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := l.RoundTripper.RoundTrip(req)
	if err == nil {
		resp.Body = &limitedBody{resp.Body, maxAnswer}
	}
	return resp, err
}

type limitedBody struct {
	io.ReadCloser
	left int
}

// Read reads, until there was too much.
func (b *limitedBody) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, fmt.Errorf("the answer is longer than %d bytes", maxAnswer)
	}
	n, err := b.ReadCloser.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}

// Decode returns what b holds as one line of JSON. An ErrRecord is about b alone, every other error about the registry.
func (r *Registry) Decode(ctx context.Context, b []byte) (text []byte, err error) {
	text, _, err = r.DecodeBy(ctx, b)
	return text, err
}

// DecodeBy is Decode, and says by what: "Avro, schema 7".
func (r *Registry) DecodeBy(ctx context.Context, b []byte) (text []byte, by string, err error) {
	var header sr.ConfluentHeader
	id, rest, err := header.DecodeID(b)
	if err != nil {
		return nil, "", ErrPlain
	}
	k, err := r.byID(ctx, id)
	if errors.Is(err, ErrNotFound) || errors.Is(err, ErrSchema) {
		return nil, "", fmt.Errorf("%w: %w", ErrRecord, err)
	}
	if err == nil {
		err = guard(func() (err error) { text, err = k.format.decode(rest); return err })
		if err != nil {
			err = fmt.Errorf("%w by schema %d: %w", ErrRecord, id, err)
		}
	}
	return text, fmt.Sprintf("%s, schema %d", k.kind, id), err
}

// ID returns the id of the schema that has made a record, 0 for none.
func ID(b []byte) int {
	var header sr.ConfluentHeader
	id, _, err := header.DecodeID(b)
	if err != nil {
		return 0
	}
	return id
}

// Target says how to encode: by the schema of an id, or by the newest one of a subject.
type Target struct {
	ID      int
	Subject string // "" for ID
	Message string // with Protobuf, the message: its name, with or without the package; "" for the first one
}

// Encoder encodes by one schema.
type Encoder struct {
	id     int
	encode func([]byte) ([]byte, error)
}

// Encoder returns what encodes by a schema. It fails with ErrNotFound when that is not there.
func (r *Registry) Encoder(ctx context.Context, t Target) (*Encoder, error) {
	e := &Encoder{id: t.ID}
	var f format
	var err error
	if t.Subject == "" {
		var k known
		k, err = r.byID(ctx, t.ID)
		f = k.format
	} else {
		var s sr.SubjectSchema
		if s, err = r.client.SchemaByVersion(ctx, t.Subject, -1); err != nil {
			return nil, r.failed(fmt.Sprintf("subject %q", t.Subject), err)
		}
		e.id = s.ID
		f, err = r.read(ctx, s.Schema)
	}
	if err == nil {
		err = guard(func() (err error) { e.encode, err = f.encoder(t.Message); return err })
	}
	if err != nil {
		return nil, err
	}
	return e, nil
}

// Encode returns the record for a text, which must be one value of JSON. Its errors are ErrText.
func (e *Encoder) Encode(text []byte) ([]byte, error) {
	var header sr.ConfluentHeader
	b, err := header.AppendEncode(nil, e.id, nil)
	var data []byte
	if err == nil {
		err = guard(func() (err error) { data, err = e.encode(text); return err })
	}
	if err != nil {
		return nil, fmt.Errorf("%w by schema %d: %w", ErrText, e.id, err)
	}
	return append(b, data...), nil
}

// guard calls f, and makes an error of a panic: what others wrote is read by code that is not ours.
func guard(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return f()
}

// byID returns the schema of an id. That there is none, or that it is wrong, is remembered for a while too.
func (r *Registry) byID(ctx context.Context, id int) (known, error) {
	r.mu.Lock()
	k, ok := r.known[id]
	r.mu.Unlock()
	if ok && (k.err == nil || r.now().Before(k.until)) {
		return k, k.err
	}
	if id > math.MaxInt32 { // no registry has it, and Confluent's answers as if it knew no ids
		return known{}, fmt.Errorf("schema %d: %w at %s", id, ErrNotFound, r.name)
	}
	s, err := r.client.SchemaByID(ctx, id)
	if err != nil {
		k = known{err: r.failed(fmt.Sprintf("schema %d", id), err)}
	} else {
		k.kind = kinds[s.Type]
		k.format, k.err = r.read(ctx, s)
		if k.err != nil {
			k.err = fmt.Errorf("schema %d: %w", id, k.err)
		}
	}
	if k.err != nil && !errors.Is(k.err, ErrNotFound) && !errors.Is(k.err, ErrSchema) {
		return k, k.err
	}
	k.until = r.now().Add(missFor)
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.known) >= maxKnown {
		clear(r.known)
	}
	r.known[id] = k
	return k, k.err
}

// kinds are the types of schemas, in words.
var kinds = map[sr.SchemaType]string{sr.TypeAvro: "Avro", sr.TypeProtobuf: "Protobuf", sr.TypeJSON: "JSON Schema"}

// failed says why the registry did not give what it was asked for.
func (r *Registry) failed(what string, err error) error {
	var answer *sr.ResponseError
	var transport *url.Error
	switch {
	case errors.As(err, &answer):
		// A registry says by its own code what it does not have; another server says 404 alone.
		if answer.StatusCode == http.StatusNotFound && answer.ErrorCode/100 == http.StatusNotFound {
			return fmt.Errorf("%s: %w at %s", what, ErrNotFound, r.name)
		}
		said := answer.Message
		if said == "" {
			said = http.StatusText(answer.StatusCode)
		}
		err = fmt.Errorf("the registry at %s answers %d: %.200q", r.name, answer.StatusCode, said)
		if answer.StatusCode >= 500 || answer.StatusCode == http.StatusTooManyRequests {
			err = fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
	case errors.As(err, &transport):
		err = fmt.Errorf("%w at %s: %w", ErrUnavailable, r.name, transport.Err)
	default:
		err = fmt.Errorf("the registry at %s: %w", r.name, err)
	}
	return fmt.Errorf("%s: %w", what, err)
}

// part is a schema that another one refers to, by this name.
type part struct{ name, text string }

// read fetches what a schema refers to, and reads it. That it is wrong is an ErrSchema.
func (r *Registry) read(ctx context.Context, s sr.Schema) (f format, err error) {
	var c collector
	if err := r.collect(ctx, &c, s); err != nil {
		return nil, err
	}
	err = guard(func() (err error) {
		switch s.Type {
		case sr.TypeAvro:
			f, err = readAvro(s.Schema, c.parts)
		case sr.TypeProtobuf:
			f, err = readProtobuf(ctx, s.Schema, c.parts)
		case sr.TypeJSON:
			f, err = readJSONSchema(s.Schema, c.parts)
		default:
			err = fmt.Errorf("its type %v is not known", s.Type)
		}
		return err
	})
	if err != nil && ctx.Err() == nil {
		err = fmt.Errorf("%w of type %v: %w", ErrSchema, s.Type, err)
	}
	return f, err
}

// collector has what a schema is made of, each behind what it refers to.
type collector struct {
	parts []part
	bytes int // of the parts
	seen  map[sr.SchemaReference]bool
}

func (r *Registry) collect(ctx context.Context, c *collector, s sr.Schema) error {
	for _, ref := range s.References {
		if c.seen[ref] {
			continue
		}
		if c.seen == nil {
			c.seen = make(map[sr.SchemaReference]bool)
		}
		if c.seen[ref] = true; len(c.seen) > maxReferences {
			return fmt.Errorf("%w: it refers to more than %d others", ErrSchema, maxReferences)
		}
		what := fmt.Sprintf("subject %q, version %d", ref.Subject, ref.Version)
		got, err := r.client.SchemaByVersion(ctx, ref.Subject, ref.Version)
		if err != nil {
			return r.failed(what, err)
		}
		if err := r.collect(ctx, c, got.Schema); err != nil {
			return err
		}
		c.parts = append(c.parts, part{ref.Name, got.Schema.Schema})
		if c.bytes += len(got.Schema.Schema); c.bytes > maxText {
			return fmt.Errorf("%w: what it refers to is longer than %d bytes", ErrSchema, maxText)
		}
	}
	return nil
}
