// Package avro is a typed.Codec of Avro, by github.com/twmb/avro: with the data alone, or in the frame that clients of a schema registry use.
// It is a module of its own.
//
// Fields of a Go struct are those of a schema by their tags, `avro:"name"`, or their names: see the documentation of github.com/twmb/avro.
package avro

import (
	"fmt"
	"reflect"

	"github.com/twmb/avro"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/typed"
)

// Codec returns the codec of T by a schema: the bytes are the data alone, and all have been written with that schema. T is what the schema
// describes, or a pointer to it, of which nil is a record without a value.
func Codec[T any](schema *avro.Schema) typed.Codec[T] { return codec[T]{schema} }

type codec[T any] struct{ schema *avro.Schema }

func (c codec[T]) Append(dst []byte, v T) ([]byte, error) {
	if isNil(v) {
		return nil, nil
	}
	return c.schema.AppendEncode(dst, v)
}

func (c codec[T]) Decode(r samsa.Record) (T, error) { return c.DecodeBytes(r.Value) }

// DecodeBytes implements typed.OfBytes.
func (c codec[T]) DecodeBytes(b []byte) (T, error) { return decode[T](c.schema, b) }

// isNil tells whether v is a pointer to nothing.
func isNil[T any](v T) bool {
	p := reflect.ValueOf(&v).Elem()
	return p.Kind() == reflect.Pointer && p.IsNil()
}

// decode decodes all of b.
func decode[T any](schema *avro.Schema, b []byte) (T, error) {
	var v, none T
	rest, err := schema.Decode(b, &v)
	if err != nil {
		return none, err
	}
	if len(rest) > 0 {
		return none, fmt.Errorf("%d bytes follow the data", len(rest))
	}
	return v, nil
}
