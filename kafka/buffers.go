package kafka

import (
	"math/bits"
	"sync"
)

// buffer is memory that is used again. Those of about the same size are kept together, so that
// nobody holds much for what needs little.
type buffer struct{ b []byte }

// Buffers of minPooledBytes to maxPooledBytes are kept, in classes: four for each doubling. What is
// smaller is not worth it, and what is larger is left to the garbage collector.
const (
	minPooledBytes = 1 << 10
	maxPooledBytes = 4 << 20
)

var buffers [1 + 4*(22-10)]sync.Pool

// sizeClass returns the class of the buffers that have at least n bytes, and the size that
// new ones are made with, at most a quarter more than n.
func sizeClass(n int) (class, size int) {
	doubling := bits.Len(uint(n)) - 1 // 1<<doubling <= n
	step := 1 << (doubling - 2)
	quarters := (n - 1<<doubling + step - 1) / step // 0 to 4
	return 4*(doubling-10) + quarters, 1<<doubling + quarters*step
}

// getBuffer returns an empty buffer with room for n bytes, and for little more.
func getBuffer(n int) *buffer {
	if n < minPooledBytes || n > maxPooledBytes {
		return &buffer{make([]byte, 0, n)}
	}
	class, size := sizeClass(n)
	if buf, ok := buffers[class].Get().(*buffer); ok {
		return buf
	}
	return &buffer{make([]byte, 0, size)}
}

// put gives the buffer back: nothing may refer to its memory any more. buf may be nil.
func (buf *buffer) put() {
	if buf == nil || cap(buf.b) < minPooledBytes || cap(buf.b) > maxPooledBytes {
		return
	}
	class, size := sizeClass(cap(buf.b))
	if size > cap(buf.b) {
		class-- // it has grown to something between two
	}
	buf.b = buf.b[:0]
	buffers[class].Put(buf)
}
