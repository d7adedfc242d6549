// Package protobuf is a typed.Codec of Protocol Buffers messages.
package protobuf

import (
	"reflect"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/typed"
	"google.golang.org/protobuf/proto"
)

// Codec returns the codec of a message type, such as *orderpb.Order: its bytes alone, without the frame of a schema
// registry. The bytes of a map's entries come in any order. A nil message is a record without a value.
func Codec[M proto.Message]() typed.Codec[M] {
	c := codec[M]{}
	if t := reflect.TypeFor[M](); t.Kind() == reflect.Pointer {
		c.of = t.Elem()
	}
	return c
}

type codec[M proto.Message] struct {
	of reflect.Type // M points to it; nil where M is no pointer
}

func (codec[M]) Append(dst []byte, m M) ([]byte, error) {
	if !m.ProtoReflect().IsValid() {
		return nil, nil
	}
	return proto.MarshalOptions{}.MarshalAppend(dst, m)
}

func (c codec[M]) Decode(r samsa.Record) (M, error) { return c.DecodeBytes(r.Value) }

// DecodeBytes implements typed.OfBytes.
func (c codec[M]) DecodeBytes(b []byte) (m M, err error) {
	var none M
	if c.of != nil {
		m = reflect.New(c.of).Interface().(M)
	} else {
		m = none.ProtoReflect().New().Interface().(M)
	}
	if err := (proto.UnmarshalOptions{Merge: true}).Unmarshal(b, m); err != nil { // it is empty: there is nothing to reset
		return none, err
	}
	return m, nil
}
