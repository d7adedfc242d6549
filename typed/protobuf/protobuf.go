// Package protobuf is a typed.Codec of Protocol Buffers messages.
package protobuf

import (
	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/typed"
	"google.golang.org/protobuf/proto"
)

// Codec returns the codec of a message type, such as *orderpb.Order: its bytes alone, without the frame of a schema
// registry. The bytes of a map's entries come in any order. A nil message is a record without a value.
func Codec[M proto.Message]() typed.Codec[M] { return codec[M]{} }

type codec[M proto.Message] struct{}

func (codec[M]) Append(dst []byte, m M) ([]byte, error) {
	if !m.ProtoReflect().IsValid() {
		return nil, nil
	}
	return proto.MarshalOptions{}.MarshalAppend(dst, m)
}

func (codec[M]) Decode(r samsa.Record) (M, error) {
	var none M
	m := none.ProtoReflect().New().Interface().(M)
	if err := proto.Unmarshal(r.Value, m); err != nil {
		return none, err
	}
	return m, nil
}
