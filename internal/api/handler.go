package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/metrics"
)

// Options says what a handler lets its callers do. The zero value is for reading.
type Options struct {
	// Write takes requests that change something. Else they are ErrReadOnly.
	Write bool
	// Hosts are names by which the handler may be called besides localhost and addresses: see Guard.
	Hosts []string
	// Metrics serves /metrics; nil for what internal/metrics tells of the broker.
	Metrics http.Handler
	// Fake is the broker that is served, and what controls it. nil for a broker that is no fake.
	Fake Fake
}

// Limits of a handler.
const (
	maxBody     = 1 << 20          // bytes of a request
	maxProduce  = 96 << 20         // of one with records, as the bytes of the 16 MiB that it may have are up to six in JSON
	maxRecords  = 16 << 20         // bytes of records that are produced at once
	maxPage     = 4 << 20          // bytes of keys, values and headers on a page
	maxListed   = 10_000           // things on a page
	maxStreams  = 64               // that run at once: followed topics, snapshots
	maxLarge    = 4                // requests of more than maxBody that are answered at once
	callLimit   = 30 * time.Second // for a call that is no stream
	bodyLimit   = time.Minute      // for the body of a request to come
	streamLimit = 5 * time.Minute  // for who reads a stream to take what there is
	pulse       = 15 * time.Second // so often a stream says that it is there
)

// server serves a broker, or a fake one.
type server struct {
	broker  func() *samsa.Broker
	opts    Options
	kit     Kit // of a fake broker, in what serves its control
	opened  time.Time
	streams chan struct{} // a place for each stream that runs
	large   chan struct{} // a place for each large request
	turns   turns
}

// Handler returns the API of b: /api/v1/, and beside it /healthz, /readyz and /metrics. Under a prefix it is mounted by
// http.StripPrefix. When b is closed its streams end, and what is asked is ErrClosed. With Options.Fake b is nil.
func Handler(b *samsa.Broker, o Options) http.Handler {
	s := &server{
		broker: func() *samsa.Broker { return b }, opts: o, opened: time.Now(),
		streams: make(chan struct{}, maxStreams), large: make(chan struct{}, maxLarge),
	}
	if o.Fake != nil {
		s.broker = o.Fake.Broker
	}
	return Guard(o.Hosts, s.mux())
}

// route is an endpoint of the API. Its answer is JSON, or nothing, or a stream.
type route struct {
	pattern string // method and path below prefix, as http.ServeMux has them
	do      func(*call) (any, error)
	body    int64 // bytes that a request may have, 0 for maxBody, streamed for a stream of any length, which do reads
}

// streamed is the body of a request that is no JSON, and is read as it comes.
const streamed = -1

// stream is an answer that writes itself. It writes nothing if it returns an error.
type stream func(w http.ResponseWriter) error

// routes are the endpoints below prefix, but for those of a fake broker.
func routes() []route {
	return []route{
		{"GET broker", brokerInfo, 0}, {"GET stats", stats, 0}, {"POST sync", syncNow, 0},
		{"GET retention", retention, 0}, {"POST sweep", sweep, 0}, {"GET snapshot", snapshot, 0}, {"POST import", importTopics, streamed},

		{"GET topics", listTopics, 0}, {"POST topics", createTopic, 0},
		{"GET topics/{topic}", describeTopic, 0}, {"PUT topics/{topic}", ensureTopic, 0},
		{"PATCH topics/{topic}", alterTopic, 0}, {"DELETE topics/{topic}", deleteTopic, 0},
		{"POST topics/{topic}/grow", growTopic, 0}, {"POST topics/{topic}/delete-records", deleteRecords, 0},
		{"GET topics/{topic}/offsets", listOffsets, 0},

		{"GET topics/{topic}/records", readRecords, 0}, {"POST topics/{topic}/records", produceRecords, maxProduce},
		{"GET topics/{topic}/records/{partition}/{offset}", readRecord, 0},
		{"GET topics/{topic}/records/follow", followRecords, 0},
		{"POST topics/{topic}/requeue", requeue, 0},

		{"GET groups", listGroups, 0}, {"GET groups/{group}", describeGroup, 0}, {"DELETE groups/{group}", deleteGroup, 0},
		{"POST groups/{group}/reset", resetGroup, 0}, {"POST groups/{group}/delete-offsets", deleteGroupOffsets, 0},
		{"GET groups/{group}/configs", groupConfigs, 0}, {"PATCH groups/{group}/configs", setGroupConfigs, 0},

		{"GET keys", listKeys, 0}, {"GET key", getKey, 0}, {"PUT key", setKey, maxProduce}, {"DELETE key", deleteKey, 0},

		{"GET tables", listTables, 0}, {"GET tables/{topic}/row", getRow, 0}, {"GET tables/{topic}/rows", listRows, 0},

		{"GET users", listUsers, 0}, {"PUT users", setUser, 0}, {"DELETE users", deleteUser, 0},
		{"GET acls", listACLs, 0}, {"POST acls", createACL, 0}, {"DELETE acls", deleteACL, 0},
		{"GET quotas", listQuotas, 0}, {"PATCH quotas", setQuotas, 0},

		{"GET transactions", listTransactions, 0}, {"GET transactions/{id}", describeTransaction, 0},
		{"POST transactions/{id}/fence", fenceTransaction, 0},
		{"GET open-transactions", openTransactions, 0}, {"POST open-transactions/abort", abortTransaction, 0},

		{"POST backups/{id}/hold", holdBackup, 0}, {"POST backups/{id}/base", baseOfBackup, 0}, {"DELETE backups/{id}", releaseBackup, 0},
		{"GET backup-frames", framesOfBackup, 0},
	}
}

// mux returns the handler of all paths.
func (s *server) mux() http.Handler {
	mux := http.NewServeMux()
	methods := make(map[string][]string) // of each path
	for _, r := range append(routes(), s.kitRoutes()...) {
		method, path := splitPattern(r.pattern)
		methods[path] = append(methods[path], method)
		mux.HandleFunc(method+" "+prefix+path, func(w http.ResponseWriter, req *http.Request) { s.serve(r, w, req) })
	}
	for path, allowed := range methods {
		mux.HandleFunc(prefix+path, func(w http.ResponseWriter, _ *http.Request) { refuseMethod(w, allowed) })
	}
	switch {
	case s.kit != nil:
		mux.HandleFunc(prefix+"kit/forks/{fork}/", s.serveFork)
	case s.opts.Fake != nil:
		mux.HandleFunc(prefix+"kit/", s.control)
	}
	mux.HandleFunc("GET /healthz", s.health)
	mux.HandleFunc("GET /readyz", s.ready)
	mux.Handle("GET /metrics", s.metrics())
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		writeError(w, &Error{Name: "ErrUnknown", Message: fmt.Sprintf("the API has no %.200q", r.URL.Path), Status: http.StatusNotFound})
	})
	return mux
}

// metrics returns what serves /metrics.
func (s *server) metrics() http.Handler {
	if s.opts.Metrics != nil {
		return s.opts.Metrics
	}
	return metrics.Handler(func(ctx context.Context) (*metrics.Source, error) {
		return metrics.Of(ctx, s.broker(), samsa.MetricsOptions{})
	})
}

// splitPattern returns method and path of a pattern.
func splitPattern(pattern string) (method, path string) {
	for i := range pattern {
		if pattern[i] == ' ' {
			return pattern[:i], pattern[i+1:]
		}
	}
	return "", pattern
}

func refuseMethod(w http.ResponseWriter, allowed []string) {
	for _, m := range allowed {
		w.Header().Add("Allow", m)
	}
	writeError(w, &Error{Name: "ErrUnsupported", Message: fmt.Sprintf("this path takes %v", allowed), Status: http.StatusMethodNotAllowed})
}

// serve answers a request.
func (s *server) serve(r route, w http.ResponseWriter, req *http.Request) {
	if err := s.allow(req); err != nil {
		writeError(w, err)
		return
	}
	ctx, cancel := context.WithTimeout(req.Context(), callLimit)
	defer cancel()
	done, err := s.place(ctx, req, r.body)
	if err != nil {
		writeError(w, err)
		return
	}
	defer done()
	c := &call{s: s, b: s.broker(), r: req, query: newParams(req), ctx: req.Context()}
	if r.body == streamed {
		c.in, err = streamBody(w, req)
	} else {
		c.body, err = readBody(w, req, max(r.body, maxBody))
	}
	if err != nil {
		writeError(w, err)
		return
	}
	ctx, cancel = context.WithTimeout(req.Context(), callLimit) // the body has had a time of its own
	defer cancel()
	c.limited = ctx
	answer, err := r.do(c)
	if err != nil {
		writeError(w, err)
		return
	}
	if send, ok := answer.(stream); ok {
		s.send(w, send)
		return
	}
	writeJSON(w, req, answer)
}

// place waits for a place for a large request, which takes memory for many times its size, until done is called.
func (s *server) place(ctx context.Context, r *http.Request, limit int64) (done func(), err error) {
	if limit <= maxBody || r.ContentLength >= 0 && r.ContentLength <= maxBody {
		return func() {}, nil
	}
	select {
	case s.large <- struct{}{}:
		return func() { <-s.large }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %d large requests are answered already", samsa.ErrUnavailable, maxLarge)
	}
}

// allow refuses writes where the handler takes none, and those that a page of somebody's could have a browser make.
func (s *server) allow(r *http.Request) error {
	switch {
	case r.Method == http.MethodGet || r.Method == http.MethodHead:
		return nil
	case !s.opts.Write:
		return fmt.Errorf("%w: the API was opened for reading", samsa.ErrReadOnly)
	case r.Header.Get(RequestHeader) == "":
		return &Error{Name: "ErrInvalid", Message: "a request that writes needs the header " + RequestHeader + ": 1", Status: http.StatusForbidden}
	}
	return nil
}

// send writes a stream, if there is a place for one.
func (s *server) send(w http.ResponseWriter, send stream) {
	select {
	case s.streams <- struct{}{}:
		defer func() { <-s.streams }()
	default:
		writeError(w, fmt.Errorf("%w: %d streams run already", samsa.ErrUnavailable, maxStreams))
		return
	}
	if err := send(w); err != nil {
		writeError(w, err)
	}
}

// readBody returns the body of a request, within its bounds.
func readBody(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	if r.Body == nil || r.Body == http.NoBody || r.ContentLength == 0 {
		return nil, nil
	}
	if r.ContentLength > limit {
		return nil, fmt.Errorf("%w: the request has %d bytes, at most %d", samsa.ErrTooLarge, r.ContentLength, limit)
	}
	if err := wantType(r, "application/json"); err != nil {
		return nil, err
	}
	ctl := http.NewResponseController(w)
	_ = ctl.SetReadDeadline(time.Now().Add(bodyLimit)) // what has no deadlines is no connection
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	_ = ctl.SetReadDeadline(time.Time{})
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return nil, fmt.Errorf("%w: the request has more than %d bytes", samsa.ErrTooLarge, limit)
	case err != nil:
		return nil, fmt.Errorf("%w: the body of the request: %w", samsa.ErrInvalid, err)
	}
	return text, nil
}

// wantType refuses a body of another kind.
func wantType(r *http.Request, want string) error {
	got := r.Header.Get("Content-Type")
	if kind, _, err := mime.ParseMediaType(got); err == nil && kind == want {
		return nil
	}
	return &Error{
		Name: "ErrUnsupported", Message: fmt.Sprintf("the Content-Type is %.100q, want %s", got, want), Status: http.StatusUnsupportedMediaType,
	}
}

// streamBody returns the body of a request that is read as it comes.
func streamBody(w http.ResponseWriter, r *http.Request) (io.Reader, error) {
	if err := wantType(r, "application/octet-stream"); err != nil {
		return nil, err
	}
	return &patientReader{r: r.Body, ctl: http.NewResponseController(w)}, nil
}

// patientReader reads from who writes slowly, as long as something comes in bodyLimit.
type patientReader struct {
	r   io.Reader
	ctl *http.ResponseController
}

func (p *patientReader) Read(b []byte) (int, error) {
	_ = p.ctl.SetReadDeadline(time.Now().Add(bodyLimit)) // what has no deadlines is no connection
	n, err := p.r.Read(b)
	_ = p.ctl.SetReadDeadline(time.Time{})
	return n, err
}

// writeJSON writes an answer. One that the caller has already, by its ETag, is not sent again.
func writeJSON(w http.ResponseWriter, r *http.Request, answer any) {
	if answer == nil {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	text, err := encode(answer)
	if err != nil {
		writeError(w, err)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-cache")
	h.Set("X-Content-Type-Options", "nosniff")
	if r.Method == http.MethodGet {
		tag := `"` + strconv.FormatUint(xxhash.Sum64(text), 36) + `"`
		h.Set("ETag", tag)
		if r.Header.Get("If-None-Match") == tag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	h.Set("Content-Length", strconv.Itoa(len(text)))
	write(w, text)
}

// write writes the last of an answer. Who has asked is gone if that fails.
func write(w http.ResponseWriter, text []byte) {
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(streamLimit))
	_, _ = w.Write(text)
}

// writeError answers with an error.
func writeError(w http.ResponseWriter, err error) {
	e := asError(err)
	text, err := encode(struct {
		Error *Error `json:"error"`
	}{e})
	if err != nil {
		text = []byte(`{"error":{"message":"an error that JSON cannot tell"}}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(e.Status)
	write(w, text)
}

// call is a request that is being answered.
type call struct {
	s       *server
	b       *samsa.Broker
	r       *http.Request
	query   *params
	body    []byte
	in      io.Reader       // of a body that is streamed
	ctx     context.Context // of the request, for streams
	limited context.Context // which ends after callLimit, too
}

// decode reads the body into v.
func (c *call) decode(v any) error {
	if err := c.query.err(); err != nil {
		return err
	}
	if len(c.body) == 0 {
		return fmt.Errorf("%w: the request has no body", samsa.ErrInvalid)
	}
	if err := checkSize(c.body); err != nil {
		return err
	}
	err := decodeStrictly(c.body, v)
	if err == nil || errors.Is(err, samsa.ErrInvalid) {
		return err
	}
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) {
		return fmt.Errorf("%w: the body: %s is a %s", samsa.ErrInvalid, wrong.Field, wrong.Value)
	}
	return fmt.Errorf("%w: the body: %w", samsa.ErrInvalid, err)
}

// none is for requests that have neither a query nor a body.
func (c *call) none() error {
	if err := c.query.err(); err != nil {
		return err
	}
	if len(c.body) > 0 {
		return fmt.Errorf("%w: the request has a body, want none", samsa.ErrInvalid)
	}
	return nil
}
