// Package data makes the records that are written: the same for every peer.
package data

import (
	"fmt"
	"math/rand/v2"
)

// The kinds of data.
const (
	JSON   = "json"   // documents like those of a web log: snappy leaves about a third
	Random = "random" // bytes that do not compress
)

// Kinds are the kinds of data there are.
func Kinds() []string { return []string{JSON, Random} }

const (
	// MinJSON is the size of the smallest document, in bytes.
	MinJSON = 96
	// MaxSize is the size of the largest record.
	MaxSize = 8 << 20

	poolBytes   = 8 << 20 // that a pool has at most
	poolRecords = 10_000
)

// Values returns a pool of different records of exactly size bytes, the same at every call.
// There are so many that a compressed batch does not meet one twice, as long as they fit
// into 8 MiB.
func Values(kind string, size int) ([][]byte, error) {
	least := 1
	if kind == JSON {
		least = MinJSON
	}
	if size < least || size > MaxSize {
		return nil, fmt.Errorf("%s records of %d bytes: they have %d to %d", kind, size, least, MaxSize)
	}
	n := max(1, min(poolRecords, poolBytes/size))
	values := make([][]byte, n)
	chacha := rand.NewChaCha8([32]byte{1})
	rng := rand.New(chacha)
	for i := range values {
		switch kind {
		case JSON:
			values[i] = document(rng, i, size)
		case Random:
			values[i] = make([]byte, size)
			_, _ = chacha.Read(values[i]) // never fails
		default:
			return nil, fmt.Errorf("no data of kind %q", kind)
		}
	}
	return values, nil
}

var methods = []string{"GET", "PUT", "POST", "HEAD"}

// document returns a JSON document of exactly size bytes: one request, or a list of as many
// as fit. The path of the last one fills what is left.
func document(rng *rand.Rand, n, size int) []byte {
	if size < 2*MinJSON+len(open)+len(closing) {
		return request(rng, n, size)
	}
	doc := append(make([]byte, 0, size), open...)
	for size-len(doc)-len(closing) >= 2*MinJSON+1 {
		doc = append(append(doc, request(rng, n, MinJSON)...), ',')
	}
	doc = append(doc, request(rng, n, size-len(doc)-len(closing))...)
	return append(doc, closing...)
}

const (
	open    = `{"requests":[`
	closing = `]}`
)

// request returns one request of exactly size bytes.
func request(rng *rand.Rand, n, size int) []byte {
	doc := fmt.Appendf(make([]byte, 0, size), `{"time":%d,"user":"u%06d","method":%q,"status":%d,"ms":%d,"path":"/`,
		1760000000000+int64(n)*7, rng.IntN(1e6), methods[rng.IntN(len(methods))], 200+rng.IntN(5)*100, rng.IntN(1000))
	const digits = "0123456789abcdef"
	for len(doc) < size-2 {
		doc = append(doc, digits[rng.IntN(len(digits))])
	}
	return append(doc, `"}`...)
}
