package registry_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/twmb/franz-go/pkg/sr"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/adapters/registry"
	"github.com/samsa-go/samsa/samsatest"
)

// world is a registry on a broker, and a client of it.
type world struct {
	*sr.Client
	t   *testing.T
	url string
}

// open begins a registry, which ends with the test, or by calling end.
func open(t *testing.T, b *samsa.Broker) (w world, end func()) {
	t.Helper()
	r, err := registry.New(t.Context(), b, registry.Options{Failed: func(err error) { t.Error(err) }})
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(r)
	end = sync.OnceFunc(func() {
		s.Close()
		for range 2 {
			if err := r.Close(); err != nil {
				t.Error(err)
			}
		}
	})
	t.Cleanup(end)
	c, err := sr.NewClient(sr.URLs(s.URL))
	if err != nil {
		t.Fatal(err)
	}
	return world{c, t, s.URL}, end
}

// add registers an Avro schema, and returns its id.
func (w world) add(subject, text string, refs ...sr.SchemaReference) int {
	w.t.Helper()
	id, err := w.RegisterSchema(w.t.Context(), subject, sr.Schema{Schema: text, References: refs}, -1, -1)
	if err != nil {
		w.t.Fatalf("%s: %v", subject, err)
	}
	return id
}

// say sends a request and returns the status and the body of its answer.
func (w world) say(method, path, body string, header ...string) string {
	w.t.Helper()
	q, err := http.NewRequestWithContext(w.t.Context(), method, w.url+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	if body != "" {
		q.Header.Set("Content-Type", "application/vnd.schemaregistry.v1+json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		q.Header.Set(header[i], header[i+1])
	}
	is, err := http.DefaultClient.Do(q)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = is.Body.Close() }()
	text, err := io.ReadAll(is.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return fmt.Sprintf("%d %s", is.StatusCode, text)
}

// wants looks at the code of an error, 0 for none.
func wants(t *testing.T, what string, err error, code int) {
	t.Helper()
	var is *sr.ResponseError
	switch {
	case code == 0 && err == nil:
	case errors.As(err, &is) && is.ErrorCode == code:
	default:
		t.Errorf("%s: %v, want code %d", what, err, code)
	}
}

const (
	v1 = `{"type":"record","name":"Order","fields":[{"name":"id","type":"long"}]}`
	// v2 reads what v1 has written, and v1 what v2 has.
	v2 = `{"type":"record","name":"Order","fields":[{"name":"id","type":"long"},{"name":"note","type":"string","default":""}]}`
	// v3 reads v2 but not v1.
	v3 = `{"type":"record","name":"Order","fields":[{"name":"id","type":"long"},{"name":"note","type":"string"}]}`
	// other is not read by the others, nor reads it them.
	other = `{"type":"record","name":"Order","fields":[{"name":"id","type":"string"}]}`
)

func TestRegister(t *testing.T) {
	ctx := t.Context()
	w, _ := open(t, samsatest.New(t))
	if a, b, c := w.add("a", v1), w.add("a", v1), w.add("b", v1); a != 1 || b != 1 || c != 1 {
		t.Errorf("the same schema has the ids %d, %d, %d", a, b, c)
	}
	if id := w.add("a", `{ "name": "Order", "type": "record", "fields": [ {"type": {"type":"long"}, "name":"id"} ] }`); id != 1 {
		t.Errorf("written in another way it has the id %d", id)
	}
	if id := w.add("a", v2); id != 2 {
		t.Errorf("the next one has the id %d", id)
	}
	s, err := w.SchemaByVersion(ctx, "a", -1)
	if err != nil || s.Version != 2 || s.ID != 2 || s.Schema.Schema != v2 {
		t.Errorf("the latest: %+v, %v", s, err)
	}
	if s, err := w.SchemaByID(ctx, 1); err != nil || s.Schema != v1 || s.Type != sr.TypeAvro {
		t.Errorf("by id: %+v, %v", s, err)
	}
	if s, err := w.SchemaTextByID(ctx, 1); err != nil || s != v1 {
		t.Errorf("text by id: %+v, %v", s, err)
	}
	if s, err := w.SchemaTextByVersion(ctx, "a", 2); err != nil || s != v2 {
		t.Errorf("text by version: %+v, %v", s, err)
	}
	if is, err := w.SubjectsByID(ctx, 1); err != nil || !slices.Equal(is, []string{"a", "b"}) {
		t.Errorf("subjects by id: %v, %v", is, err)
	}
	if is, err := w.SchemaVersionsByID(ctx, 1); err != nil || len(is) != 2 || is[1].Subject != "b" || is[1].Version != 1 {
		t.Errorf("versions by id: %v, %v", is, err)
	}
	if is, err := w.Subjects(ctx); err != nil || !slices.Equal(is, []string{"a", "b"}) {
		t.Errorf("subjects: %v, %v", is, err)
	}
	if is, err := w.SubjectVersions(ctx, "a"); err != nil || !slices.Equal(is, []int{1, 2}) {
		t.Errorf("versions: %v, %v", is, err)
	}
	if is, err := w.AllSchemas(ctx); err != nil || len(is) != 3 {
		t.Errorf("all: %v, %v", is, err)
	}
	if is, err := w.AllSchemas(sr.WithParams(ctx, sr.LatestOnly, sr.SubjectPrefix("a"))); err != nil || len(is) != 1 || is[0].ID != 2 {
		t.Errorf("the latest that begin with a: %v, %v", is, err)
	}
	if s, err := w.LookupSchema(ctx, "a", sr.Schema{Schema: v1}); err != nil || s.Version != 1 || s.ID != 1 {
		t.Errorf("looked up: %+v, %v", s, err)
	}
	if s, err := w.CreateSchema(ctx, "x/y ü%", sr.Schema{Schema: v1}); err != nil || s.Subject != "x/y ü%" || s.Version != 1 {
		t.Errorf("a subject with all sorts of letters: %+v, %v", s, err)
	}
	if is, err := w.SupportedTypes(ctx); err != nil || len(is) != 3 {
		t.Errorf("types: %v, %v", is, err)
	}
	_, err = w.LookupSchema(ctx, "a", sr.Schema{Schema: other})
	wants(t, "look up what is not there", err, 40403)
	_, err = w.LookupSchema(ctx, "none", sr.Schema{Schema: v1})
	wants(t, "look up in no subject", err, 40401)
	_, err = w.SchemaByID(ctx, 99)
	wants(t, "an id that nothing has", err, 40403)
	_, err = w.SchemaByVersion(ctx, "a", 99)
	wants(t, "a version that is not there", err, 40402)
	_, err = w.SchemaByVersion(ctx, "none", 1)
	wants(t, "a version of no subject", err, 40401)
	_, err = w.SubjectVersions(ctx, "none")
	wants(t, "versions of no subject", err, 40401)
}

func TestReferences(t *testing.T) {
	ctx := t.Context()
	w, _ := open(t, samsatest.New(t))
	w.add("money", `{"type":"record","name":"Money","namespace":"shop","fields":[{"name":"cents","type":"long"}]}`)
	ref := sr.SchemaReference{Name: "shop.Money", Subject: "money", Version: 1}
	order := `{"type":"record","name":"Order","namespace":"shop","fields":[{"name":"price","type":"Money"}]}`
	id := w.add("order", order, ref)
	if s, err := w.SchemaByID(ctx, id); err != nil || !slices.Equal(s.References, []sr.SchemaReference{ref}) {
		t.Errorf("references: %+v, %v", s, err)
	}
	if is, err := w.SchemaReferences(ctx, "money", 1); err != nil || len(is) != 1 || is[0].Subject != "order" {
		t.Errorf("who refers: %+v, %v", is, err)
	}
	_, err := w.RegisterSchema(ctx, "alone", sr.Schema{Schema: order}, -1, -1)
	wants(t, "without its reference", err, 42201)
	ref.Version = 2
	_, err = w.RegisterSchema(ctx, "alone", sr.Schema{Schema: order, References: []sr.SchemaReference{ref}}, -1, -1)
	wants(t, "with one that is not there", err, 42201)
	_, err = w.DeleteSubject(ctx, "money", sr.SoftDelete)
	wants(t, "delete what is referred to", err, 42206)
	wants(t, "delete the version that is referred to", w.DeleteSchema(ctx, "money", 1, sr.SoftDelete), 42206)
	_, err = w.DeleteSubject(ctx, "order", sr.SoftDelete)
	wants(t, "delete who refers", err, 0)
	_, err = w.DeleteSubject(ctx, "money", sr.SoftDelete)
	wants(t, "softly, once who refers is gone softly", err, 0)
	_, err = w.DeleteSubject(ctx, "money", sr.HardDelete)
	wants(t, "for good, while who refers may come back", err, 42206)
}

// Schemas that are no Avro are parsed and compared, with their references; what is not compared needs the level NONE.
func TestOtherTypes(t *testing.T) {
	ctx := t.Context()
	w, _ := open(t, samsatest.New(t))
	for _, c := range []struct {
		kind                              sr.SchemaType
		name                              string
		part, first, next, wrong, unclear string
	}{
		{
			sr.TypeProtobuf, "money.proto", `syntax = "proto3"; package shop; message Money { int64 cents = 1; }`,
			`syntax = "proto3"; import "money.proto"; import "google/protobuf/timestamp.proto"; message Order { shop.Money price = 1; google.protobuf.Timestamp at = 2; }`,
			`syntax = "proto3"; import "money.proto"; message Order { shop.Money price = 1; }`,
			`syntax = "proto3"; import "money.proto"; message Order { shop.Money price = 1; string at = 2; bytes name = 3; } message Other {}`,
			`edition = "2023"; import "money.proto"; message Order { shop.Money price = 1; extensions 10; } extend Order { int32 x = 10; }`,
		},
		{sr.TypeJSON, "money.json", `{"type":"integer"}`, `{"properties":{"price":{"$ref":"money.json"}}}`, `{"properties":{"price":{"anyOf":[{"$ref":"money.json"},{"type":"null"}]}}}`,
			`{"properties":{"price":{"$ref":"money.json"},"by":{"type":"string"}}}`, `{"properties":{"price":{"$ref":"money.json","not":{"const":3}}}}`},
	} {
		subject := c.kind.String()
		register := func(what, subject, text string, code int, refs ...sr.SchemaReference) {
			t.Helper()
			_, err := w.RegisterSchema(ctx, subject, sr.Schema{Type: c.kind, Schema: text, References: refs}, -1, -1)
			wants(t, subject+" "+what, err, code)
		}
		ref := sr.SchemaReference{Name: c.name, Subject: subject + "-part", Version: 1}
		register("part", ref.Subject, c.part, 0)
		register("without its reference", subject, c.first, 42201)
		register("first", subject, c.first, 0, ref)
		register("first again", subject, c.first, 0, ref)
		register("wrong", subject, c.wrong, 40901, ref)
		register("unclear", subject, c.unclear, 422, ref)
		for text, want := range map[string]bool{c.first: true, c.next: true, c.wrong: false} {
			is, err := w.CheckCompatibility(sr.WithParams(ctx, sr.Verbose), subject, -2, sr.Schema{Type: c.kind, Schema: text, References: []sr.SchemaReference{ref}})
			if err != nil || is.Is != want || is.Is != (len(is.Messages) == 0) {
				t.Errorf("%s: %v, %v", text, is, err)
			}
		}
		_, err := w.CheckCompatibility(ctx, subject, -2, sr.Schema{Type: c.kind, Schema: c.unclear, References: []sr.SchemaReference{ref}})
		wants(t, "compare "+subject, err, 422)
		register("next", subject, c.next, 0, ref)
		w.SetCompatibility(ctx, sr.SetCompatibility{Level: sr.CompatNone}, subject)
		register("unclear, not compared", subject, c.unclear, 0, ref)
		if s, err := w.SchemaByVersion(ctx, subject, 3); err != nil || s.Type != c.kind || s.Schema.Schema != c.unclear || len(s.References) != 1 {
			t.Errorf("%+v, %v", s, err)
		}
	}
}

func TestCompatibility(t *testing.T) {
	ctx := t.Context()
	w, _ := open(t, samsatest.New(t))
	if is := w.Compatibility(ctx, ""); is[0].Err != nil || is[0].Level != sr.CompatBackward {
		t.Errorf("the default: %+v", is)
	}
	for _, c := range []struct {
		level sr.CompatibilityLevel
		text  string
		ok    bool
	}{
		{sr.CompatNone, other, true},
		{sr.CompatBackward, v2, true}, {sr.CompatBackward, v3, true}, {sr.CompatBackward, other, false},
		{sr.CompatBackwardTransitive, v3, false},
		{sr.CompatForward, v1, true}, {sr.CompatForward, v3, true}, {sr.CompatForward, other, false},
		{sr.CompatForwardTransitive, v3, true},
		{sr.CompatFull, v3, true}, {sr.CompatFullTransitive, v3, false},
	} {
		subject := fmt.Sprintf("%s-%d", c.level, len(c.text))
		w.add(subject, v1)
		w.add(subject, v2)
		for _, is := range w.SetCompatibility(ctx, sr.SetCompatibility{Level: c.level}, subject) {
			wants(t, subject, is.Err, 0)
		}
		is, err := w.CheckCompatibility(ctx, subject, -2, sr.Schema{Schema: c.text})
		if err != nil || is.Is != c.ok {
			t.Errorf("%v of %s: %+v, %v", c.level, c.text, is, err)
		}
		code := 0
		if !c.ok {
			code = 40901
		}
		_, err = w.RegisterSchema(ctx, subject, sr.Schema{Schema: c.text}, -1, -1)
		wants(t, fmt.Sprintf("%v of %s", c.level, c.text), err, code)
	}
	w.add("one", v1)
	w.add("one", v2)
	if is, err := w.CheckCompatibility(sr.WithParams(ctx, sr.Verbose), "one", 1, sr.Schema{Schema: v3}); err != nil || is.Is || len(is.Messages) == 0 {
		t.Errorf("with version 1: %+v, %v", is, err)
	}
	if is, err := w.CheckCompatibility(ctx, "one", -1, sr.Schema{Schema: v3}); err != nil || !is.Is {
		t.Errorf("with the latest: %+v, %v", is, err)
	}
	_, err := w.CheckCompatibility(ctx, "one", 9, sr.Schema{Schema: v3})
	wants(t, "with a version that is not there", err, 40402)
	if is := w.SetCompatibility(ctx, sr.SetCompatibility{Level: sr.CompatFull}); is[0].Err != nil {
		t.Error(is)
	}
	wants(t, "a subject's own that is not there", w.Compatibility(ctx, "one")[0].Err, 40408)
	if is := w.Compatibility(sr.WithParams(ctx, sr.DefaultToGlobal), "one"); is[0].Err != nil || is[0].Level != sr.CompatFull {
		t.Errorf("the global one: %+v", is)
	}
	if is := w.ResetCompatibility(ctx, ""); is[0].Err != nil {
		t.Errorf("reset: %+v", is)
	}
	for _, c := range [][2]string{
		{`{"compatibility":"LOOSE"}`, `422 {"error_code":42203,`},
		{`{"compatibility":"full"}`, `200 {"compatibility":"FULL"}`},
		{`{"normalize":true}`, `200 {"normalize":true}`},
		{`{"compatibilityGroup":"v"}`, `422 {"error_code":422,"message":"This registry does not do compatibilityGroup"}`},
	} {
		if is := w.say("PUT", "/config/one", c[0]); !strings.HasPrefix(is, c[1]) {
			t.Errorf("%s: %s", c[0], is)
		}
	}
	if is := w.say("GET", "/config/one", ""); is != `200 {"normalize":true,"compatibilityLevel":"FULL"}` {
		t.Error(is)
	}
}

func TestModes(t *testing.T) {
	ctx := t.Context()
	w, _ := open(t, samsatest.New(t))
	set := func(m sr.Mode, code int, subjects ...string) {
		t.Helper()
		wants(t, fmt.Sprint(m, subjects), w.SetMode(ctx, m, subjects...)[0].Err, code)
	}
	register := func(what, subject, text string, id, version, code int) {
		t.Helper()
		_, err := w.RegisterSchema(ctx, subject, sr.Schema{Schema: text}, id, version)
		wants(t, what, err, code)
	}
	register("an id of one's own", "a", v1, 7, 3, 42205)
	set(sr.ModeImport, 0)
	register("no id while there is an import", "a", v1, -1, -1, 42205)
	register("import", "a", v1, 7, 3, 0)
	register("import without looking whether it is compatible", "a", other, 8, 4, 0)
	register("import another schema with the id", "b", v2, 7, 1, 42205)
	set(sr.ModeReadWrite, 0)
	set(sr.ModeImport, 42205)
	if id := w.add("b", v2); id != 9 {
		t.Errorf("after an import the next id is %d", id)
	}
	set(sr.ModeReadOnly, 0, "a")
	register("what is there, while it is read only", "a", v1, -1, -1, 42205)
	wants(t, "delete while it is read only", w.DeleteSchema(ctx, "a", 3, sr.SoftDelete), 42205)
	wants(t, "config while it is read only", w.SetCompatibility(ctx, sr.SetCompatibility{Level: sr.CompatNone}, "a")[0].Err, 42205)
	register("a subject beside it", "c", v1, -1, -1, 0)
	if is := w.ResetMode(ctx, "a"); is[0].Err != nil || is[0].Mode != sr.ModeReadOnly {
		t.Errorf("reset: %+v", is)
	}
	wants(t, "a subject's own that is not there", w.Mode(ctx, "a")[0].Err, 40409)
	register("writable again", "a", other, -1, -1, 0)
	for _, c := range [][2]string{
		{`{"mode":"SLEEP"}`, `422 {"error_code":42204,`},
		{`{"mode":"FORWARD"}`, `422 {"error_code":42204,`},
	} {
		if is := w.say("PUT", "/mode", c[0]); !strings.HasPrefix(is, c[1]) {
			t.Errorf("%s: %s", c[0], is)
		}
	}
}

func TestDelete(t *testing.T) {
	ctx := t.Context()
	w, _ := open(t, samsatest.New(t))
	w.add("a", v1)
	w.add("a", v2)
	wants(t, "for good at once", w.DeleteSchema(ctx, "a", 1, sr.HardDelete), 40407)
	wants(t, "softly", w.DeleteSchema(ctx, "a", 1, sr.SoftDelete), 0)
	wants(t, "softly again", w.DeleteSchema(ctx, "a", 1, sr.SoftDelete), 40406)
	_, err := w.SchemaByVersion(ctx, "a", 1)
	wants(t, "read what is deleted", err, 40402)
	if s, err := w.SchemaByVersion(sr.WithParams(ctx, sr.ShowDeleted), "a", 1); err != nil || s.ID != 1 {
		t.Errorf("what is deleted: %+v, %v", s, err)
	}
	if s, err := w.SchemaByID(ctx, 1); err != nil || s.Schema != v1 {
		t.Errorf("by its id: %+v, %v", s, err)
	}
	if id := w.add("a", v1); id != 1 {
		t.Errorf("again it has the id %d", id)
	}
	if is, err := w.SubjectVersions(sr.WithParams(ctx, sr.ShowDeleted), "a"); err != nil || !slices.Equal(is, []int{2, 3}) {
		t.Errorf("versions when it is there again: %v, %v", is, err)
	}
	_, err = w.DeleteSubject(ctx, "a", sr.HardDelete)
	wants(t, "the subject for good at once", err, 40405)
	if is, err := w.DeleteSubject(ctx, "a", sr.SoftDelete); err != nil || !slices.Equal(is, []int{2, 3}) {
		t.Errorf("deleted versions: %v, %v", is, err)
	}
	_, err = w.DeleteSubject(ctx, "a", sr.SoftDelete)
	wants(t, "the subject again", err, 40404)
	if is, err := w.Subjects(ctx); err != nil || len(is) != 0 {
		t.Errorf("subjects: %v, %v", is, err)
	}
	if is, err := w.Subjects(sr.WithParams(ctx, sr.ShowDeleted)); err != nil || !slices.Equal(is, []string{"a"}) {
		t.Errorf("subjects with deleted ones: %v, %v", is, err)
	}
	if is, err := w.DeleteSubject(ctx, "a", sr.HardDelete); err != nil || !slices.Equal(is, []int{2, 3}) {
		t.Errorf("deleted for good: %v, %v", is, err)
	}
	_, err = w.SchemaByID(ctx, 1)
	wants(t, "by its id, when it is gone for good", err, 40403)
	_, err = w.DeleteSubject(ctx, "a", sr.HardDelete)
	wants(t, "when it is gone for good", err, 40401)
	if id := w.add("a", v1); id != 3 {
		t.Errorf("an id is used again: %d", id)
	}
}

// all is what a registry says.
func (w world) all() string {
	w.t.Helper()
	var b strings.Builder
	for _, path := range []string{"/schemas?deleted=true", "/subjects", "/config", "/mode", "/config/b", "/mode/b"} {
		fmt.Fprintln(&b, path, w.say("GET", path, ""))
	}
	return b.String()
}

// A registry that is opened again says what it did, also when the topic was compacted.
func TestReopen(t *testing.T) {
	ctx := t.Context()
	b := samsatest.New(t)
	w, end := open(t, b)
	w.add("a", v1)
	w.add("a", v2)
	w.add("b", v1)
	w.add("gone", v1)
	w.SetCompatibility(ctx, sr.SetCompatibility{Level: sr.CompatFull}, "", "b")
	w.SetMode(ctx, sr.ModeReadOnly, "b")
	for _, how := range []sr.DeleteHow{sr.SoftDelete, sr.HardDelete} {
		if _, err := w.DeleteSubject(ctx, "gone", how); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.DeleteSubject(ctx, "a", sr.SoftDelete); err != nil {
		t.Fatal(err)
	}
	w.add("a", v2)
	was := w.all()
	end()
	for range 2 {
		w, end = open(t, b)
		if is := w.all(); is != was {
			t.Errorf("was\n%sis\n%s", was, is)
		}
		end()
		if _, err := b.Sweep(ctx); err != nil {
			t.Fatal(err)
		}
	}
}

// Whoever registers one schema at the same time gets one id, and different schemas get different ones.
func TestConcurrent(t *testing.T) {
	w, _ := open(t, samsatest.New(t))
	ids := make([][]int, 8)
	var wg sync.WaitGroup
	for g := range ids {
		wg.Go(func() {
			for i := range 20 {
				text := fmt.Sprintf(`{"type":"enum","name":"E","symbols":["A%d"]}`, i)
				id, err := w.RegisterSchema(t.Context(), fmt.Sprintf("s%d-%d", i, g%2), sr.Schema{Schema: text}, -1, -1)
				if err != nil {
					t.Error(err)
				}
				ids[g] = append(ids[g], id)
			}
		})
	}
	wg.Wait()
	for _, is := range ids {
		if !slices.Equal(is, ids[0]) {
			t.Errorf("%v and %v", is, ids[0])
		}
	}
	slices.Sort(ids[0])
	if len(slices.Compact(ids[0])) != 20 || ids[0][19] != 20 {
		t.Errorf("ids %v", ids[0])
	}
}

// The topic as Confluent's registry writes it, by an old release and a new one, is read, and goes on with its keys.
func TestConfluentsRecords(t *testing.T) {
	ctx := t.Context()
	b := samsatest.New(t)
	if err := b.Topics().Create(ctx, "_schemas", samsa.TopicConfig{CleanupPolicy: samsa.CleanupCompact}); err != nil {
		t.Fatal(err)
	}
	write := func(key, value string) {
		t.Helper()
		r := samsa.Record{Topic: "_schemas", Key: []byte(key), Value: []byte(value)}
		if value == "" {
			r.Value = nil
		}
		if _, err := b.Produce(ctx, r); err != nil {
			t.Fatal(err)
		}
	}
	write(`{"keytype":"NOOP","magic":0}`, "")
	write(`{"keytype":"CONFIG","subject":null,"magic":0}`, `{"compatibilityLevel":"NONE"}`)
	write(`{"keytype":"SCHEMA","subject":"a","version":1,"magic":0}`, `{"subject":"a","version":1,"id":10,"schema":"\"string\"","deleted":false}`)
	write(`{"keytype":"SCHEMA","subject":"a","version":2,"magic":1}`, `{"subject":"a","version":2,"id":11,"md5":"x","schemaType":"AVRO","schema":"\"long\"","deleted":false}`)
	write(`{"keytype":"SCHEMA","subject":"p","version":1,"magic":1}`, `{"subject":"p","version":1,"id":12,"schemaType":"PROTOBUF","schema":"syntax = \"proto3\";","deleted":false}`)
	write(`{"keytype":"SCHEMA","subject":":.other:a","version":1,"magic":1}`, `{"subject":":.other:a","version":1,"id":10,"schema":"\"bytes\"","deleted":false}`)
	write(`{"keytype":"CONTEXT","tenant":"default","context":".other","magic":0}`, `{"tenant":"default","context":".other"}`)
	write(`{"keytype":"DELETE_SUBJECT","subject":"a","magic":0}`, `{"subject":"a","version":1}`)
	write(`{"keytype":"SCHEMA","subject":"c","version":1,"magic":1}`, `{"subject":"c","version":1,"id":13,"schema":"\"int\"","deleted":true}`)
	write(`{"keytype":"CLEAR_SUBJECT","subject":"c","magic":0}`, `{"subject":"c"}`)
	write(`{"keytype":"CONFIG","subject":"g","magic":0}`, `{"subject":"g","compatibilityLevel":"FULL","compatibilityGroup":"v"}`)
	w, _ := open(t, b)
	for path, want := range map[string]string{
		"/schemas/ids/10":                   `200 {"subject":"a","version":1,"guid":"095d71cf-1255-6b9d-5e33-0ad575b3df5d","schemaType":"AVRO","schema":"\"string\""}`,
		"/schemas/ids/12":                   `200 {"subject":"p","version":1,"guid":"110c58ca-c0d0-3712-9c40-05f0ed01e92a","schemaType":"PROTOBUF","schema":"syntax = \"proto3\";"}`,
		"/subjects?deleted=true":            `200 ["a","p"]`,
		"/subjects/a/versions":              `200 [2]`,
		"/subjects/a/versions?deleted=true": `200 [1,2]`,
		"/config":                           `200 {"compatibilityLevel":"NONE"}`,
	} {
		if is := w.say("GET", path, ""); is != want {
			t.Errorf("%s: %s, want %s", path, is, want)
		}
	}
	if id := w.add("a", `"bytes"`); id != 14 {
		t.Errorf("the next id: %d", id)
	}
	_, err := w.RegisterSchema(ctx, "g", sr.Schema{Schema: v1}, -1, -1)
	wants(t, "a subject with a rule that is not checked", err, 42205)
	wants(t, "delete what an old release has written", w.DeleteSchema(ctx, "a", 1, sr.HardDelete), 0)
	w.SetCompatibility(ctx, sr.SetCompatibility{Level: sr.CompatFull})
	var keys []string
	for _, r := range samsatest.Drain(t, b, "_schemas") {
		keys = append(keys, string(r.Key))
	}
	want := []string{
		`{"keytype":"SCHEMA","subject":"a","version":3,"magic":1}`,
		`{"keytype":"SCHEMA","subject":"a","version":1,"magic":0}`,
		`{"keytype":"CONFIG","subject":null,"magic":0}`,
	}
	if got := keys[len(keys)-3:]; !slices.Equal(got, want) {
		t.Errorf("keys %q", got)
	}
}

// What another one writes to the topic is followed.
func TestFollows(t *testing.T) {
	b := samsatest.New(t)
	w, _ := open(t, b)
	reader, _ := open(t, b)
	w.add("a", v1)
	for reader.say("GET", "/subjects", "") != `200 ["a"]` { // it comes in the background
		if t.Context().Err() != nil {
			t.Fatal("it did not come")
		}
	}
}

func TestRecords(t *testing.T) {
	b := samsatest.New(t)
	w, _ := open(t, b)
	w.add("a", v1)
	w.SetMode(t.Context(), sr.ModeReadOnly, "a")
	w.SetCompatibility(t.Context(), sr.SetCompatibility{Level: sr.CompatFull})
	var got []string
	for _, r := range samsatest.Drain(t, b, "_schemas") {
		got = append(got, string(r.Key), string(r.Value))
	}
	want := []string{
		`{"keytype":"SCHEMA","subject":"a","version":1,"magic":1}`,
		`{"subject":"a","version":1,"id":1,"schemaType":"AVRO","schema":"{\"type\":\"record\",\"name\":\"Order\",\"fields\":[{\"name\":\"id\",\"type\":\"long\"}]}","deleted":false}`,
		`{"keytype":"MODE","subject":"a","magic":0}`, `{"subject":"a","mode":"READONLY"}`,
		`{"keytype":"CONFIG","magic":0}`, `{"compatibilityLevel":"FULL"}`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestRefused(t *testing.T) {
	w, _ := open(t, samsatest.New(t))
	w.add("a", v1)
	deep := strings.Repeat(`{"type":"array","items":`, 5000) + `"int"` + strings.Repeat("}", 5000)
	for _, c := range []struct{ method, path, body, want string }{
		{"GET", "/nowhere", "", `404 {"error_code":404,"message":"HTTP 404 Not Found"}`},
		{"GET", "/schemas/ids/x", "", `404 {"error_code":404,`},
		{"GET", "/subjects/a/versions/0", "", `422 {"error_code":42202,`},
		{"GET", "/subjects/a/versions/x", "", `422 {"error_code":42202,`},
		{"GET", "/subjects/a/versions/2147483648", "", `422 {"error_code":42202,`},
		{"GET", "/schemas/ids/1?format=resolved", "", `422 {"error_code":422,`},
		{"POST", "/subjects/a/versions", `{`, `400 {"error_code":400,`},
		{"POST", "/subjects/a/versions", `null`, `422 {"error_code":422,`},
		{"POST", "/subjects/a/versions", `[]`, `400 {"error_code":400,`},
		{"POST", "/subjects/a/versions", `{}`, `422 {"error_code":42201,`},
		{"POST", "/subjects/a/versions", `{"schema":"{"}`, `422 {"error_code":42201,`},
		{"POST", "/subjects/a/versions", `{"schema":"\"int\" \"int\""}`, `422 {"error_code":42201,`},
		{"POST", "/subjects/a/versions", `{"schema":"{\"type\":\"record\",\"name\":\"R\",\"fields\":3}"}`, `422 {"error_code":42201,`},
		{"POST", "/subjects/a/versions", `{"schema":"\"nothing\""}`, `422 {"error_code":42201,`},
		{"POST", "/subjects/p/versions", `{"schema":"message","schemaType":"PROTOBUF"}`, `422 {"error_code":42201,`},
		{"POST", "/subjects/p/versions", `{"schema":"syntax = \"proto3\"; import \"/etc/passwd\";","schemaType":"PROTOBUF"}`, `422 {"error_code":42201,`},
		{"POST", "/subjects/p/versions", `{"schema":"{\"type\":3}","schemaType":"JSON"}`, `422 {"error_code":42201,`},
		{"POST", "/subjects/p/versions", `{"schema":"{\"$ref\":\"file:///etc/passwd\"}","schemaType":"JSON"}`, `422 {"error_code":42201,`},
		{"POST", "/subjects/a/versions", `{"schema":"{}","schemaType":"JSON"}`, `409 {"error_code":40901,`},
		{"POST", "/subjects/a/versions", `{"schema":"\"int\"","schemaType":"XML"}`, `422 {"error_code":42201,`},
		{"POST", "/subjects/a/versions", `{"schema":"\"int\"","ruleSet":{"rules":[]}}`, `422 {"error_code":42210,`},
		{"POST", "/subjects/a/versions", `{"schema":"\"int\"","ruleSet":{"domainRules":[{"name":"r","type":"CEL","mode":"UPGRADE"}]}}`, `422 {"error_code":42210,`},
		{"POST", "/subjects/a/versions", `{"schema":"\"int\"","ruleSet":{"domainRules":[{"name":"1","type":"CEL"}]}}`, `422 {"error_code":42210,`},
		{"POST", "/subjects/a/versions", `{"schema":"\"int\"","metadata":{"owner":"x"}}`, `422 {"error_code":42201,"message":"Invalid metadata: json: unknown field \"owner\""}`},
		{"POST", "/subjects/a/versions", `{"schema":"\"int\"","schemaTagsToAdd":[{}]}`, `422 {"error_code":42201,`},
		{"GET", "/subjects/:.ctx:a/versions", "", `422 {"error_code":42208,"message":"The specified subject ':.ctx:a' is not a valid: this registry has no contexts."}`},
		{"GET", "/schemas/ids/1?subject=:.ctx:a", "", `422 {"error_code":42208,`},
		{"GET", "/subjects?subjectPrefix=:.ctx:", "", `422 {"error_code":42208,`},
		{"PUT", "/mode/:.ctx:", `{"mode":"READONLY"}`, `422 {"error_code":42208,`},
		{"GET", "/contexts/.ctx/subjects", "", `422 {"error_code":42208,`},
		{"GET", "/schemas?ruleType=CEL", "", `422 {"error_code":422,"message":"This registry does not do ruleType=CEL"}`},
		{"POST", "/subjects/a/versions", `{"schema":"\"int\"","references":[{}]}`, `422 {"error_code":42201,`},
		{"POST", "/subjects/a/versions", `{"schema":"\"int\"","version":9}`, `409 {"error_code":40901,`},
		{"POST", "/subjects/b/versions", `{"schema":"\"int\"","version":9}`, `422 {"error_code":42201,`},
		{"POST", "/subjects/:.ctx:a/versions", `{"schema":"\"int\""}`, `422 {"error_code":42208,`},
		{"POST", "/subjects/__GLOBAL/versions", `{"schema":"\"int\""}`, `422 {"error_code":42208,`},
		{"POST", "/subjects/%00/versions", `{"schema":"\"int\""}`, `422 {"error_code":42208,`},
		{"POST", "/subjects/%ff/versions", `{"schema":"\"int\""}`, `422 {"error_code":42208,`},
		{"POST", "/subjects/big/versions", fmt.Sprintf(`{"schema":"{\"type\":\"enum\",\"name\":\"E\",\"doc\":\"%s\",\"symbols\":[\"A\"]}"}`, strings.Repeat("x", 2<<20)), `422 {"error_code":42209,`},
		{"POST", "/subjects/big/versions", fmt.Sprintf(`{"schema":"%s"}`, strings.Repeat("x", 5<<20)), `413 {"error_code":413,`},
		{"POST", "/subjects/deep/versions", fmt.Sprintf(`{"schema":%q}`, deep+deep), `422 {"error_code":42201,`},
		{"PUT", "/config", `{"compatibility":3}`, `400 {"error_code":400,`},
	} {
		if is := w.say(c.method, c.path, c.body); !strings.HasPrefix(is, c.want) {
			t.Errorf("%s %s %.100s: %.300s, want %s", c.method, c.path, c.body, is, c.want)
		}
	}
	if is := w.say("POST", "/subjects/b/versions", `{"schema":"\"int\""}`, "Content-Type", "text/plain"); !strings.HasPrefix(is, "415 ") {
		t.Error(is)
	}
	if is := w.say("POST", "/subjects/b/versions", `{"schema":"\"int\""}`, "Sec-Fetch-Site", "cross-site"); !strings.HasPrefix(is, "403 ") {
		t.Error(is)
	}
	if is := w.say("GET", "/subjects", ""); is != `200 ["a"]` {
		t.Error(is)
	}
}

func TestTopic(t *testing.T) {
	b := samsatest.New(t, samsatest.Topic("plain", 1))
	for name, partitions := range map[string]int{"two": 2, "odd": 1} {
		if err := b.Topics().Create(t.Context(), name, samsa.TopicConfig{Partitions: partitions, CleanupPolicy: samsa.CleanupCompact}); err != nil {
			t.Fatal(err)
		}
	}
	for _, topic := range []string{"plain", "two"} {
		if _, err := registry.New(t.Context(), b, registry.Options{Topic: topic}); err == nil {
			t.Errorf("%s is taken", topic)
		}
	}
	var told []error
	if _, err := b.Produce(t.Context(), samsa.Record{Topic: "odd", Key: []byte("x"), Value: []byte("y")}); err != nil {
		t.Fatal(err)
	}
	r, err := registry.New(t.Context(), b, registry.Options{Topic: "odd", Failed: func(err error) { told = append(told, err) }})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if len(told) != 1 || !errors.Is(told[0], samsa.ErrInvalid) {
		t.Errorf("told %v", told)
	}
	w := httptest.NewRecorder()
	r.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", "/subjects", nil))
	if w.Code != 500 {
		t.Errorf("after Close: %d", w.Code)
	}
}

// No body makes the registry panic, or leaves a record that it cannot read.
func FuzzBodies(f *testing.F) {
	for _, s := range []string{v1, v2, v3, other, `["null",{"type":"fixed","name":"a.b.F","size":4}]`, `{"type":{"type":"map","values":"long"}}`, `{`, `3`} {
		f.Add(s, "", int32(0))
		f.Add(s, "AVRO", int32(1))
		f.Add(s, "JSON", int32(0))
	}
	f.Add(`syntax = "proto3"; message M { repeated M m = 1; }`, "PROTOBUF", int32(0))
	b, err := samsa.Open("", samsa.Options{InMemory: true})
	if err != nil {
		f.Fatal(err)
	}
	r, err := registry.New(context.Background(), b, registry.Options{Failed: func(err error) { panic(err) }})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() {
		if err := errors.Join(r.Close(), b.Close()); err != nil {
			f.Error(err)
		}
	})
	var n atomic.Int64
	send := func(t *testing.T, path string, in any) int {
		body, err := json.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		q := httptest.NewRequestWithContext(t.Context(), "POST", path, strings.NewReader(string(body)))
		q.Header.Set("Content-Type", "application/json")
		r.ServeHTTP(w, q)
		return w.Code
	}
	f.Fuzz(func(t *testing.T, text, kind string, version int32) {
		in := map[string]any{"schema": text, "schemaType": kind, "references": []map[string]any{{"name": "x", "subject": "s1", "version": version}}}
		if version == 0 {
			delete(in, "references")
		}
		subject := fmt.Sprintf("/subjects/s%d", n.Add(1))
		send(t, subject+"/versions", map[string]any{"schema": v1})
		was := send(t, "/compatibility"+subject+"/versions", in)
		is := send(t, subject+"/versions", in)
		if was >= 500 || is >= 500 {
			t.Errorf("status %d and %d", was, is)
		}
		if is == 200 && send(t, subject, in) != 200 {
			t.Error("what was registered is not found")
		}
	})
}

func Example() {
	b, err := samsa.Open("", samsa.Options{InMemory: true})
	if err != nil {
		panic(err)
	}
	r, err := registry.New(context.Background(), b, registry.Options{})
	if err != nil {
		panic(err)
	}
	s := httptest.NewServer(r) // a program has http.ListenAndServe("localhost:8081", r)
	c, err := sr.NewClient(sr.URLs(s.URL))
	if err != nil {
		panic(err)
	}
	order, err := c.CreateSchema(context.Background(), "orders-value", sr.Schema{
		Schema: `{"type":"record","name":"Order","fields":[{"name":"id","type":"long"}]}`,
	})
	if err != nil {
		panic(err)
	}
	fmt.Println(order.Subject, "version", order.Version, "id", order.ID)
	_, err = c.CreateSchema(context.Background(), "orders-value", sr.Schema{
		Schema: `{"type":"record","name":"Order","fields":[{"name":"id","type":"string"}]}`,
	})
	var refused *sr.ResponseError
	if errors.As(err, &refused) {
		fmt.Println("refused with", refused.ErrorCode)
	}
	s.Close()
	if err := errors.Join(r.Close(), b.Close()); err != nil {
		panic(err)
	}
	// Output:
	// orders-value version 1 id 1
	// refused with 40901
}
