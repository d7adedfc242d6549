// Package fakeregistry is a schema registry in the process, for tests.
package fakeregistry

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/sr"
)

// Registry is a registry. Its schemas have the ids 1, 2 and so on, as they are added.
type Registry struct {
	*httptest.Server
	Asked  atomic.Int64 // requests there were
	Status atomic.Int64 // when it is not 0, all are answered by this

	mu      sync.Mutex
	schemas []sr.SubjectSchema
}

// New starts a registry, which Close ends.
func New() *Registry {
	r := &Registry{}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /schemas/ids/{id}", func(w http.ResponseWriter, req *http.Request) {
		id, _ := strconv.Atoi(req.PathValue("id"))
		r.answer(w, 40403, "Schema not found", func(s sr.SubjectSchema) bool { return s.ID == id })
	})
	mux.HandleFunc("GET /subjects/{subject}/versions/{version}", func(w http.ResponseWriter, req *http.Request) {
		subject, version := req.PathValue("subject"), req.PathValue("version")
		r.answer(w, 40401, "Subject not found", func(s sr.SubjectSchema) bool {
			return s.Subject == subject && (version == "latest" || version == "-1" || version == strconv.Itoa(s.Version))
		})
	})
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.Asked.Add(1)
		if code := r.Status.Load(); code != 0 {
			w.WriteHeader(int(code))
			return
		}
		mux.ServeHTTP(w, req)
	}))
	return r
}

// Add adds a schema to a subject and returns its id.
func (r *Registry) Add(subject string, s sr.Schema) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	version := 1
	for _, other := range r.schemas {
		if other.Subject == subject {
			version++
		}
	}
	id := len(r.schemas) + 1
	r.schemas = append(r.schemas, sr.SubjectSchema{Subject: subject, Version: version, ID: id, Schema: s})
	return id
}

// answer answers with the newest schema that is wanted.
func (r *Registry) answer(w http.ResponseWriter, code int, message string, wanted func(sr.SubjectSchema) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	w.Header().Set("Content-Type", "application/vnd.schemaregistry.v1+json")
	for i := len(r.schemas) - 1; i >= 0; i-- {
		if wanted(r.schemas[i]) {
			_ = json.NewEncoder(w).Encode(r.schemas[i])
			return
		}
	}
	w.WriteHeader(http.StatusNotFound)
	_ = json.NewEncoder(w).Encode(map[string]any{"error_code": code, "message": message})
}
