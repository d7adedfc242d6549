package serve

import (
	"html"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/sr"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/adapters/registry/registrytest"
	"github.com/samsa-go/samsa/cmd/samsa/internal/schema"
	"github.com/samsa-go/samsa/console"
	"github.com/samsa-go/samsa/samsatest"
)

// The console shows what records say that were written with schemas, beside their bytes, and finds them by it. What cannot
// be decoded is shown as it is stored, with the reason.
func TestConsoleDecodes(t *testing.T) {
	b := samsatest.New(t, samsatest.Topic("t", 1))
	url := registrytest.New(t, b)
	r := client(t, strings.TrimPrefix(url, "http://"))
	defer http.DefaultClient.CloseIdleConnections()
	ids := make(map[string]int)
	for i, s := range []sr.SubjectSchema{
		{Subject: "Avro", Schema: sr.Schema{Schema: `{"type":"record","name":"Order","fields":[{"name":"id","type":"long"},{"name":"kind","type":{"type":"enum","name":"K","symbols":["TEA","BOOK"]}}]}`}},
		{Subject: "Protobuf", Schema: sr.Schema{Type: sr.TypeProtobuf, Schema: `syntax = "proto3"; message Click { uint64 n = 1; Kind kind = 2; } enum Kind { NONE = 0; LINK = 1; }`}},
		{Subject: "JSON Schema", Schema: sr.Schema{Type: sr.TypeJSON, Schema: `{"type":"object"}`}},
	} {
		is, err := r.CreateSchema(t.Context(), s.Subject, s.Schema)
		if err != nil || is.ID != i+1 {
			t.Fatalf("%+v, %v", is, err)
		}
		ids[s.Subject] = is.ID
	}
	c, err := parse([]string{"--memory", "--http", "127.0.0.1:0", "--registry", url})
	if err != nil {
		t.Fatal(err)
	}
	defer c.registry.close()
	encoded := func(kind, text string) []byte {
		e, err := c.registry.registry.Encoder(t.Context(), schema.Target{ID: ids[kind]})
		if err != nil {
			t.Fatal(err)
		}
		b, err := e.Encode([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	order := encoded("Avro", `{"id":9223372036854775807,"kind":"TEA"}`)
	if _, err := b.Produce(t.Context(),
		samsa.Record{Topic: "t", Key: encoded("Protobuf", `{"n":18446744073709551615,"kind":"LINK"}`), Value: order},
		samsa.Record{Topic: "t", Key: []byte("plain"), Value: encoded("JSON Schema", `{"big":9007199254740993}`)},
		samsa.Record{Topic: "t", Value: order[:7]},
		samsa.Record{Topic: "t", Value: []byte{0, 0, 0, 3, 231, 1}},
	); err != nil {
		t.Fatal(err)
	}
	h := console.Handler(b, console.Options{Decoder: c.registry.decoder()})
	markup := regexp.MustCompile(`<[^>]*>`)
	page := func(path string) string {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", "http://localhost"+path, nil))
		if w.Code != http.StatusOK {
			t.Errorf("%s is %d:\n%s", path, w.Code, w.Body)
		}
		return html.UnescapeString(markup.ReplaceAllString(w.Body.String(), ""))
	}
	for path, want := range map[string][]string{
		"/record?topic=t&partition=0&offset=0": {"Avro, schema 1", `"id": 9223372036854775807`, `"kind": "TEA"`, "Protobuf, schema 2", `"n": 18446744073709551615`, "00 00 00 00 01"},
		"/record?topic=t&partition=0&offset=1": {"JSON Schema, schema 3", `"big": 9007199254740993`, "plain"},
		"/record?topic=t&partition=0&offset=2": {"Not decoded", "by schema 1"},
		"/record?topic=t&partition=0&offset=3": {"Not decoded", "schema 999", "not in the registry"},
		"/records?topic=t":                     {`{"id":9223372036854775807,"kind":"TEA"}`, `{"n":18446744073709551615,"kind":"LINK"}`, "00 00 00 03 e7 01"},
		"/search?topic=t&from=oldest&q=tea":    {"1 found", "4 looked at", "decoded value", `"kind":"TEA"`},
		"/search?topic=t&from=oldest&q=LINK":   {"1 found", "decoded key"},
	} {
		text := page(path)
		for _, w := range want {
			if !strings.Contains(text, w) {
				t.Errorf("%s has no %q:\n%s", path, w, text)
			}
		}
	}
	if text := page("/record?topic=t&partition=0&offset=1"); strings.Count(text, "ecoded") != 1 {
		t.Errorf("a key that no schema made is one that was not decoded:\n%s", text)
	}
}

// The URL of a registry may have a password, which no message and no list of settings shows.
func TestRegistryFlag(t *testing.T) {
	c, list, err := parseIn(map[string]string{"SAMSA_REGISTRY": "http://gregor:secret@localhost:1"}, []string{"--memory"})
	if err != nil || c.registry.decoder() == nil {
		t.Errorf("a registry in the environment, which is for other commands too: %v", err)
	}
	for _, s := range list {
		if s.Name == "registry" && s.Value != "http://gregor:xxxxx@localhost:1" {
			t.Errorf("%+v", s)
		}
	}
	for _, wrong := range [][]string{
		{"--memory", "--registry", "http://localhost:1"}, {"--memory", "--http", "127.0.0.1:0", "--registry", "ftp://gregor:secret@localhost"},
	} {
		if _, err := parse(wrong); err == nil || !strings.Contains(err.Error(), "--registry") || strings.Contains(err.Error(), "secret") {
			t.Errorf("%v: %v", wrong, err)
		}
	}
	if c, err := parse([]string{"--memory"}); err != nil || c.registry.decoder() != nil {
		t.Errorf("without a registry: %v", err)
	}
}
