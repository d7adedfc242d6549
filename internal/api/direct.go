package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"

	"github.com/samsa-go/samsa"
)

// Direct returns a client that calls h itself, without a connection. Streams stream: what h has written waits until it is read.
func Direct(h http.Handler) *Client {
	return newClient("http://localhost", Into(h), func() {})
}

// Into returns a transport that calls h itself, as Direct does.
func Into(h http.Handler) http.RoundTripper { return direct{h} }

// direct is an http.RoundTripper into a handler.
type direct struct{ h http.Handler }

// RoundTrip implements http.RoundTripper. The handler runs until it returns; who closes the body of the answer ends its context, and
// waits for that.
func (d direct) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancel(req.Context())
	body, w := io.Pipe()
	a := &directAnswer{header: make(http.Header), body: w, begun: make(chan struct{})}
	in := req.Clone(ctx)
	in.RequestURI, in.RemoteAddr = in.URL.RequestURI(), "direct"
	if in.Body == nil {
		in.Body = http.NoBody
	}
	if in.Host == "" {
		in.Host = in.URL.Host
	}
	resp := &http.Response{Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, ContentLength: -1, Request: req, Trailer: make(http.Header)}
	var runs sync.WaitGroup
	runs.Go(func() {
		defer end(in.Body)
		a.run(d.h, in, resp.Trailer)
	})
	stop := context.AfterFunc(ctx, func() { body.CloseWithError(ctx.Err()) }) // so that what writes does not wait for ever
	resp.Body = &directBody{body, func() {
		cancel()
		body.CloseWithError(errNotRead)
		runs.Wait()
		stop()
	}}
	select {
	case <-a.begun:
		resp.StatusCode, resp.Status, resp.Header = a.status, fmt.Sprintf("%d %s", a.status, http.StatusText(a.status)), a.sent
		return resp, nil
	case <-ctx.Done():
		end(resp.Body)
		return nil, ctx.Err()
	}
}

var errNotRead = fmt.Errorf("%w: nobody reads the answer any more", samsa.ErrClosed)

type directBody struct {
	io.Reader
	end func()
}

func (b *directBody) Close() error {
	b.end()
	return nil
}

// directAnswer is an http.ResponseWriter, of one goroutine.
type directAnswer struct {
	header http.Header
	sent   http.Header // as it was when it was sent
	status int
	body   *io.PipeWriter
	begun  chan struct{} // closed when sent and status are there
}

// run calls h, and ends the answer. A panic of h is the end of the connection, as in a server.
func (a *directAnswer) run(h http.Handler, r *http.Request, trailer http.Header) {
	failed := errors.New("the handler has panicked")
	defer func() {
		if failed != nil {
			_ = recover()
		}
		a.WriteHeader(http.StatusOK)
		if text := a.header.Get(http.TrailerPrefix + errorTrailer); text != "" {
			trailer.Set(errorTrailer, text)
		}
		a.body.CloseWithError(failed)
	}()
	h.ServeHTTP(a, r)
	failed = nil
}

func (a *directAnswer) Header() http.Header { return a.header }

func (a *directAnswer) WriteHeader(status int) {
	if a.status == 0 {
		a.status, a.sent = status, a.header.Clone()
		close(a.begun)
	}
}

func (a *directAnswer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(p)
}

// Flush implements http.Flusher: nothing is kept back.
func (a *directAnswer) Flush() { a.WriteHeader(http.StatusOK) }
