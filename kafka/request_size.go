package kafka

import (
	"reflect"
	"sync"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// A request is decoded to some times its length, and its answer may take some times that again. It
// is charged for both (memory.go): while it is decoded for the most that can be, and then
// for what it is.
const (
	// answerPlace is what each thing that a request names takes besides, until it is answered:
	// what is done for it, and its place in the answer, encoded too.
	answerPlace = 320
	// mapPlace is what a map takes, of which there are those of unknown tags, and mapEntry each of
	// its entries besides.
	mapPlace = 336
	mapEntry = 80
	// tagRatio is how many times its length a thing takes that is little but one unknown tag.
	tagRatio = mapPlace/5 + 5
)

// decodeRatio returns how many times the length of its body it takes to decode a request without
// records, whatever the body claims to hold. kmsg 1.14 makes each array as long as it is said
// to be if there is a byte for each element, and so one within the other; 1.15.1 counts what an
// element takes at least, but asks for Go 1.26.
func decodeRatio(req kmsg.Request) int {
	if ratio, ok := decodeRatios.Load(req.Key()); ok {
		return ratio.(int)
	}
	ratio := claims(reflect.TypeOf(req).Elem()) + tagRatio
	decodeRatios.Store(req.Key(), ratio)
	return ratio
}

var decodeRatios sync.Map // by key

// claims returns how many bytes one byte of a body can have made for it: an element of an array, and
// of the arrays within its first element.
func claims(t reflect.Type) int {
	switch t.Kind() {
	case reflect.Struct:
		most := 0
		for i := range t.NumField() {
			most = max(most, claims(t.Field(i).Type))
		}
		return most
	case reflect.Pointer:
		return int(t.Elem().Size()) + claims(t.Elem())
	case reflect.Slice:
		if t.Elem().Kind() != reflect.Uint8 {
			return int(t.Elem().Size()) + claims(t.Elem())
		}
	}
	return 0
}

// requestSize returns the bytes that a decoded request takes until it is answered, besides its
// frame, to which its fields of bytes refer.
func requestSize(req any) int {
	v := reflect.ValueOf(req).Elem()
	return int(v.Type().Size()) + answerPlace + behind(v)
}

// behind returns the bytes of what v refers to.
func behind(v reflect.Value) int {
	switch v.Kind() {
	case reflect.String:
		return v.Len()
	case reflect.Pointer:
		if !v.IsNil() {
			return int(v.Type().Elem().Size()) + behind(v.Elem())
		}
	case reflect.Map:
		if n := v.Len(); n > 0 {
			return mapPlace + n*mapEntry
		}
	case reflect.Struct:
		n := 0
		for i := range v.NumField() {
			n += behind(v.Field(i))
		}
		return n
	case reflect.Slice:
		elem := v.Type().Elem()
		if elem.Kind() == reflect.Uint8 {
			return 0
		}
		n := v.Len() * (int(elem.Size()) + answerPlace)
		if elem.Kind() == reflect.Struct || elem.Kind() == reflect.String || elem.Kind() == reflect.Slice {
			for i := range v.Len() {
				n += behind(v.Index(i))
			}
		}
		return n
	}
	return 0
}
