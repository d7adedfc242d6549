package data

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/golang/snappy"
)

func TestValues(t *testing.T) {
	for _, kind := range Kinds() {
		for _, size := range []int{MinJSON, 100, 193, 207, 208, 209, 1000, 1024, 10_000, 100_000, MaxSize} {
			values, err := Values(kind, size)
			if err != nil {
				t.Errorf("%s, %d bytes: %v", kind, size, err)
				continue
			}
			for i, v := range values {
				if len(v) != size {
					t.Fatalf("%s, %d bytes: record %d has %d", kind, size, i, len(v))
				}
				if kind == JSON && !json.Valid(v) {
					t.Fatalf("%s, %d bytes: record %d is not JSON: %.200s", kind, size, i, v)
				}
				if i > 0 && bytes.Equal(v, values[i-1]) {
					t.Fatalf("%s, %d bytes: records %d and %d are the same", kind, size, i-1, i)
				}
			}
			again, err := Values(kind, size)
			if err != nil || !bytes.Equal(again[len(again)-1], values[len(values)-1]) {
				t.Errorf("%s, %d bytes: another call gives other records (%v)", kind, size, err)
			}
		}
	}
}

// JSON compresses as documents do, random bytes not at all.
func TestValuesCompress(t *testing.T) {
	for kind, within := range map[string][2]float64{JSON: {0.25, 0.45}, Random: {0.99, 1.01}} {
		for _, size := range []int{100, 1000, 10_000, 100_000} {
			values, err := Values(kind, size)
			if err != nil {
				t.Fatal(err)
			}
			plain := bytes.Join(values[:min(len(values), 1_000_000/size)], nil)
			if ratio := float64(len(snappy.Encode(nil, plain))) / float64(len(plain)); ratio < within[0] || ratio > within[1] {
				t.Errorf("%s, %d bytes: snappy leaves %.2f, want %v", kind, size, ratio, within)
			}
		}
	}
}

func TestValuesRefuse(t *testing.T) {
	for _, c := range []struct {
		kind string
		size int
	}{{JSON, MinJSON - 1}, {Random, 0}, {JSON, MaxSize + 1}, {"xml", 100}} {
		if _, err := Values(c.kind, c.size); err == nil {
			t.Errorf("%s of %d bytes is taken", c.kind, c.size)
		}
	}
}
