package kafka

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"time"
)

// Who speaks another protocol at the port is told so. What HTTP and TLS clients send first
// would be the length of a frame that no request has.
var (
	errHTTP = fmt.Errorf("%w: this is HTTP, here is a Kafka broker", errFrameLength)
	errTLS  = fmt.Errorf("%w: this is a TLS handshake, here is a Kafka broker without TLS (security.protocol=PLAINTEXT)", errFrameLength)
)

// httpMethods is how requests of HTTP begin; PRI is that of version 2.
var httpMethods = []string{"GET ", "HEAD", "POST", "PUT ", "DELE", "CONN", "OPTI", "TRAC", "PATC", "PRI "}

// otherProtocol returns errHTTP or errTLS if head, the first four bytes, is one of those
// protocols, else nil.
func otherProtocol(head []byte) error {
	switch {
	case slices.Contains(httpMethods, string(head)):
		return errHTTP
	case head[0] == 22 && head[1] == 3: // a record with a handshake, of TLS 1.x (RFC 8446, 5.1)
		return errTLS
	}
	return nil
}

const (
	httpText   = "This is a Kafka broker (Samsa): it speaks the protocol of Kafka clients, not HTTP.\n"
	httpAnswer = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n"
	maxHTTP    = 64 << 10 // of a request, that are read
)

// answerHTTP answers a request of HTTP with a line that says what this is, and waits for the
// client to have it: a socket that is closed while it holds bytes resets the connection, and the
// answer is lost.
func (c *conn) answerHTTP(r *bufio.Reader) {
	deadline := time.Now().Add(closeGrace)
	if c.nc.SetDeadline(deadline) != nil || c.s.ctx.Err() != nil {
		return
	}
	body := httpText
	if head, err := r.Peek(4); err == nil && string(head) == "HEAD" {
		body = ""
	}
	_, err := fmt.Fprintf(c.nc, "%sContent-Length: %d\r\n\r\n%s", httpAnswer, len(httpText), body)
	if half, ok := c.nc.(interface{ CloseWrite() error }); ok && err == nil {
		err = half.CloseWrite()
	}
	if err == nil {
		_, _ = io.CopyN(io.Discard, r, maxHTTP) // until the client closes, or is too slow
	}
}
