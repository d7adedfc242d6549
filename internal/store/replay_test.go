package store

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
)

// No place where a frame may begin is passed.
func TestLengthFrom(t *testing.T) {
	for range 200 {
		b := make([]byte, rand.IntN(3000))
		for range rand.IntN(4) {
			if len(b) > 0 {
				b[rand.IntN(len(b))] = 1
			}
		}
		for at := range len(b) + 1 {
			want := at
			for want+4 <= len(b) && binary.BigEndian.Uint32(b[want:]) == 0 {
				want++
			}
			if want+4 > len(b) {
				want = len(b)
			}
			if got := lengthFrom(b, at); got != want {
				t.Fatalf("%d of %d: %d, want %d", at, len(b), got, want)
			}
		}
	}
}

// What lies behind a frame that is not whole, zeros as a rule, is searched for whole frames.
func BenchmarkLengthFrom(b *testing.B) {
	zeros := make([]byte, 64<<20)
	b.SetBytes(int64(len(zeros)))
	for b.Loop() {
		for at := lengthFrom(zeros, 0); at < len(zeros); at = lengthFrom(zeros, at+1) {
			b.Fatal(at)
		}
	}
}
