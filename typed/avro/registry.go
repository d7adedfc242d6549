package avro

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net/http"
	"sync"
	"time"

	"github.com/twmb/avro"
	"github.com/twmb/franz-go/pkg/sr"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/typed"
)

// ErrRegistry is the error of Decode for a registry that could not be asked. The record may be right: read it again later.
var ErrRegistry = errors.New("the schema registry does not answer")

const (
	patience = 10 * time.Second // for an answer of a registry
	maxKnown = 10_000           // schemas that are remembered
	header   = 5                // bytes: 0, and the id of the schema, big endian
)

// Registered returns the codec of T by a schema that it registers for a subject, for the values of topic t mostly t-value. The bytes are those of Confluent's
// serializers: 0, the id of the schema in 4 bytes, and the data. What was written with other schemas, of whatever subject, is decoded as the
// schema here reads it, with defaults and promotions; each is asked for once. refs are those of the schema.
//
// It fails when the registry does not take the schema, as one that is not compatible. c has to be there as long as the codec is used.
func Registered[T any](ctx context.Context, c *sr.Client, subject string, schema string, refs ...sr.SchemaReference) (typed.Codec[T], error) {
	s := sr.Schema{Schema: schema, References: refs}
	parsed, err := parse(ctx, c, s)
	if err != nil {
		return nil, err
	}
	is, err := c.CreateSchema(ctx, subject, s)
	if err != nil {
		return nil, fmt.Errorf("register a schema for %s: %w", subject, err)
	}
	return &framed[T]{client: c, id: is.ID, schema: parsed, known: map[int]*avro.Schema{is.ID: parsed}}, nil
}

type framed[T any] struct {
	client *sr.Client
	id     int
	schema *avro.Schema

	mu    sync.RWMutex
	known map[int]*avro.Schema // by their ids, resolved to what schema reads
}

func (f *framed[T]) Append(dst []byte, v T) ([]byte, error) {
	if isNil(v) {
		return nil, nil
	}
	dst = binary.BigEndian.AppendUint32(append(dst, 0), uint32(f.id))
	return f.schema.AppendEncode(dst, v)
}

func (f *framed[T]) Decode(r samsa.Record) (v T, err error) {
	if len(r.Value) < header || r.Value[0] != 0 {
		return v, errors.New("it does not begin with a byte 0 and the id of a schema")
	}
	id := binary.BigEndian.Uint32(r.Value[1:])
	if id > math.MaxInt32 {
		return v, fmt.Errorf("no schema has the id %d", id)
	}
	schema, err := f.by(int(id))
	if err == nil {
		v, err = decode[T](schema, r.Value[header:])
	}
	if err != nil {
		return v, fmt.Errorf("by schema %d: %w", id, err)
	}
	return v, nil
}

// by returns the schema that decodes what one was written with.
func (f *framed[T]) by(id int) (*avro.Schema, error) {
	f.mu.RLock()
	is := f.known[id]
	f.mu.RUnlock()
	if is != nil {
		return is, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	s, err := f.client.SchemaByID(ctx, id)
	if err != nil {
		return nil, asked(err)
	}
	written, err := parse(ctx, f.client, s)
	if err != nil {
		return nil, err
	}
	if is, err = avro.Resolve(written, f.schema); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.known) >= maxKnown {
		clear(f.known)
		f.known[f.id] = f.schema
	}
	f.known[id] = is
	return is, nil
}

// asked tells what a registry has said from that it has said nothing.
func asked(err error) error {
	var answer *sr.ResponseError
	if errors.As(err, &answer) && answer.StatusCode == http.StatusNotFound && answer.ErrorCode/100 == http.StatusNotFound {
		return err
	}
	return fmt.Errorf("%w: %w", ErrRegistry, err)
}

// maxReferences bounds the schemas that one is made of.
const maxReferences = 1000

// parse reads a schema with all that it refers to.
func parse(ctx context.Context, c *sr.Client, s sr.Schema) (*avro.Schema, error) {
	if s.Type != sr.TypeAvro {
		return nil, fmt.Errorf("a schema of type %s, and not of Avro", s.Type)
	}
	var cache avro.SchemaCache
	done := make(map[sr.SchemaReference]bool)
	var each func(refs []sr.SchemaReference) error
	each = func(refs []sr.SchemaReference) error {
		for _, r := range refs {
			r.Name = "" // by which Avro does not refer
			if done[r] {
				continue
			}
			done[r] = true
			if len(done) > maxReferences {
				return fmt.Errorf("a schema of more than %d others", maxReferences)
			}
			used, err := c.SchemaByVersion(ctx, r.Subject, r.Version)
			if err != nil {
				return asked(err)
			}
			if err := each(used.References); err != nil {
				return err
			}
			if _, err := cache.Parse(used.Schema.Schema); err != nil {
				return fmt.Errorf("schema %s, version %d: %w", r.Subject, r.Version, err)
			}
		}
		return nil
	}
	if err := each(s.References); err != nil {
		return nil, err
	}
	return cache.Parse(s.Schema)
}
