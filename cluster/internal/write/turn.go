package write

import (
	"sync"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// turn has requests to a leader be written in the order in which they were begun, while what they have is compressed side by side. The zero value is
// that of a request before the first.
type turn struct {
	before chan struct{} // closed when the one before was written, or is not going to be; nil if there is none
	done   *once
}

// once is a channel that is closed once.
type once struct {
	sync.Once
	ch chan struct{}
}

// next returns the turn behind t.
func (t turn) next() turn {
	n := turn{done: &once{ch: make(chan struct{})}}
	if t.done != nil {
		n.before = t.done.ch
	}
	return n
}

// wait waits for the turn.
func (t turn) wait() {
	if t.before != nil {
		<-t.before
	}
}

// over has the next one have its turn.
func (t turn) over() { t.done.Do(func() { close(t.done.ch) }) }

// inTurn is a request whose turn is over once it is with the connection: franz-go writes requests to a broker in the order in which it encodes them.
type inTurn struct {
	*kmsg.ProduceRequest
	turn turn
}

// AppendTo implements kmsg.Request.
func (r *inTurn) AppendTo(dst []byte) []byte {
	r.turn.over()
	return r.ProduceRequest.AppendTo(dst)
}
