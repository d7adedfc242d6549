package registry_test

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/samsa-go/samsa/samsatest"
)

// bodyOf returns the body of who registers a schema with references of a name, a subject and a version.
func bodyOf(kind, text string, refs ...string) string {
	in := map[string]any{"schema": text, "schemaType": kind}
	var all []map[string]any
	for i := 0; i+1 < len(refs); i += 2 {
		all = append(all, map[string]any{"name": refs[i], "subject": refs[i+1], "version": 1})
	}
	if all != nil {
		in["references"] = all
	}
	b, err := json.Marshal(in)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// wants looks at how an answer begins.
func (w world) wants(method, path, body, want string) {
	w.t.Helper()
	if is := w.say(method, path, body); !strings.HasPrefix(is, want) {
		w.t.Errorf("%s %s %.200s: %.300s, want %s", method, path, body, is, want)
	}
}

// Who deletes and registers at once, here what refers and there what is referred to, leaves no live schema whose reference is gone.
func TestReferrersAndDeletions(t *testing.T) {
	b := samsatest.New(t)
	all := make([]world, 3)
	for i := range all {
		all[i], _ = open(t, b)
	}
	part := func(n int) string { return fmt.Sprintf(`{"type":"record","name":"P%d","fields":[]}`, n) }
	var wg sync.WaitGroup
	for g, w := range all {
		dice := rand.New(rand.NewPCG(3, uint64(g)))
		wg.Go(func() {
			for range 40 {
				n := dice.IntN(3)
				subject := fmt.Sprint("p", n)
				switch dice.IntN(5) {
				case 0:
					_ = w.say("DELETE", "/subjects/"+subject, "")
					_ = w.say("DELETE", "/subjects/"+subject+"?permanent=true", "")
				case 1:
					_ = w.say("DELETE", fmt.Sprintf("/subjects/u%d", n), "")
					_ = w.say("DELETE", fmt.Sprintf("/subjects/u%d?permanent=true", n), "")
				case 2:
					_ = w.say("POST", "/subjects/"+subject+"/versions", bodyOf("AVRO", part(n)))
				default:
					text := fmt.Sprintf(`{"type":"record","name":"U","fields":[{"name":"p","type":"P%d"}]}`, n)
					_ = w.say("POST", fmt.Sprintf("/subjects/u%d/versions", n), bodyOf("AVRO", text, fmt.Sprint("P", n), subject))
				}
			}
		})
	}
	wg.Wait()
	w := all[0].atEnd()
	var found []struct {
		Subject    string
		Version    int
		References []struct {
			Subject string
			Version int
		}
	}
	if err := json.Unmarshal([]byte(strings.TrimPrefix(w.say("GET", "/schemas", ""), "200 ")), &found); err != nil {
		t.Fatal(err)
	}
	for _, s := range found {
		for _, r := range s.References {
			w.wants("GET", fmt.Sprintf("/subjects/%s/versions/%d", r.Subject, r.Version), "", "200 ")
		}
	}
}

// Nothing is fetched that a schema names.
func TestNothingIsFetched(t *testing.T) {
	var asked atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer s.Close()
	w, _ := open(t, samsatest.New(t))
	for _, text := range []string{
		`{"$ref":"URL/a.json"}`, `{"$schema":"URL/a.json"}`, `{"$id":"URL/","properties":{"a":{"$ref":"b.json"}}}`, `{"id":"URL/","$schema":"http://json-schema.org/draft-04/schema","allOf":[{"$ref":"b.json"}]}`,
		`{"$schema":"https://json-schema.org/draft/2020-12/schema","$dynamicRef":"URL/a.json"}`,
	} {
		w.wants("POST", "/subjects/j/versions", bodyOf("JSON", strings.ReplaceAll(text, "URL", s.URL)), "422 ")
	}
	w.wants("POST", "/subjects/p/versions", bodyOf("PROTOBUF", fmt.Sprintf("syntax = \"proto3\"; import %q;", s.URL+"/a.proto")), "422 ")
	if n := asked.Load(); n != 0 {
		t.Errorf("it was asked %d times", n)
	}
}

// What is deep, endless, wrong or at the end of its numbers is refused, or answered, and never ends the registry.
func TestAttack(t *testing.T) {
	w, _ := open(t, samsatest.New(t))
	deep := func(begin, inside, end string, n int) string {
		return strings.Repeat(begin, n) + inside + strings.Repeat(end, n)
	}
	for _, c := range []struct{ kind, text string }{
		{"JSON", deep(`{"items":`, `{}`, `}`, 9_000)},
		{"JSON", deep(`[`, ``, `]`, 100_000)},
		{"JSON", deep(`{"not":`, `{}`, `}`, 50_000)},
		{"AVRO", deep(`[`, ``, `]`, 100_000)},
		{"AVRO", deep(`{"type":"map","values":`, `"int"`, `}`, 9_000)},
		{"AVRO", deep(`{"type":`, `"int"`, `}`, 100_000)},
		{"PROTOBUF", `syntax = "proto3"; ` + deep(`message M { `, ``, `}`, 100_000)},
		{"PROTOBUF", `syntax = "proto3"; option (a) = ` + deep(`{a: `, `1`, `}`, 100_000) + `;`},
		{"PROTOBUF", `syntax = "proto3"; message M { int32 a = 2147483648; }`},
		{"PROTOBUF", `syntax = "proto3"; message M { int32 a = 1; } import "M";`},
		{"PROTOBUF", strings.Repeat("(", 100_000)},
	} {
		w.wants("POST", "/subjects/deep/versions", bodyOf(c.kind, c.text), "422 ")
		w.wants("POST", "/compatibility/subjects/deep/versions", bodyOf(c.kind, c.text), "422 ")
		w.wants("POST", "/subjects/deep", bodyOf(c.kind, c.text), "4")
	}
	w.wants("POST", "/subjects/deep/versions", deep(`{"metadata":`, `{}`, `}`, 50_000), "400 ")
	w.wants("POST", "/subjects/deep/versions", `{"schema":"\"int\"","metadata":`+deep(`{"tags":`, `{}`, `}`, 5_000)+`}`, "422 ")
	// Loops.
	w.wants("POST", "/subjects/self/versions", bodyOf("PROTOBUF", `syntax = "proto3"; import "self.proto";`, "self.proto", "self"), "422 ")
	w.wants("POST", "/subjects/self/versions", bodyOf("JSON", `{"$ref":"self.json"}`, "self.json", "self"), "422 ")
	w.wants("POST", "/subjects/loop/versions", bodyOf("JSON", `{"$ref":"#"}`), "")
	w.wants("POST", "/subjects/loop2/versions", bodyOf("JSON", `{"$ref":"#/$defs/a","$defs":{"a":{"$ref":"#/$defs/b"},"b":{"$ref":"#/$defs/a"}}}`), "")
	w.wants("PUT", "/mode/import?force=true", `{"mode":"IMPORT"}`, "200 ")
	// What is imported may refer in a circle.
	for _, in := range []string{
		`{"schema":"syntax = \"proto3\"; message A {}","schemaType":"PROTOBUF","id":100,"version":1}`,
		`{"schema":"syntax = \"proto3\"; import \"a\"; message B {}","schemaType":"PROTOBUF","id":101,"version":2,"references":[{"name":"a","subject":"import","version":1}]}`,
		`{"schema":"syntax = \"proto3\"; import \"b\"; message A {}","schemaType":"PROTOBUF","id":102,"version":1,"references":[{"name":"b","subject":"import","version":2}]}`,
	} {
		_ = w.say("POST", "/subjects/import/versions", in)
	}
	w.wants("GET", "/subjects/import/versions", "", "200 [")
	w.wants("DELETE", "/mode/import", "", "200 ")
	w.wants("POST", "/subjects/import/versions", bodyOf("PROTOBUF", `syntax = "proto3"; message C {}`), "")
	// Invalid UTF-8.
	w.wants("POST", "/subjects/utf/versions", "{\"schema\":\"\\\"int\xff\\\"\"}", "422 ")
	w.wants("POST", "/subjects/utf/versions", bodyOf("PROTOBUF", "syntax = \"proto3\"; message M\xff {}"), "422 ")
	w.wants("POST", "/subjects/utf/versions", `{"schema":"{\"type\":\"enum\",\"name\":\"E\",\"doc\":\"\ud800\",\"symbols\":[\"A\"]}"}`, "")
	// Numbers.
	for _, n := range []string{"2147483648", "-2147483649", "9223372036854775808", "1e3", "1.5"} {
		w.wants("GET", "/schemas/ids/"+n, "", "404 ")
		w.wants("GET", "/subjects/a/versions/"+n, "", "422 ")
		w.wants("POST", "/subjects/n/versions", fmt.Sprintf(`{"schema":"\"int\"","id":%s,"version":1}`, n), "4")
	}
	w.wants("PUT", "/mode/max", `{"mode":"IMPORT"}`, "200 ")
	w.wants("POST", "/subjects/max/versions", fmt.Sprintf(`{"schema":"\"int\"","id":%d,"version":%d}`, math.MaxInt32, math.MaxInt32), "200 ")
	w.wants("DELETE", "/mode/max", "", "200 ")
	w.wants("GET", "/schemas/ids/2147483647", "", "200 ")
	w.wants("POST", "/subjects/max/versions", bodyOf("AVRO", `"long"`), "500 ")
	w.wants("POST", "/subjects/next/versions", bodyOf("AVRO", `"long"`), "500 ")
	w.wants("GET", "/schemas?offset=-1&limit=-5", "", "200 [{")
	w.wants("GET", "/schemas?offset=9999999999999999999&limit=x", "", "200 [")
}

// A subject with many versions is listed, compared and deleted as a whole.
func TestManyVersions(t *testing.T) {
	w, _ := open(t, samsatest.New(t))
	w.wants("PUT", "/config", `{"compatibility":"NONE"}`, "200 ")
	for i := range 500 {
		if id := w.add("many", enum(i)); id != i+1 {
			t.Fatalf("id %d", id)
		}
	}
	w.wants("GET", "/subjects/many/versions?offset=499", "", "200 [500]")
	w.wants("PUT", "/config", `{"compatibility":"BACKWARD_TRANSITIVE"}`, "200 ")
	w.wants("POST", "/compatibility/subjects/many/versions", bodyOf("AVRO", enum(3)), "200 ")
	w.wants("DELETE", "/subjects/many", "", "200 [1,2,")
	w.wants("DELETE", "/subjects/many?permanent=true", "", "200 [1,2,")
	w.wants("GET", "/subjects?deleted=true", "", "200 []")
}
