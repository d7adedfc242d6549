package registry

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/samsa-go/samsa"
)

// maxBody is how many bytes of a body are read.
const maxBody = 4 << 20

const contentType = "application/vnd.schemaregistry.v1+json"

// handle is what a route does: it returns the body of the answer.
type handle func(q *http.Request) ([]byte, error)

// routes returns the handler of all paths. What a page of another site sends from a browser is refused.
func (r *Registry) routes() http.Handler {
	mux := http.NewServeMux()
	for pattern, h := range map[string]handle{
		"GET /{$}":       constant("{}"),
		"GET /contexts":  constant(`["."]`),
		"GET /subjects":  r.listSubjects,
		"GET /schemas":   r.listSchemas,
		"GET /config":    r.getConfig,
		"PUT /config":    r.putConfig,
		"DELETE /config": r.deleteConfig,
		"GET /mode":      r.getMode,
		"PUT /mode":      r.putMode,
		"DELETE /mode":   r.deleteMode,

		"GET /config/{subject}":    r.getConfig,
		"PUT /config/{subject}":    r.putConfig,
		"DELETE /config/{subject}": r.deleteConfig,
		"GET /mode/{subject}":      r.getMode,
		"PUT /mode/{subject}":      r.putMode,
		"DELETE /mode/{subject}":   r.deleteMode,

		"GET /schemas/types":             func(*http.Request) ([]byte, error) { return encode(types), nil },
		"GET /schemas/ids/{id}":          r.schemaByID,
		"GET /schemas/ids/{id}/schema":   r.textByID,
		"GET /schemas/ids/{id}/subjects": r.subjectsByID,
		"GET /schemas/ids/{id}/versions": r.versionsByID,

		"GET /schemas/guids/{guid}":     r.schemaByGUID,
		"GET /schemas/guids/{guid}/ids": r.idsByGUID,
		"GET /v1/metadata/id":           r.clusterID,
		"GET /v1/metadata/version":      constant(`{"version":"samsa"}`),

		"GET /subjects/{subject}/metadata":                        r.withMetadata,
		"POST /subjects/{subject}":                                r.lookUp,
		"DELETE /subjects/{subject}":                              r.deleteSubject,
		"GET /subjects/{subject}/versions":                        r.listVersions,
		"POST /subjects/{subject}/versions":                       r.register,
		"GET /subjects/{subject}/versions/{version}":              r.getVersion,
		"DELETE /subjects/{subject}/versions/{version}":           r.deleteVersion,
		"GET /subjects/{subject}/versions/{version}/schema":       r.textOfVersion,
		"GET /subjects/{subject}/versions/{version}/referencedby": r.referencedBy,

		"POST /compatibility/subjects/{subject}/versions":           r.compatible,
		"POST /compatibility/subjects/{subject}/versions/{version}": r.compatible,
	} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, q *http.Request) {
			q.Body = http.MaxBytesReader(w, q.Body, maxBody)
			err := refused(q)
			var body []byte
			if err == nil {
				body, err = h(q)
			}
			answer(w, body, err)
		})
	}
	return http.NewCrossOriginProtection().Handler(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if _, pattern := mux.Handler(q); pattern == "" {
			answer(w, nil, noRoute(mux, w.Header(), q))
			return
		}
		mux.ServeHTTP(w, q)
	}))
}

// noRoute says why nothing answers a request: its path is not there, or not for its method.
func noRoute(mux *http.ServeMux, h http.Header, q *http.Request) error {
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete} {
		other := *q
		other.Method = method
		if _, pattern := mux.Handler(&other); pattern != "" {
			h.Add("Allow", method)
		}
	}
	if rest, ok := strings.CutPrefix(q.URL.Path, "/contexts/"); ok {
		return noContexts(rest)
	}
	if h.Get("Allow") != "" {
		return &fault{http.StatusMethodNotAllowed, "HTTP 405 Method Not Allowed"}
	}
	return notFound()
}

func constant(body string) handle {
	return func(*http.Request) ([]byte, error) { return []byte(body), nil }
}

// answer writes what a route has returned.
func answer(w http.ResponseWriter, body []byte, err error) {
	status := http.StatusOK
	if err != nil {
		f := faultOf(err)
		status, body = f.status(), encode(f)
	}
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

// faultOf returns what a client is told of an error.
func faultOf(err error) *fault {
	var f *fault
	var long *http.MaxBytesError
	switch {
	case errors.As(err, &f):
		return f
	case errors.As(err, &long):
		return &fault{http.StatusRequestEntityTooLarge, "The body is larger than " + strconv.FormatInt(long.Limit, 10) + " bytes"}
	case errors.Is(err, samsa.ErrTooLarge):
		return &fault{codeTooLarge, "Register operation failed because schema is too large"}
	default:
		return &fault{codeStore, "Error in the store: " + err.Error()}
	}
}

// body decodes the body of a request.
func body(q *http.Request, into any) error {
	kind, _, err := mime.ParseMediaType(q.Header.Get("Content-Type"))
	if kind != "" && (err != nil || kind != contentType && kind != "application/vnd.schemaregistry+json" && kind != "application/json" && kind != "application/octet-stream") {
		return &fault{http.StatusUnsupportedMediaType, "HTTP 415 Unsupported Media Type"}
	}
	text, err := io.ReadAll(q.Body)
	if err != nil {
		return err
	}
	if strings.TrimSpace(string(text)) == "null" {
		return &fault{http.StatusUnprocessableEntity, "The body is null"}
	}
	if err := json.Unmarshal(text, into); err != nil {
		return &fault{http.StatusBadRequest, "The body is no JSON of this request: " + err.Error()}
	}
	return nil
}

// flag tells whether a parameter is true.
func flag(q *http.Request, name string) bool {
	v, _ := strconv.ParseBool(q.URL.Query().Get(name))
	return v
}

// refused refuses what this registry does not do, and what would have another meaning without it: contexts, and parameters. The default context, ".", may be named.
func refused(q *http.Request) error {
	if rest, ok := strings.CutPrefix(q.PathValue("subject"), ":.:"); ok {
		q.SetPathValue("subject", rest)
	}
	all := q.URL.Query()
	for _, subject := range append(all["subject"], q.PathValue("subject"), prefix(q)) {
		if subject = strings.TrimPrefix(subject, ":.:"); ofContext(subject) {
			return noContexts(subject)
		}
	}
	for _, name := range []string{"format", "findTags", "ruleType", "resourceType", "associationType", "lifecycle"} {
		if v := all.Get(name); v != "" {
			return &fault{http.StatusUnprocessableEntity, "This registry does not do " + name + "=" + v}
		}
	}
	for _, name := range []string{"aliases", "recursive"} {
		if flag(q, name) {
			return &fault{http.StatusUnprocessableEntity, "This registry does not do " + name + "=true"}
		}
	}
	return nil
}

func noContexts(subject string) error {
	return faultf(codeInvalidSubject, "The specified subject '%s' is not a valid: this registry has no contexts.", subject)
}

func whichOf(q *http.Request) which {
	switch {
	case flag(q, "deletedOnly"):
		return onlyDeleted
	case flag(q, "deleted"):
		return withDeleted
	}
	return live
}

// number returns the version in a path: latest for the last one.
func number(q *http.Request) (int32, error) {
	text := strings.TrimSpace(q.PathValue("version"))
	if strings.EqualFold(text, "latest") {
		return latest, nil
	}
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil || n < 1 && n != latest {
		return 0, faultf(codeInvalidVersion, "The specified version '%s' is not a valid version id. "+
			"Allowed values are between [1, 2^31-1] and the string \"latest\"", text)
	}
	return int32(n), nil
}

// page returns those that the parameters offset and limit say, and never null.
func page[T any](q *http.Request, all []T) []T {
	if n, _ := strconv.Atoi(q.URL.Query().Get("offset")); n > 0 {
		all = all[min(n, len(all)):]
	}
	if n, err := strconv.Atoi(q.URL.Query().Get("limit")); err == nil && n >= 0 {
		all = all[:min(n, len(all))]
	}
	return append([]T{}, all...)
}

// prefix returns the parameter subjectPrefix.
func prefix(q *http.Request) string {
	p := strings.TrimPrefix(q.URL.Query().Get("subjectPrefix"), ":*:")
	return strings.TrimPrefix(p, ":.:")
}
