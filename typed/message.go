package typed

import (
	"fmt"
	"iter"
	"slices"

	"github.com/samsa-go/samsa"
)

// Message is a record with its key and value.
type Message[K, V any] struct {
	Key   K // zero when the record has no key
	Value V // zero when the record has no value
	// Record is the record. To produce a message takes from it all but key and value. What was read has all,
	// and its bytes are those that Key and Value were decoded from.
	Record samsa.Record
}

// MessageOf returns a message to produce.
func MessageOf[K, V any](topic string, key K, value V) Message[K, V] {
	return Message[K, V]{Key: key, Value: value, Record: samsa.Record{Topic: topic}}
}

// Tombstone tells of a message that was read whether it has no value: in a compacted topic, the end of its key.
func (m Message[K, V]) Tombstone() bool { return m.Record.Value == nil }

// DecodeError is of a record whose key or value is not what its codec decodes.
type DecodeError struct {
	Part   string // "key" or "value"
	Record samsa.Record
	Err    error // of the codec
}

func (e *DecodeError) Error() string {
	return fmt.Sprintf("decode the %s of offset %d of %s/%d: %v", e.Part, e.Record.Offset, e.Record.Topic, e.Record.Partition, e.Err)
}

// Unwrap returns the error of the codec.
func (e *DecodeError) Unwrap() error { return e.Err }

// Codecs are the codec of a topic's keys and that of its values: see CodecsOf.
type Codecs[K, V any] struct {
	key     Codec[K]
	value   Codec[V]
	headers Headers[V] // of value, or nil

	keyBytes   OfBytes[K] // is key, or nil
	valueBytes OfBytes[V] // is value, or nil
}

// CodecsOf returns the codecs of records whose keys are of K and whose values are of V.
func CodecsOf[K, V any](key Codec[K], value Codec[V]) Codecs[K, V] {
	c := Codecs[K, V]{key: key, value: value}
	c.headers, _ = value.(Headers[V])
	c.keyBytes, _ = key.(OfBytes[K])
	c.valueBytes, _ = value.(OfBytes[V])
	return c
}

// Encode returns the record of a message, for Broker.Produce and for transactions.
func (c Codecs[K, V]) Encode(m Message[K, V]) (samsa.Record, error) {
	err := c.encode(make([]byte, 0, 64), &m)
	return m.Record, err
}

// Tombstone returns a record without value: in a compacted topic, the end of its key.
func (c Codecs[K, V]) Tombstone(topic string, key K) (samsa.Record, error) {
	r := samsa.Record{Topic: topic}
	if err := c.check(); err != nil {
		return r, err
	}
	var err error
	if r.Key, err = c.key.Append(make([]byte, 0, 64), key); err != nil {
		return r, encodeError("key", err)
	}
	return r, nil
}

// encode makes m's record with the room of buf, whose length is 0.
func (c *Codecs[K, V]) encode(buf []byte, m *Message[K, V]) error {
	if err := c.check(); err != nil {
		return err
	}
	r := &m.Record
	var err error
	if r.Key, err = c.key.Append(buf, m.Key); err != nil {
		return encodeError("key", err)
	}
	if r.Value, err = c.value.Append(behind(buf, r.Key), m.Value); err != nil {
		return encodeError("value", err)
	}
	if c.headers != nil {
		if r.Headers, err = c.headers.AppendHeaders(slices.Clip(r.Headers), m.Value); err != nil {
			return encodeError("value", err)
		}
	}
	return nil
}

// behind returns the room of buf behind a key that may be in it: none where that cannot be told.
func behind(buf, key []byte) []byte {
	switch end := cap(buf) - cap(key) + len(key); {
	case len(key) == 0:
		return buf
	case cap(key) <= cap(buf) && &key[:cap(key)][cap(key)-1] == &buf[:cap(buf)][cap(buf)-1]:
		return buf[end:end]
	default:
		return buf[cap(buf):cap(buf)]
	}
}

func encodeError(part string, err error) error {
	return fmt.Errorf("%w: encode the %s: %w", samsa.ErrInvalid, part, err)
}

// Decode returns the message of a record, or a *DecodeError and the message with what could be decoded.
func (c Codecs[K, V]) Decode(r samsa.Record) (m Message[K, V], err error) {
	m.Record = r
	if err := c.check(); err != nil {
		return m, err
	}
	err = c.decode(&m)
	return m, err
}

// decode decodes m's record, whatever key and value m has had. There must be codecs.
func (c *Codecs[K, V]) decode(m *Message[K, V]) error {
	r := &m.Record
	var noKey K
	var noValue V
	var err error
	switch {
	case r.Key == nil:
		m.Key = noKey
	case c.keyBytes != nil:
		m.Key, err = c.keyBytes.DecodeBytes(r.Key)
	default:
		value := r.Value
		r.Value = r.Key
		m.Key, err = c.key.Decode(*r)
		r.Value = value
	}
	if err != nil {
		m.Value = noValue
		return &DecodeError{Part: "key", Record: *r, Err: err}
	}
	switch {
	case r.Value == nil:
		m.Value = noValue
	case c.valueBytes != nil:
		m.Value, err = c.valueBytes.DecodeBytes(r.Value)
	default:
		m.Value, err = c.value.Decode(*r)
	}
	if err != nil {
		return &DecodeError{Part: "value", Record: *r, Err: err}
	}
	return nil
}

func (c Codecs[K, V]) messages(records iter.Seq2[samsa.Record, error]) iter.Seq2[Message[K, V], error] {
	return func(yield func(Message[K, V], error) bool) {
		for r, err := range records {
			m := Message[K, V]{Record: r}
			if err == nil {
				err = c.decode(&m)
			}
			if !yield(m, err) {
				return
			}
		}
	}
}

var errNoCodecs = fmt.Errorf("%w: there are no codecs: CodecsOf makes them", samsa.ErrInvalidOption)

func (c *Codecs[K, V]) check() error {
	if c.key == nil || c.value == nil {
		return errNoCodecs
	}
	return nil
}
