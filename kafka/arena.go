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

// pieces is bytes in several places, in order.
type pieces struct {
	all   [][]byte
	bytes int
}

// add appends b, which was read into the memory that a has placed last. What adjoins is one piece:
// that costs less to write.
func (p *pieces) add(a *arena, b []byte) {
	p.bytes += len(b)
	chunk := a.last()
	from := len(chunk.b)
	free := chunk.b[from:cap(chunk.b)]
	if len(free) < len(b) || &free[0] != &b[0] {
		p.all = append(p.all, b) // it had no room there and has its own
		return
	}
	a.keep(len(b))
	if n := len(p.all); n > 0 && from > 0 {
		if last := p.all[n-1]; &last[len(last)-1] == &chunk.b[from-1] {
			p.all[n-1] = chunk.b[from-len(last) : from+len(b)]
			return
		}
	}
	p.all = append(p.all, b)
}
