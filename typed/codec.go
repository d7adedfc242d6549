package typed

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"github.com/samsa-go/samsa"
)

// Codec turns values of T into bytes, and back. It is for keys as for values. It is called by
// many goroutines at once.
type Codec[T any] interface {
	// Append appends the bytes of v to dst, which may be empty and is never nil, and returns what that has
	// become. It keeps neither: others write there later. If it returns nil, the record has no key, or no value.
	Append(dst []byte, v T) ([]byte, error)
	// Decode returns what Append has made bytes of: r.Value. The codec of a key is given the record with its
	// key in the place of the value. Neither is nil. The rest of r says more about
	// it: topic, headers, offset. The result may refer to the bytes of r, which nobody changes.
	Decode(r samsa.Record) (T, error)
}

// Headers is what a Codec of values may implement besides: for headers that its Decode needs.
type Headers[T any] interface {
	// AppendHeaders appends the headers of v to dst.
	AppendHeaders(dst []samsa.Header, v T) ([]samsa.Header, error)
}

// OfBytes is what a Codec may implement besides if it looks at the bytes alone: no record is copied for it then.
type OfBytes[T any] interface {
	// DecodeBytes is Decode of a record with this value, which is not nil.
	DecodeBytes(b []byte) (T, error)
}

// CodecFuncs returns the codec that these functions are: see Codec. Without one of them, what it is for is an error.
func CodecFuncs[T any](appendTo func(dst []byte, v T) ([]byte, error), decode func(r samsa.Record) (T, error)) Codec[T] {
	return funcs[T]{appendTo, decode}
}

type funcs[T any] struct {
	append func(dst []byte, v T) ([]byte, error)
	decode func(r samsa.Record) (T, error)
}

var errNoFunction = errors.New("the codec has no function for that")

func (f funcs[T]) Append(dst []byte, v T) ([]byte, error) {
	if f.append == nil {
		return dst, errNoFunction
	}
	return f.append(dst, v)
}

func (f funcs[T]) Decode(r samsa.Record) (v T, err error) {
	if f.decode == nil {
		return v, errNoFunction
	}
	return f.decode(r)
}

// None returns the codec of what is not there: of keys, in topics without keys. Its records have none, and of
// those that have one it is ignored.
func None() Codec[struct{}] { return none{} }

type none struct{}

func (none) Append([]byte, struct{}) ([]byte, error)     { return nil, nil }
func (none) Decode(samsa.Record) (v struct{}, err error) { return v, nil }
func (none) DecodeBytes([]byte) (v struct{}, err error)  { return v, nil }

// Bytes returns the codec of bytes as they are. nil is no key, or a tombstone. What is decoded belongs to
// who gets the record.
func Bytes() Codec[[]byte] { return raw{} }

type raw struct{}

func (raw) Append(dst, v []byte) ([]byte, error) {
	if v == nil {
		return nil, nil
	}
	return append(dst, v...), nil
}

func (raw) Decode(r samsa.Record) ([]byte, error) { return r.Value, nil }
func (raw) DecodeBytes(b []byte) ([]byte, error)  { return b, nil }

// String returns the codec of text as it is, which Kafka calls StringSerializer. Bytes that are not UTF-8 stay as they are.
func String() Codec[string] { return text{} }

type text struct{}

func (text) Append(dst []byte, v string) ([]byte, error) { return append(dst, v...), nil }
func (text) Decode(r samsa.Record) (string, error)       { return string(r.Value), nil }
func (text) DecodeBytes(b []byte) (string, error)        { return string(b), nil }

// Int64 returns the codec of integers in 8 bytes, big endian: Kafka's LongSerializer.
func Int64() Codec[int64] { return long{} }

type long struct{}

func (long) Append(dst []byte, v int64) ([]byte, error) {
	return binary.BigEndian.AppendUint64(dst, uint64(v)), nil
}

func (c long) Decode(r samsa.Record) (int64, error) { return c.DecodeBytes(r.Value) }

func (long) DecodeBytes(b []byte) (int64, error) {
	if len(b) != 8 {
		return 0, fmt.Errorf("%d bytes, an integer has 8", len(b))
	}
	return int64(binary.BigEndian.Uint64(b)), nil
}

// JSON returns the codec of what encoding/json makes of T.
func JSON[T any]() Codec[T] { return jsonCodec[T]{} }

type jsonCodec[T any] struct{}

func (jsonCodec[T]) Append(dst []byte, v T) ([]byte, error) {
	w := jsonWriters.Get().(*jsonWriter)
	w.dst = dst
	err := w.encoder.Encode(v)
	dst, w.dst = w.dst, nil
	jsonWriters.Put(w)
	return dst, err
}

// jsonWriter appends JSON to dst, as json.Marshal makes it: without the line's end that an Encoder adds.
type jsonWriter struct {
	dst     []byte
	encoder *json.Encoder
}

var jsonWriters = sync.Pool{New: func() any {
	w := new(jsonWriter)
	w.encoder = json.NewEncoder(w)
	return w
}}

func (w *jsonWriter) Write(line []byte) (int, error) {
	w.dst = append(w.dst, line[:len(line)-1]...)
	return len(line), nil
}

func (c jsonCodec[T]) Decode(r samsa.Record) (T, error) { return c.DecodeBytes(r.Value) }

func (jsonCodec[T]) DecodeBytes(b []byte) (v T, err error) {
	err = json.Unmarshal(b, &v)
	return v, err
}
