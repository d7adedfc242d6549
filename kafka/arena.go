package kafka

// arena is memory for the batches of one answer. They are read into it once, and written to
// the client from there.
type arena struct{ chunks []*buffer }

const (
	firstChunkBytes = 4 << 10
	mostChunkBytes  = 1 << 20 // but for what is larger alone
)

// place returns empty memory with a capacity of n bytes, the next that is free.
func (a *arena) place(n int) []byte {
	size := firstChunkBytes
	if len(a.chunks) > 0 {
		b := a.last().b
		if n <= cap(b)-len(b) {
			return b[len(b):len(b):cap(b)]
		}
		size = min(2*cap(b), mostChunkBytes)
	}
	chunk := getBuffer(max(n, size))
	a.chunks = append(a.chunks, chunk)
	return chunk.b
}

// keep makes the first n bytes of the memory that was placed last no longer free.
func (a *arena) keep(n int) {
	chunk := a.last()
	chunk.b = chunk.b[:len(chunk.b)+n]
}

func (a *arena) last() *buffer { return a.chunks[len(a.chunks)-1] }

// bytes returns what the arena takes.
func (a *arena) bytes() int {
	n := 0
	for _, chunk := range a.chunks {
		n += cap(chunk.b)
	}
	return n
}

// release gives the memory back: nothing may refer to it any more.
func (a *arena) release() {
	for _, chunk := range a.chunks {
		chunk.put()
	}
	clear(a.chunks)
	a.chunks = a.chunks[:0]
}

// adjoiningBytes is the length below which a batch is moved to where the one before it ends:
// that costs less than one more piece to write.
const adjoiningBytes = 8 << 10

// pieces is bytes in several places, in order.
type pieces struct {
	all   [][]byte
	bytes int
}

// add appends b, which was read into the memory that a has placed last, behind skip bytes that
// are not part of it.
func (p *pieces) add(a *arena, b []byte, skip int) {
	p.bytes += len(b)
	chunk := a.last()
	from := len(chunk.b)
	free := chunk.b[from:cap(chunk.b)]
	if len(free) < skip+len(b) || &free[skip] != &b[0] {
		p.all = append(p.all, b) // it had no room there and has its own
		return
	}
	if n := len(p.all); n > 0 && len(b) < adjoiningBytes && from > 0 {
		if last := p.all[n-1]; &last[len(last)-1] == &chunk.b[from-1] {
			a.keep(copy(free, b))
			p.all[n-1] = chunk.b[from-len(last) : from+len(b)]
			return
		}
	}
	a.keep(skip + len(b))
	p.all = append(p.all, b)
}
