package registry

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"

	"github.com/samsa-go/samsa"
)

// What is asked of one version costs as much of two thousand as of a hundred: of a subject that has so many, and of a schema that so many subjects have.
// What is counted are bytes of memory, as they are the same in each run.
func TestGrowth(t *testing.T) {
	const text = `{"type":"record","name":"r","doc":"%d","fields":[{"name":"a","type":"int"}]}`
	body := func(i int) string { return string(encode(map[string]string{"schema": fmt.Sprintf(text, i)})) }
	costs := func(n int) map[string]uint64 {
		s := newState()
		decided := func(subject string, i int) []samsa.Record {
			q := request{Text: fmt.Sprintf(text, i)}
			v, err := q.schema(subject)
			if err != nil {
				t.Fatal(err)
			}
			records, _, err := s.register(v, q)
			if err != nil {
				t.Fatal(err)
			}
			return records
		}
		apply := func(records []samsa.Record) {
			for _, r := range records {
				if err := s.apply(r); err != nil {
					t.Fatal(err)
				}
			}
		}
		for i := range n {
			apply(decided("many", i+1))
			apply(decided(fmt.Sprintf("one-%05d", i), 0))
		}
		r := &Registry{state: s}
		ask := func(path, subject, id string, h func(*http.Request) ([]byte, error)) func() {
			return func() {
				q := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader(body(n)))
				q.SetPathValue("subject", subject)
				q.SetPathValue("version", "latest")
				q.SetPathValue("id", id)
				if is, err := h(q); err != nil || !json.Valid(is) {
					t.Fatal(string(is), err)
				}
			}
		}
		all := make(map[string]uint64)
		for what, do := range map[string]func(){
			"a version is registered": func() { decided("many", n+1) },
			"a subject is registered": func() { decided("one-new", 0) },
			"a version is looked up":  ask("/subjects/many", "many", "", r.lookUp),
			"a version is compared":   ask("/compatibility/subjects/many/versions/latest", "many", "", r.compatible),
			"the latest is asked for": ask("/subjects/many/versions/latest", "many", "", r.getVersion),
			"an id is asked for":      ask("/schemas/ids/2", "", "2", r.schemaByID), // of the schema of all subjects
		} {
			var before, after runtime.MemStats
			do()
			runtime.ReadMemStats(&before)
			for range 10 {
				do()
			}
			runtime.ReadMemStats(&after)
			all[what] = (after.TotalAlloc - before.TotalAlloc) / 10
		}
		return all
	}
	few, many := costs(100), costs(2000)
	for what, bytes := range many {
		if bytes > 2*few[what] {
			t.Errorf("%s: %d bytes of two thousand, %d of a hundred", what, bytes, few[what])
		}
	}
}
