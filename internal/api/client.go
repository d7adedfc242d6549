package api

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/samsa-go/samsa"
)

// RequestHeader is the header that a write needs: a form of a web page, of whoever's, cannot send it.
const RequestHeader = "Samsa-Request"

// prefix is where the API lies below where its handler is mounted.
const prefix = "/api/v1/"

// Client calls the API. Its methods return when the broker has answered, with its errors: errors.Is finds those of package
// samsa. An error of the connection is ErrUnavailable where nothing was asked, and ErrOutcomeUnknown besides where a write
// was: it may be done. All methods may be called by anybody at any time; each waits as long as its context.
type Client struct {
	base   string // without the slash at its end
	http   *http.Client
	closer func()
	again  time.Duration // how long a Follow whose connection broke tries to connect again
}

// NewClient returns a client of the API that is mounted at base, which is an address as http://127.0.0.1:9080, with a prefix if
// there is one. A base unix:///path/of/the/socket is a unix socket.
func NewClient(base string) (*Client, error) {
	u, err := url.Parse(base)
	if err != nil {
		var detail *url.Error
		if errors.As(err, &detail) && strings.Contains(base, "@") { // without the address, which may have a password, and what was made of it
			err = errors.New("it is no URL: in a password a space is %20, # is %23")
		}
		return nil, fmt.Errorf("%w: the address of the API: %w", samsa.ErrInvalidOption, err)
	}
	switch {
	case u.Scheme == "unix" && u.Host == "" && u.Path != "":
		return overSocket(u.Path), nil
	case (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && u.RawQuery == "" && u.Fragment == "":
		t := http.DefaultTransport.(*http.Transport).Clone()
		return newClient(strings.TrimSuffix(u.String(), "/"), t, t.CloseIdleConnections), nil
	}
	return nil, fmt.Errorf("%w: the address of the API is %q, want http://HOST:PORT or unix:///PATH", samsa.ErrInvalidOption, u.Redacted())
}

// overSocket returns a client over a unix socket.
func overSocket(path string) *Client {
	t := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}
	return newClient("http://localhost", t, t.CloseIdleConnections)
}

func newClient(base string, t http.RoundTripper, closer func()) *Client {
	noRedirects := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Client{base: base, http: &http.Client{Transport: t, CheckRedirect: noRedirects}, closer: closer, again: followAgain}
}

// Close closes the connections that are idle. A client may be used after it.
func (c *Client) Close() { c.closer() }

// OfFork returns a client of the API of a copy of a fake broker.
func (c *Client) OfFork(name string) *Client {
	fork := *c
	fork.base += strings.TrimSuffix(prefix, "/") + "/kit/forks/" + segment(name)
	return &fork
}

// request is a call of the API.
type request struct {
	method string
	path   string // below prefix, escaped
	query  url.Values
	body   any // in JSON; an io.Reader as it is; nil for none
}

// write reports whether r may change something.
func (r request) write() bool { return r.method != http.MethodGet }

// send returns the answer to r, of which the caller closes the body, or the error that is in it.
func (c *Client) send(ctx context.Context, r request) (*http.Response, error) {
	body, kind := io.Reader(nil), "application/octet-stream"
	if in, ok := r.body.(io.Reader); ok {
		body = in
	} else if r.body != nil {
		kind = "application/json"
		text, err := encode(r.body)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", samsa.ErrInvalid, err)
		}
		body = bytes.NewReader(text)
	}
	address := c.base + prefix + r.path
	if len(r.query) > 0 {
		address += "?" + r.query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, r.method, address, body)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", samsa.ErrInvalid, err)
	}
	if r.write() {
		req.Header.Set(RequestHeader, "1")
	}
	req.Header.Set("TE", "trailers")
	if r.body != nil {
		req.Header.Set("Content-Type", kind)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, connectionError(ctx, r, err)
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		defer end(resp.Body)
		err := answeredError(resp)
		if ctx.Err() != nil { // and the answer may not be whole
			err = connectionError(ctx, r, err)
		}
		return nil, err
	}
	return resp, nil
}

// connectionError returns err, of the connection, as an error of the API.
func connectionError(ctx context.Context, r request, err error) error {
	if e := ctx.Err(); e != nil {
		err = e
	} else {
		err = fmt.Errorf("%w: the connection to the broker: %w", samsa.ErrUnavailable, err)
	}
	var op *net.OpError
	if asked := !errors.As(err, &op) || op.Op != "dial"; asked && r.write() {
		err = fmt.Errorf("%w: %w", samsa.ErrOutcomeUnknown, err)
	}
	return err
}

// end closes what was read. What is left of it does not matter.
func end(r io.Closer) { _ = r.Close() }

// maxError bounds the text of an error.
const maxError = 64 << 10

// answeredError returns the error that is in an answer.
func answeredError(resp *http.Response) error {
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxError))
	var in struct {
		Error *Error `json:"error"`
	}
	if err == nil {
		err = json.Unmarshal(text, &in)
	}
	if resp.StatusCode == http.StatusUnauthorized {
		return &Error{Message: "the broker wants to know who asks: its URL is https://NAME:PASSWORD@HOST:PORT, with a user and the right password (samsa help addresses)", Status: resp.StatusCode}
	}
	if err != nil || in.Error == nil {
		return &Error{Message: fmt.Sprintf("the answer is %s, and not of Samsa's API: %.100q", resp.Status, text), Status: resp.StatusCode}
	}
	in.Error.Status = resp.StatusCode
	return in.Error
}

// maxAnswer bounds the text of an answer that is no stream: a topic of 10,000 partitions, a page of large records.
const maxAnswer = 256 << 20

// call reads the answer to r into into, which may be nil.
func (c *Client) call(ctx context.Context, r request, into any) error {
	resp, err := c.send(ctx, r)
	if err != nil {
		return err
	}
	defer end(resp.Body)
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err == nil && into != nil {
		err = json.Unmarshal(text, into)
	}
	if err != nil {
		return connectionError(ctx, r, err)
	}
	return nil
}

func (c *Client) get(ctx context.Context, path string, query url.Values, into any) error {
	return c.call(ctx, request{http.MethodGet, path, query, nil}, into)
}

func (c *Client) post(ctx context.Context, path string, body, into any) error {
	return c.call(ctx, request{http.MethodPost, path, nil, body}, into)
}

// segment escapes a name for a path. What a path would lose is escaped too.
func segment(name string) string {
	if name == "." || name == ".." {
		return strings.ReplaceAll(name, ".", "%2E")
	}
	return url.PathEscape(name)
}

// query is what a request asks for, without what is zero.
type query url.Values

func (q query) text(name, value string) query {
	if value != "" {
		q[name] = []string{value}
	}
	return q
}

func (q query) number(name string, n int) query {
	if n != 0 {
		q[name] = []string{strconv.Itoa(n)}
	}
	return q
}

func (q query) flag(name string, is bool) query {
	if is {
		q[name] = []string{"true"}
	}
	return q
}

func (q query) bytes(name string, b Bytes) query {
	if b != nil {
		q[name+"64"] = []string{base64.RawURLEncoding.EncodeToString(b)}
	}
	return q
}

// Broker returns what the broker is.
func (c *Client) Broker(ctx context.Context) (b Broker, err error) {
	return b, c.get(ctx, "broker", nil, &b)
}

// Stats returns what the broker has done.
func (c *Client) Stats(ctx context.Context) (s Stats, err error) {
	return s, c.get(ctx, "stats", nil, &s)
}

// Ready returns nil when the broker takes requests: see /readyz.
func (c *Client) Ready(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+"/readyz", nil)
	if err != nil {
		return fmt.Errorf("%w: %w", samsa.ErrInvalid, err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return connectionError(ctx, request{method: http.MethodGet}, err)
	}
	defer end(resp.Body)
	if resp.StatusCode != http.StatusOK {
		return answeredError(resp)
	}
	return nil
}

// Sweep removes all that may go by the policies of the topics.
func (c *Client) Sweep(ctx context.Context) (s Swept, err error) {
	return s, c.post(ctx, "sweep", nil, &s)
}

// Retention returns what retention has done.
func (c *Client) Retention(ctx context.Context) (r Retention, err error) {
	return r, c.get(ctx, "retention", nil, &r)
}

// Sync returns when everything that was acknowledged before is fsynced.
func (c *Client) Sync(ctx context.Context) error { return c.post(ctx, "sync", nil, nil) }

// Keys returns a page of the application's keys.
func (c *Client) Keys(ctx context.Context, r KeysRequest) (p KeyPage, err error) {
	q := query{}.bytes("prefix", r.Prefix).bytes("after", r.After).number("limit", r.Limit).number("max_value", r.MaxValue)
	return p, c.get(ctx, "keys", url.Values(q), &p)
}

// Key returns the value of a key, whole, or ErrKeyNotFound.
func (c *Client) Key(ctx context.Context, key Bytes) (kv KeyValue, err error) {
	return kv, c.get(ctx, "key", url.Values(query{}.bytes("key", key)), &kv)
}

// SetKey sets the value of a key.
func (c *Client) SetKey(ctx context.Context, key, value Bytes) error {
	return c.call(ctx, request{http.MethodPut, "key", nil, KeyValue{Key: key, Value: value}}, nil)
}

// DeleteKey removes a key. It need not be there.
func (c *Client) DeleteKey(ctx context.Context, key Bytes) error {
	return c.call(ctx, request{http.MethodDelete, "key", url.Values(query{}.bytes("key", key)), nil}, nil)
}

// Snapshot writes a snapshot to w, as samsa.Broker.Snapshot does. When it returns an error, what w has is not whole.
func (c *Client) Snapshot(ctx context.Context, r SnapshotRequest, w io.Writer) error {
	asked := request{http.MethodGet, "snapshot", url.Values{"topic": r.Topics}, nil}
	resp, err := c.send(ctx, asked)
	if err != nil {
		return err
	}
	defer end(resp.Body)
	taken := &watched{w: w}
	if _, err := io.Copy(taken, resp.Body); err != nil {
		if taken.err != nil {
			return taken.err
		}
		if text := resp.Trailer.Get(errorTrailer); text != "" {
			return trailerError(text)
		}
		return connectionError(ctx, asked, err)
	}
	if text := resp.Trailer.Get(errorTrailer); text != "" {
		return trailerError(text)
	}
	return nil
}

// Import takes topics of a snapshot that in reads, as samsa.Broker.Import does. What in is may be read for a moment after an error.
func (c *Client) Import(ctx context.Context, r ImportRequest, in io.Reader) error {
	q := url.Values{"topic": r.Topics}
	for from, to := range r.As {
		q.Add("as", from+"="+to)
	}
	given := &given{r: in}
	err := c.call(ctx, request{http.MethodPost, "import", url.Values(query(q).flag("offsets", r.Offsets)), given}, nil)
	if e := given.err.Load(); e != nil { // nothing was done: the snapshot is not whole
		return *e
	}
	return err
}

// given remembers the error of a reader, to tell it from those of the connection.
type given struct {
	r   io.Reader
	err atomic.Pointer[error]
}

func (g *given) Read(p []byte) (int, error) {
	n, err := g.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		g.err.CompareAndSwap(nil, &err)
	}
	return n, err
}

// watched remembers the error of a writer, to tell it from those of who reads.
type watched struct {
	w   io.Writer
	err error
}

func (w *watched) Write(p []byte) (int, error) {
	n, err := w.w.Write(p)
	w.err = cmp.Or(w.err, err)
	return n, err
}

// errorTrailer is the trailer of a stream that ends with an error.
const errorTrailer = "Samsa-Error"

// trailerError returns the error that a stream has ended with.
func trailerError(text string) error {
	e := new(Error)
	if err := json.Unmarshal([]byte(text), e); err != nil {
		return &Error{Message: text}
	}
	return e
}

// patience is how long who waits for something waits besides, for the answer.
const patience = 10 * time.Second

// defaultWait is how long a Wait waits that does not say.
const defaultWait = 30 * time.Second
