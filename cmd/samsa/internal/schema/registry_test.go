package schema

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/sr"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/adapters/registry"
	"github.com/samsa-go/samsa/samsatest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The schemas of the tests, by what their ids are called.
var schemas = []struct {
	name, subject string
	schema        sr.Schema
}{
	{"avro", "order-value", sr.Schema{Schema: `{"type":"record","name":"Order","namespace":"shop","fields":[
		{"name":"id","type":"long"},{"name":"buyer","type":["null","string"],"default":null},{"name":"at","type":"shop.Place"},
		{"name":"tags","type":{"type":"map","values":"int"},"default":{}},{"name":"raw","type":"bytes","default":""}]}`,
		References: []sr.SchemaReference{{Name: "shop.Place", Subject: "place", Version: 1}}}},
	{"place", "place", sr.Schema{Schema: `{"type":"record","name":"Place","namespace":"shop","fields":[{"name":"y","type":"double"},{"name":"x","type":"double"}]}`}},
	{"list", "list", sr.Schema{Schema: `{"type":"record","name":"L","fields":[{"name":"n","type":"int"},{"name":"next","type":["null","L"]}]}`}},
	{"proto", "click-value", sr.Schema{Type: sr.TypeProtobuf, Schema: `syntax = "proto3"; package web;
		import "base/user.proto"; import "google/protobuf/timestamp.proto"; import "google/protobuf/wrappers.proto"; import "google/protobuf/any.proto";
		message Click { int64 n = 1; base.User user = 2; google.protobuf.Timestamp at = 3; google.protobuf.UInt64Value seen = 4;
			map<string, sfixed64> sizes = 5; repeated uint64 ids = 6; bool gone = 7; Click parent = 8; string page = 9; google.protobuf.Any any = 10; }
		message Other { message First { string a = 1; } message Second { int64 b = 1; } }`,
		References: []sr.SchemaReference{{Name: "base/user.proto", Subject: "user", Version: 1}}}},
	{"proto2", "proto2", sr.Schema{Type: sr.TypeProtobuf, Schema: `syntax = "proto2"; package old; enum Kind { ONE = 1; TWO = 2; }
		message M { required int64 a = 1; optional Kind kind = 2; optional group Group = 3 { optional double c = 1; } optional double ratio = 4; extensions 100 to 200; }
		extend M { repeated uint64 extra = 100; }`}},
	{"user", "user", sr.Schema{Type: sr.TypeProtobuf, Schema: `syntax = "proto3"; package base; message User { string name = 1; fixed64 number = 2; }`}},
	{"json", "visit-value", sr.Schema{Type: sr.TypeJSON, Schema: `{"type":"object","properties":{"n":{"type":"integer"},"by":{"$ref":"person.json"}},"required":["n"]}`,
		References: []sr.SchemaReference{{Name: "person.json", Subject: "person", Version: 1}}}},
	{"person", "person", sr.Schema{Type: sr.TypeJSON, Schema: `{"type":"string","minLength":2}`}},
	{"broken", "broken", sr.Schema{Schema: `{"type":"recor`}},
	{"dangling", "dangling", sr.Schema{Type: sr.TypeProtobuf, Schema: `syntax = "proto3"; import "nowhere.proto"; message A { B b = 1; }`}},
	{"circle", "circle", sr.Schema{Type: sr.TypeProtobuf, Schema: `syntax = "proto3"; import "circle.proto"; message A {}`,
		References: []sr.SchemaReference{{Name: "circle.proto", Subject: "circle", Version: 1}}}},
	{"outside", "outside", sr.Schema{Type: sr.TypeJSON, Schema: `{"$ref":"file:///etc/passwd"}`}},
	{"lost", "lost", sr.Schema{Schema: `"int"`, References: []sr.SchemaReference{{Name: "x", Subject: "nowhere", Version: 3}}}},
	{"union", "union", sr.Schema{Schema: `{"type":"array","items":["null","int",{"type":"record","name":"a.P","fields":[{"name":"x","aliases":["y"],"type":"int"}]},
		{"type":"record","name":"a.M","fields":[{"name":"m","type":{"type":"map","values":{"type":"array","items":["null","P"]}}}]}]}`}},
	{"nulls", "nulls", sr.Schema{Schema: `{"type":"array","items":"null"}`}},
}

// away is a registry that counts what it is asked, and may be away.
type away struct {
	*httptest.Server
	b      *samsa.Broker
	asked  atomic.Int64
	status atomic.Int64 // when it is not 0, all are answered by this
}

// world is a registry with the schemas of the tests, some of which none would take: they stand in its topic.
func world(t testing.TB) (*Registry, *away, map[string]int) {
	t.Helper()
	w := &away{b: samsatest.New(t)}
	if _, err := w.b.Topics().Ensure(t.Context(), "_schemas", samsa.TopicConfig{Partitions: 1, CleanupPolicy: samsa.CleanupCompact}); err != nil {
		t.Fatal(err)
	}
	ids := make(map[string]int)
	for i, s := range schemas {
		ids[s.name] = i + 1
		value, err := json.Marshal(sr.SubjectSchema{Subject: s.subject, Version: 1, ID: i + 1, Schema: s.schema})
		if err != nil {
			t.Fatal(err)
		}
		key := fmt.Sprintf(`{"keytype":"SCHEMA","subject":%q,"version":1,"magic":1}`, s.subject)
		if _, err := w.b.Produce(t.Context(), samsa.Record{Topic: "_schemas", Key: []byte(key), Value: value}); err != nil {
			t.Fatal(err)
		}
	}
	served, err := registry.New(t.Context(), w.b, registry.Options{Failed: func(err error) { t.Error(err) }})
	if err != nil {
		t.Fatal(err)
	}
	w.Server = httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, req *http.Request) {
		w.asked.Add(1)
		if code := w.status.Load(); code != 0 {
			out.WriteHeader(int(code))
			return
		}
		served.ServeHTTP(out, req)
	}))
	t.Cleanup(func() {
		w.Close()
		if err := served.Close(); err != nil {
			t.Error(err)
		}
	})
	r, err := New(w.URL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r, w, ids
}

// What is encoded is decoded as it was: integers of 64 bits too, in each format, with references.
func TestRoundTrip(t *testing.T) {
	r, _, ids := world(t)
	for _, tt := range []struct{ name, message, in, out string }{
		{name: "avro", in: `{"id":9223372036854775807,"buyer":{"string":"gregor"},"at":{"y":1.5,"x":-2},"tags":{"b":2,"a":1,"c":3},"raw":"\u00ff<"}`,
			out: `{"id":9223372036854775807,"buyer":{"string":"gregor"},"at":{"y":1.5,"x":-2},"tags":{"a":1,"b":2,"c":3},"raw":"ÿ<"}`},
		{name: "avro", in: `{"id":-9007199254740993,"buyer":"gregor","at":{"x":0,"y":0},"tags":{},"raw":""}`,
			out: `{"id":-9007199254740993,"buyer":{"string":"gregor"},"at":{"y":0,"x":0},"tags":{},"raw":""}`},
		{name: "avro", in: `{"id":1,"at":{"x":0,"y":0}}`, out: `{"id":1,"buyer":null,"at":{"y":0,"x":0},"tags":{},"raw":""}`},
		{name: "list", in: `{"n":1,"next":{"L":{"n":2,"next":null}}}`, out: `{"n":1,"next":{"L":{"n":2,"next":null}}}`},
		{name: "union", in: `[null,7,{"a.P":{"y":1}},{"P":{"x":2}},{"M":{"m":{"k":[{"x":1},null]}}}]`,
			out: `[null,{"int":7},{"a.P":{"x":1}},{"a.P":{"x":2}},{"a.M":{"m":{"k":[{"a.P":{"x":1}},null]}}}]`},
		{name: "proto", in: `{"n":"9007199254740993","user":{"name":"<g>","number":18446744073709551615},"at":"2026-11-29T13:19:21Z","seen":"18446744073709551615",
			"sizes":{"b":"-9223372036854775808","a":1},"ids":[1,"18446744073709551615"],"page":"7","parent":{"n":5}}`,
			out: `{"n":9007199254740993,"user":{"name":"<g>","number":18446744073709551615},"at":"2026-11-29T13:19:21Z","seen":18446744073709551615,` +
				`"sizes":{"a":1,"b":-9223372036854775808},"ids":[1,18446744073709551615],"gone":false,` +
				`"parent":{"n":5,"sizes":{},"ids":[],"gone":false,"page":""},"page":"7"}`},
		{name: "proto", message: "Other.Second", in: `{"b":-5}`, out: `{"b":-5}`},
		{name: "proto", message: "web.Other.First", in: `{"a":"x"}`, out: `{"a":"x"}`},
		{name: "proto", in: `{"any":{"@type":"type.googleapis.com/base.User","name":"g"}}`,
			out: `{"n":0,"sizes":{},"ids":[],"gone":false,"page":"","any":{"@type":"type.googleapis.com/base.User","name":"g","number":0}}`},
		{name: "proto", in: `{"any":{"@type":"type.googleapis.com/google.protobuf.Int64Value","value":"-9"}}`,
			out: `{"n":0,"sizes":{},"ids":[],"gone":false,"page":"","any":{"@type":"type.googleapis.com/google.protobuf.Int64Value","value":-9}}`},
		{name: "proto2", in: `{"a":"7","[old.extra]":["8"],"kind":"TWO","group":{"c":1.5},"ratio":"NaN"}`,
			out: `{"a":7,"kind":"TWO","group":{"c":1.5},"ratio":"NaN","[old.extra]":[8]}`},
		{name: "json", in: ` {"n": 9223372036854775808, "by": "<g>"} `, out: `{"n":9223372036854775808,"by":"<g>"}`},
	} {
		e, err := r.Encoder(t.Context(), Target{ID: ids[tt.name], Message: tt.message})
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		for range 3 {
			b, err := e.Encode([]byte(tt.in))
			if err != nil {
				t.Fatalf("%s: %s: %v", tt.name, tt.in, err)
			}
			if id := binary.BigEndian.Uint32(b[1:]); b[0] != 0 || int(id) != ids[tt.name] {
				t.Errorf("%s: it begins with %x", tt.name, b[:5])
			}
			got, err := r.Decode(t.Context(), b)
			if err != nil || string(got) != tt.out {
				t.Errorf("%s: got\n%s, error %v, want\n%s", tt.name, got, err, tt.out)
			}
			again, err := e.Encode(got)
			if err != nil || (!bytes.Equal(again, b) && tt.name != "avro") { // maps of Avro are stored in any order
				t.Errorf("%s: got %x again, error %v, want %x", tt.name, again, err, b)
			}
		}
	}
}

// The wire format is Confluent's, byte for byte.
func TestWireFormat(t *testing.T) {
	r, _, ids := world(t)
	for _, tt := range []struct {
		target Target
		in     string
		want   string // behind the id
	}{
		{Target{Subject: "click-value"}, `{"n":1}`, "\x00\x08\x01"},
		{Target{Subject: "click-value", Message: "Other"}, `{}`, "\x02\x02"},
		{Target{Subject: "click-value", Message: "Other.Second"}, `{"b":1}`, "\x04\x02\x02\x08\x01"},
		{Target{Subject: "place"}, `{"y":0,"x":0}`, strings.Repeat("\x00", 16)},
		{Target{ID: ids["json"]}, `{"n":1}`, `{"n":1}`},
	} {
		e, err := r.Encoder(t.Context(), tt.target)
		if err != nil {
			t.Fatal(err)
		}
		got, err := e.Encode([]byte(tt.in))
		if err != nil || string(got[5:]) != tt.want {
			t.Errorf("%+v: got %x, error %v, want %x", tt.target, got, err, tt.want)
		}
	}
	// The long form of the first message is read too.
	got, err := r.Decode(t.Context(), append([]byte{0, 0, 0, 0, byte(ids["user"])}, "\x02\x00\x0a\x01g"...))
	if err != nil || string(got) != `{"name":"g","number":0}` {
		t.Errorf("got %s, error %v", got, err)
	}
}

// What cannot be decoded says why, as an ErrRecord, and other records are decoded all the same.
func TestNotDecoded(t *testing.T) {
	r, w, ids := world(t)
	for _, tt := range []struct{ schema, data, says string }{
		{"", "", "byte 0"},
		{"", "\x00\x00\x00", "byte 0"},
		{"", "plain text", "byte 0"},
		{"", "\x00\xff\xff\xff\xffx", "schema 4294967295: not in the registry at " + w.URL},
		{"avro", "", "schema 1"},
		{"place", strings.Repeat("\x00", 17), "1 bytes follow"},
		{"list", strings.Repeat("\x02\x02", 1_000_000), "by schema"},
		{"nulls", "\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01", "by schema"},
		{"proto", "", "place of its message"},
		{"proto", "\x02\x04", "no message at [2]"},
		{"proto", "\x02\x01", "no message at [-1]"},
		{"proto", "\x01", "place of its message"},
		{"proto", "\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01", "place of its message"},
		{"proto", "\x00\x4a\x01\xff", "UTF-8"},
		{"proto", "\x00" + strings.Repeat("\x43", 100_000), "web.Click"},
		{"proto", "\x00\x52\x04\x0a\x02/a", "web.Click"},
		{"json", `{"n":`, "no JSON"},
		{"json", strings.Repeat("[", 100_000), "no JSON"},
		{"json", "\"\xff\"", "UTF-8"},
		{"json", `1 2`, "no JSON"},
		{"broken", "x", "wrong schema of type AVRO"},
		{"dangling", "\x00", "nowhere.proto"},
		{"circle", "\x00", "circle.proto"},
		{"lost", "\x00", `subject "nowhere", version 3: not in the registry`},
	} {
		b := []byte(tt.data)
		if tt.schema != "" {
			b = append(binary.BigEndian.AppendUint32([]byte{0}, uint32(ids[tt.schema])), tt.data...)
		}
		_, err := r.Decode(t.Context(), b)
		if !errors.Is(err, ErrRecord) || errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s %.20q: error %v, want %q", tt.schema, tt.data, err, tt.says)
		}
	}
}

// What cannot be encoded says why.
func TestNotEncoded(t *testing.T) {
	r, w, ids := world(t)
	for _, tt := range []struct{ schema, text, says string }{
		{"avro", "", "JSON"},
		{"avro", "gregor", "JSON"},
		{"avro", `{"id":"x","at":{"x":0,"y":0}}`, "id"},
		{"avro", `{"id":9223372036854775808,"at":{"x":0,"y":0}}`, "id"},
		{"avro", `{"at":{"x":0,"y":0}}`, "id"},
		{"avro", `{"id":1,"at":{"x":0,"y":0}} {}`, "JSON"},
		{"avro", `{"id":1,"at":{"x":0,"y":0},"buyr":"gregor"}`, `shop.Order has no field "buyr"`},
		{"avro", `{"id":1,"at":{"x":0,"y":0,"z":0}}`, `shop.Place has no field "z"`},
		{"list", `{"n":1,"next":{"n":1,"next":{"L":{"n":1,"next":null,"m":1}}}}`, `L has no field "m"`},
		{"union", `[{"P":{"x":1}},{"x":1},{"a.M":{"m":{"k":[{"a.P":{"x":1,"w":2}}]}}},3]`, `a.P has no field "w"`},
		{"proto", `{"n":9223372036854775808}`, "n"},
		{"proto", `{"m":1}`, "m"},
		{"proto", `{"n":1} {}`, "web.Click"},
		{"json", `{}`, "'n'"},
		{"json", `{"n":1,"by":"g"}`, "minLength"},
		{"json", `{`, "JSON"},
	} {
		e, err := r.Encoder(t.Context(), Target{ID: ids[tt.schema]})
		if err != nil {
			t.Fatal(err)
		}
		if b, err := e.Encode([]byte(tt.text)); !errors.Is(err, ErrText) || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s %s: got %x, error %v, want %q", tt.schema, tt.text, b, err, tt.says)
		}
	}
	for _, tt := range []struct {
		target Target
		is     error
		says   string
	}{
		{Target{ID: 99}, ErrNotFound, "schema 99: not in the registry at " + w.URL},
		{Target{Subject: "nothing"}, ErrNotFound, `subject "nothing"`},
		{Target{Subject: "click-value", Message: "Nobody"}, nil, `no message "Nobody"`},
		{Target{Subject: "place", Message: "Place"}, errNoMessages, "not Protobuf"},
		{Target{Subject: "visit-value", Message: "V"}, errNoMessages, "not Protobuf"},
		{Target{Subject: "outside"}, nil, "not among the references"},
		{Target{Subject: "broken"}, ErrSchema, "wrong schema"},
	} {
		_, err := r.Encoder(t.Context(), tt.target)
		if err == nil || tt.is != nil && !errors.Is(err, tt.is) || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%+v: error %v, want %q", tt.target, err, tt.says)
		}
	}
}

// A schema is asked for once; one that is not there is asked for again after a while.
func TestRemembers(t *testing.T) {
	r, w, ids := world(t)
	now := time.Unix(0, 0)
	r.now = func() time.Time { return now }
	good := append([]byte{0, 0, 0, 0, byte(ids["place"])}, make([]byte, 16)...)
	missing := []byte{0, 0, 0, 0, byte(len(schemas) + 1), 2}
	for range 5 {
		if _, err := r.Decode(t.Context(), good); err != nil {
			t.Error(err)
		}
		if _, err := r.Decode(t.Context(), missing); !errors.Is(err, ErrRecord) {
			t.Errorf("error %v", err)
		}
	}
	if n := w.asked.Load(); n != 2 {
		t.Errorf("it was asked %d times, want 2", n)
	}
	if s, err := r.client.CreateSchema(t.Context(), "late", sr.Schema{Schema: `"int"`}); err != nil || s.ID != int(missing[4]) {
		t.Fatalf("%+v, %v", s, err)
	}
	now = now.Add(missFor)
	if got, err := r.Decode(t.Context(), missing); string(got) != "1" {
		t.Errorf("got %s, error %v", got, err)
	}
}

// A registry that is away, or is none, is told from a record that is wrong, and is asked again.
func TestUnavailable(t *testing.T) {
	r, w, ids := world(t)
	b := append([]byte{0, 0, 0, 0, byte(ids["place"])}, make([]byte, 16)...)
	for _, tt := range []struct {
		status int64
		away   bool
		says   string
	}{{503, true, "503"}, {429, true, "429"}, {401, false, "401"}, {404, false, "404"}, {200, false, w.URL}} {
		w.status.Store(tt.status)
		_, err := r.Decode(t.Context(), b)
		if err == nil || errors.Is(err, ErrRecord) || errors.Is(err, ErrUnavailable) != tt.away || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%d: error %v", tt.status, err)
		}
	}
	w.status.Store(0)
	if _, err := r.Decode(t.Context(), b); err != nil {
		t.Errorf("later: %v", err)
	}
	gone := httptest.NewServer(nil)
	gone.Close()
	away, err := New(strings.Replace(gone.URL, "http://", "http://me:secret@", 1))
	if err != nil {
		t.Fatal(err)
	}
	defer away.Close()
	if _, err := away.Decode(t.Context(), b); !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), gone.URL) || strings.Contains(err.Error(), "secret") {
		t.Errorf("error %v", err)
	}
	for _, address := range []string{"", "localhost:8081", "ftp://host", "http://", "http://me:secret@", "http://%zz", "ftp://me:secret@host"} {
		if _, err := New(address); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: error %v", address, err)
		}
	}
}

// An answer without end, and one that never comes, are given up.
func TestHostileRegistry(t *testing.T) {
	stop := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if strings.HasSuffix(req.URL.Path, "/1") {
			<-stop
			return
		}
		user, password, _ := req.BasicAuth()
		if user != "me" || password != "secret" {
			t.Errorf("it was asked as %q, %q", user, password)
		}
		_, _ = w.Write([]byte(`{"schema":"`))
		for i := 0; i < 2*maxAnswer; i += 1 << 20 {
			_, _ = w.Write(bytes.Repeat([]byte("a"), 1<<20))
		}
	}))
	defer s.Close()
	defer close(stop)
	r, err := New(strings.Replace(s.URL, "http://", "http://me:secret@", 1))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := r.Decode(t.Context(), []byte{0, 0, 0, 0, 2}); err == nil || !strings.Contains(err.Error(), "longer than") {
		t.Errorf("error %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.Decode(ctx, []byte{0, 0, 0, 0, 1}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

// No bytes make it panic, or stop decoding what is right: bytes at random, and records of which some were changed.
func TestAnyBytes(t *testing.T) {
	r, _, ids := world(t)
	var samples [][]byte
	for _, x := range []struct{ schema, text string }{
		{"avro", `{"id":9007199254740993,"buyer":"gregor","at":{"x":0,"y":0},"tags":{"a":1,"b":2},"raw":"a"}`},
		{"union", `[null,7,{"a.P":{"y":1}},{"M":{"m":{"k":[{"x":1},null]}}}]`},
		{"list", `{"n":1,"next":{"L":{"n":2,"next":null}}}`},
		{"proto", `{"n":"1","user":{"name":"g"},"at":"2026-11-29T13:19:21Z","seen":"1","sizes":{"b":1},"ids":[1,2],"any":{"@type":"/base.User"}}`},
		{"proto2", `{"a":"7","[old.extra]":["8"],"kind":"TWO","group":{"c":1.5}}`},
		{"json", `{"n":[1,{"a":"b"}]}`},
	} {
		e, err := r.Encoder(t.Context(), Target{ID: ids[x.schema]})
		if err != nil {
			t.Fatal(err)
		}
		b, err := e.Encode([]byte(x.text))
		if x.schema == "json" {
			b, err = append([]byte{0, 0, 0, 0, byte(ids[x.schema])}, x.text...), nil
		}
		if err != nil {
			t.Fatal(err)
		}
		samples = append(samples, b)
	}
	rapid.Check(t, func(rt *rapid.T) {
		b := []byte{0, 0, 0, 0, byte(rapid.IntRange(0, len(schemas)+1).Draw(rt, "id"))}
		if rapid.Bool().Draw(rt, "changed") {
			b = bytes.Clone(rapid.SampledFrom(samples).Draw(rt, "sample"))
			for range rapid.IntRange(1, 3).Draw(rt, "changes") {
				b[rapid.IntRange(5, len(b)-1).Draw(rt, "at")] = rapid.Byte().Draw(rt, "to")
			}
			b = b[:rapid.IntRange(5, len(b)).Draw(rt, "length")]
		} else {
			b = append(b, rapid.SliceOfN(rapid.Byte(), 0, 64).Draw(rt, "data")...)
		}
		text, err := r.Decode(t.Context(), b)
		if err == nil {
			if bad := oneValue(text); bad != nil || bytes.ContainsRune(text, '\n') {
				rt.Fatalf("it makes %q of %x: %v", text, b, bad)
			}
		} else if !errors.Is(err, ErrRecord) || strings.Contains(err.Error(), "panic") {
			rt.Fatalf("error %v", err)
		}
	})
}
