package kafka

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/hook"
	"github.com/samsa-go/samsa/internal/measure"
)

// Stats is what a server has done since it began, and what it has now. Numbers of what was done only grow.
type Stats struct {
	Connections int   // open
	Accepted    int64 // connections, the open ones too
	Refused     int64 // connections beyond Options.MaxConnections, or sooner than a quota allows
	Broken      int64 // connections that ended by an error: not by their client, and not by silence

	// With Options.Security: how often somebody has logged in by SASL, or tried in vain or asked for something before, and how many
	// handshakes of TLS have failed.
	Logins, FailedLogins, FailedHandshakes int64

	Requests []RequestStats // by key, those that have come
	Errors   []ErrorStats   // by code, those that were answered

	InFlight          int   // requests that were read and are not answered
	BytesIn, BytesOut int64 // of requests and answers, with their lengths

	// Bytes in use of Options.MaxMemoryBytes, and how many there are for each: for requests until they are answered, for
	// answers until they are written, and for fetch sessions.
	RequestMemory, AnswerMemory, SessionMemory MemoryStats
}

// RequestStats is the requests of one API key.
type RequestStats struct {
	Key      int16
	Name     string         // as "Produce"
	Versions []VersionStats // those that have come
	// Times are those, in seconds, from when a request was read until its answer was written. That of a Fetch has the time
	// in which it waits for records, and that of a JoinGroup the time in which it waits for others.
	Times samsa.Histogram
}

// VersionStats is how many requests of one version there were.
type VersionStats struct {
	Version  int16
	Requests int64
}

// ErrorStats is how often a code was answered: once for each topic, partition, group or other thing of a request that had
// it.
type ErrorStats struct {
	Code   int16
	Name   string // as "NOT_LEADER_OR_FOLLOWER"; "" for a code that Kafka does not have
	Errors int64
}

// MemoryStats is a number of bytes, and how many there are.
type MemoryStats struct{ Used, Max int64 }

// Stats returns statistics. It may be called by anybody at any time, also after Close.
func (s *Server) Stats() Stats {
	t := &s.tally
	st := Stats{
		Accepted: t.accepted.Load(), Refused: t.refused.Load(), Broken: t.broken.Load(),
		Logins: t.logins.Load(), FailedLogins: t.failedLogins.Load(), FailedHandshakes: t.handshakes.Load(),
		InFlight: int(t.inFlight.Load()), BytesIn: t.in.Load(), BytesOut: t.out.Load(),
		RequestMemory: s.memory.requests.stats(), AnswerMemory: s.memory.answers.stats(),
		SessionMemory: MemoryStats{s.memory.sessions.Load(), s.memory.maxSessions},
		Errors:        t.errorStats(),
	}
	s.mu.Lock()
	st.Connections = len(s.conns)
	s.mu.Unlock()
	for i := range s.table {
		if r := t.requests[i].stats(&s.table[i]); len(r.Versions) > 0 {
			st.Requests = append(st.Requests, r)
		}
	}
	return st
}

// tally counts what a server does.
type tally struct {
	accepted, refused, broken        atomic.Int64
	logins, failedLogins, handshakes atomic.Int64 // those of TLS that have failed
	inFlight, in, out                atomic.Int64
	requests                         []requestTally // as the server's table

	mu     sync.Mutex // guards errors
	errors map[int16]int64
}

// requestTally counts requests of one key.
type requestTally struct {
	versions []atomic.Int64 // from the lowest on
	times    measure.Times
}

func (t *tally) init(table []entry) {
	t.errors, t.requests = make(map[int16]int64), make([]requestTally, len(table))
	for i := range table {
		t.requests[i].versions = make([]atomic.Int64, table[i].max-table[i].min+1)
	}
}

func (r *requestTally) stats(e *entry) RequestStats {
	st := RequestStats{Key: e.key.Int16(), Name: e.key.Name()}
	for i := range r.versions {
		if n := r.versions[i].Load(); n > 0 {
			st.Versions = append(st.Versions, VersionStats{e.min + int16(i), n})
		}
	}
	if len(st.Versions) > 0 {
		st.Times = r.times.Histogram()
	}
	return st
}

func (t *tally) errorStats() (all []ErrorStats) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, code := range slices.Sorted(maps.Keys(t.errors)) {
		all = append(all, ErrorStats{code, meanings[Code(code)].name, t.errors[code]})
	}
	return all
}

// came counts a request. One of a version that there is not, which is answered all the same, counts as the lowest.
func (t *tally) came(c *call) {
	c.began = time.Now()
	t.in.Add(int64(c.bytes) + frameLengthSize)
	t.inFlight.Add(1)
	v := c.version
	if v < c.entry.min || v > c.entry.max {
		v = c.entry.min
	}
	c.tally.versions[v-c.entry.min].Add(1)
}

// went counts a request that is over, and, unless its connection is broken, how long it took.
func (t *tally) went(c *call, broken bool) {
	t.inFlight.Add(-1)
	if broken {
		return
	}
	took := time.Since(c.began)
	c.tally.times.Observe(took)
	if hooks := c.s.in.Hooks; hooks.Requests() {
		hooks.Requested(c.ctx, &hook.RequestEvent{
			Key: c.key, Version: c.version, Name: c.entry.key.Name(), ClientID: c.clientID, Remote: c.conn.remote,
			Bytes: c.bytes + frameLengthSize, AnswerBytes: c.answerBytes, Began: c.began, Took: took, Errors: c.errors, Code: c.firstError,
		})
	}
}

// answered counts the error codes of an answer.
func (t *tally) answered(c *call, resp kmsg.Response) {
	c.errors, c.firstError = 0, codeNone
	eachCode(resp, func(code int16) {
		if code != codeNone {
			if c.errors++; c.errors == 1 {
				c.firstError = code
			}
			t.mu.Lock()
			t.errors[code]++
			t.mu.Unlock()
		}
	})
}

// eachCode calls fn with all error codes of an answer, or but for those that are no error.
func eachCode(resp kmsg.Response, fn func(code int16)) {
	switch r := resp.(type) {
	case *kmsg.ProduceResponse:
		for i := range r.Topics {
			for j := range r.Topics[i].Partitions {
				fn(r.Topics[i].Partitions[j].ErrorCode)
			}
		}
	case *kmsg.FetchResponse:
		fn(r.ErrorCode)
		for i := range r.Topics {
			for j := range r.Topics[i].Partitions {
				fn(r.Topics[i].Partitions[j].ErrorCode)
			}
		}
	default:
		v := reflect.ValueOf(resp).Elem()
		codesOf(v.Type()).each(v, fn)
	}
}

// codeFields is where the error codes of a struct are.
type codeFields struct {
	own    []int // indexes of fields
	nested []int // of slices of structs that have some
	of     []*codeFields
}

var codeFieldsOf sync.Map // of reflect.Type to *codeFields

func codesOf(t reflect.Type) *codeFields {
	if known, ok := codeFieldsOf.Load(t); ok {
		return known.(*codeFields)
	}
	f := new(codeFields)
	for i := range t.NumField() {
		field := t.Field(i)
		switch {
		case field.Type.Kind() == reflect.Int16 && strings.HasSuffix(field.Name, "ErrorCode"):
			f.own = append(f.own, i)
		case field.Type.Kind() == reflect.Slice && field.Type.Elem().Kind() == reflect.Struct:
			if of := codesOf(field.Type.Elem()); len(of.own)+len(of.nested) > 0 {
				f.nested, f.of = append(f.nested, i), append(f.of, of)
			}
		}
	}
	codeFieldsOf.Store(t, f)
	return f
}

func (f *codeFields) each(v reflect.Value, fn func(code int16)) {
	for _, i := range f.own {
		fn(int16(v.Field(i).Int()))
	}
	for n, i := range f.nested {
		for j := range v.Field(i).Len() {
			f.of[n].each(v.Field(i).Index(j), fn)
		}
	}
}
