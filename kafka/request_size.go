package kafka

import "reflect"

// A request is decoded to some times its length, and its answer may take some times that again. It
// is charged for both (memory.go): while it is decoded for the most that can be, and then
// for what it is.
const (
	// decodeRatio is how many times the length of a body without records it takes to decode it,
	// whatever it claims to hold.
	decodeRatio = 64
	// answerPlace is what each thing that a request names takes besides, until it is answered:
	// what is done for it, and its place in the answer, encoded too.
	answerPlace = 320
	// mapPlace is what an entry of a map takes, of which there are those of unknown tags.
	mapPlace = 128
)

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
		return v.Len() * mapPlace
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
