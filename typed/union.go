package typed

import (
	"errors"
	"fmt"
	"reflect"

	"github.com/samsa-go/samsa"
)

// Union returns the codec of an interface T whose values are of one of these types: a header, of this key, says
// by its text which. A record without the header, or with another text, is a *DecodeError, and a value of another
// type an error of who produces it. It is for values alone: a key has no headers. The error, ErrInvalidOption, names a text or
// a type that is there twice, and a type that does not implement T.
func Union[T any](header string, variants ...Variant[T]) (Codec[T], error) {
	u := &union[T]{header: header, byName: make(map[string]Variant[T]), byType: make(map[reflect.Type]Variant[T])}
	for _, v := range variants {
		if v.err != nil {
			return nil, fmt.Errorf("%w: union: %w", samsa.ErrInvalidOption, v.err)
		}
		if v.append == nil {
			return nil, fmt.Errorf("%w: union: a variant that As has not made", samsa.ErrInvalidOption)
		}
		_, name := u.byName[v.name]
		_, same := u.byType[v.of]
		if name || same {
			return nil, fmt.Errorf("%w: union: %q, of %v, is there twice", samsa.ErrInvalidOption, v.name, v.of)
		}
		u.byName[v.name], u.byType[v.of] = v, v
	}
	return u, nil
}

// Variant is one of the types of a Union: see As.
type Variant[T any] struct {
	name   string
	of     reflect.Type
	err    error
	append func(dst []byte, v T) ([]byte, error)
	decode func(r samsa.Record) (T, error)
	// headers appends those of the codec, if it has some; nil if not.
	headers func(dst []samsa.Header, v T) ([]samsa.Header, error)
}

// As makes V, which is no interface and implements T, a variant with this codec. name is the text of the header.
func As[T, V any](name string, c Codec[V]) Variant[T] {
	v := Variant[T]{name: name, of: reflect.TypeFor[V]()}
	if iface := reflect.TypeFor[T](); v.of.Kind() == reflect.Interface || !v.of.AssignableTo(iface) {
		v.err = fmt.Errorf("%v cannot be a variant of %v", v.of, iface)
		return v
	}
	if c == nil {
		v.err = fmt.Errorf("%q, of %v, has no codec", name, v.of)
		return v
	}
	if own, ok := c.(Headers[V]); ok {
		v.headers = func(dst []samsa.Header, v T) ([]samsa.Header, error) { return own.AppendHeaders(dst, any(v).(V)) }
	}
	v.append = func(dst []byte, v T) ([]byte, error) { return c.Append(dst, any(v).(V)) }
	v.decode = func(r samsa.Record) (v T, err error) {
		own, err := c.Decode(r)
		if err != nil {
			return v, err
		}
		return any(own).(T), nil
	}
	return v
}

type union[T any] struct {
	header string
	byName map[string]Variant[T]
	byType map[reflect.Type]Variant[T]
}

var errNoVariant = errors.New("none of the union's types")

func (u *union[T]) of(v T) (Variant[T], error) {
	own, ok := u.byType[reflect.TypeOf(v)]
	if !ok {
		return own, fmt.Errorf("%T: %w", v, errNoVariant)
	}
	return own, nil
}

func (u *union[T]) Append(dst []byte, v T) ([]byte, error) {
	own, err := u.of(v)
	if err != nil {
		return dst, err
	}
	return own.append(dst, v)
}

func (u *union[T]) AppendHeaders(dst []samsa.Header, v T) ([]samsa.Header, error) {
	own, err := u.of(v)
	if err == nil && own.headers != nil {
		dst, err = own.headers(dst, v)
	}
	return append(dst, samsa.Header{Key: u.header, Value: []byte(own.name)}), err
}

func (u *union[T]) Decode(r samsa.Record) (v T, err error) {
	for i := len(r.Headers) - 1; i >= 0; i-- { // the last one counts, as it is the producer's
		if h := r.Headers[i]; h.Key == u.header {
			own, ok := u.byName[string(h.Value)]
			if !ok {
				return v, fmt.Errorf("header %s is %q: %w", u.header, h.Value, errNoVariant)
			}
			return own.decode(r)
		}
	}
	return v, fmt.Errorf("no header %s: %w", u.header, errNoVariant)
}
