package browsertest

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/console"
)

// booking is a value as a producer with a schema registry writes it: a byte 0, the id of the schema, and in Avro a long
// and a string.
func booking(id int64, guest string) []byte {
	b := binary.BigEndian.AppendUint32([]byte{0}, 7)
	b = binary.AppendVarint(b, id)
	return append(binary.AppendVarint(b, int64(len(guest))), guest...)
}

// avro decodes bookings. The command has a decoder for any schema, which this module does not have.
type avro struct{}

// Decode implements console.Decoder.
func (avro) Decode(_ context.Context, r samsa.Record) (key, value console.Decoded, err error) {
	if len(r.Value) < 5 || r.Value[0] != 0 {
		return key, value, nil
	}
	if id := binary.BigEndian.Uint32(r.Value[1:]); id != 7 {
		value.Err = fmt.Errorf("schema %d is not in the registry", id)
		return key, value, nil
	}
	id, n := binary.Varint(r.Value[5:])
	if n <= 0 {
		value.Err = errors.New("it ends within a number")
		return key, value, nil
	}
	rest := r.Value[5+n:]
	length, n := binary.Varint(rest)
	if n <= 0 || int64(len(rest)-n) != length {
		value.Err = errors.New("it ends within a text")
		return key, value, nil
	}
	value.Text, value.By = fmt.Appendf(nil, `{"booking":%d,"guest":%q}`, id, rest[n:]), "Avro, schema 7"
	return key, value, nil
}
