package serve

import (
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/sr"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/api"
)

// A registry is behind the lock of the door, keeps what it has been told, and is what the console decodes by.
func TestSchemaRegistry(t *testing.T) {
	dir := t.TempDir()
	users := filepath.Join(dir, "users")
	if err := os.WriteFile(users, []byte("alice:right\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{
		"--data", filepath.Join(dir, "data"), "--listen", "127.0.0.1:0", "--schema-registry", "127.0.0.1:0", "--http", "127.0.0.1:0", "--write",
		"--sasl", "PLAIN", "--users-file", users, "--topic", "orders",
	}
	a := begin(t, parsed(t, args...), Surroundings{})
	for _, c := range []struct {
		method, password, header, value string
		status                          int
	}{
		{"GET", "", "", "", 401},
		{"GET", "wrong", "", "", 401},
		{"PUT", "", "", "", 401},
		{"GET", "right", "Host", "elsewhere.example.org", 421},
		{"PUT", "right", "Sec-Fetch-Site", "cross-site", 403},
		{"GET", "right", "", "", 200},
	} {
		q, err := http.NewRequestWithContext(t.Context(), c.method, "http://"+a.Schemas+"/config", strings.NewReader(`{"compatibility":"NONE"}`))
		if err != nil {
			t.Fatal(err)
		}
		if c.password != "" {
			q.SetBasicAuth("alice", c.password)
		}
		q.Header.Set("Content-Type", "application/json")
		if c.header == "Host" {
			q.Host = c.value
		} else if c.header != "" {
			q.Header.Set(c.header, c.value)
		}
		is, err := http.DefaultClient.Do(q)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(is.Body)
		_ = is.Body.Close()
		if is.StatusCode != c.status || c.status == 200 && string(text) != `{"compatibilityLevel":"BACKWARD"}` {
			t.Errorf("%+v: %d %s", c, is.StatusCode, text)
		}
	}
	r := client(t, a.Schemas, sr.BasicAuth("alice", "right"))
	first, err := r.CreateSchema(t.Context(), "orders-value", sr.Schema{Schema: `"long"`})
	if err != nil {
		t.Fatal(err)
	}
	a.end()
	a = begin(t, parsed(t, append(args, "--read-only")...), Surroundings{})
	r = client(t, a.Schemas, sr.BasicAuth("alice", "right"))
	if _, err := r.CreateSchema(t.Context(), "orders-value", sr.Schema{Schema: `["long","string"]`}); err == nil {
		t.Error("what is read only is written")
	}
	if text, err := r.SchemaTextByID(t.Context(), first.ID); err != nil || text != first.Schema.Schema {
		t.Errorf("read only: %s, %v", text, err)
	}
	a.end()
	a = begin(t, parsed(t, args...), Surroundings{})
	r = client(t, a.Schemas, sr.BasicAuth("alice", "right"))
	again, err := r.SchemaByVersion(t.Context(), "orders-value", -1)
	if err != nil || again.ID != first.ID || again.Schema.Schema != first.Schema.Schema {
		t.Errorf("%+v, %v", again, err)
	}
	k, err := api.NewClient("http://alice:right@" + a.HTTP)
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	if _, err := k.Produce(t.Context(), "orders", api.ProduceRequest{Records: []api.NewRecord{{Value: []byte{0, 0, 0, 0, 1, 0x54}}}}); err != nil {
		t.Fatal(err)
	}
	q, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+a.HTTP+"/record?topic=orders&partition=0&offset=0", nil)
	if err != nil {
		t.Fatal(err)
	}
	q.SetBasicAuth("alice", "right")
	is, err := http.DefaultClient.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = is.Body.Close() }()
	if page, err := io.ReadAll(is.Body); err != nil || !strings.Contains(string(page), "Avro, schema 1") {
		t.Errorf("the console does not decode: %v\n%s", err, page)
	}
}

// A fake broker has a registry that begins anew with it, and no topic before somebody asks.
func TestSchemaRegistryOfFake(t *testing.T) {
	a := begin(t, parsed(t, "--fake", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--schema-registry", "127.0.0.1:0"), Surroundings{})
	if len(a.Topics) != 0 {
		t.Errorf("topics %v", a.Topics)
	}
	r := client(t, a.Schemas)
	k, err := api.NewClient("http://" + a.HTTP)
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	for _, text := range []string{`"long"`, `"string"`} {
		if s, err := r.CreateSchema(t.Context(), "orders-value", sr.Schema{Schema: text}); err != nil || s.ID != 1 {
			t.Errorf("%+v, %v", s, err)
		}
		if err := k.ResetKit(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// A registry needs its topic: one of another shape ends serve at the start.
func TestSchemaRegistryNeedsTopic(t *testing.T) {
	dir := t.TempDir()
	c, err := parse([]string{"--data", dir, "--listen", "127.0.0.1:0", "--schema-registry", "127.0.0.1:0", "--topic", "_schemas:2"})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Run(t.Context(), Surroundings{Stdout: io.Discard, Stderr: io.Discard}); !errors.Is(err, samsa.ErrTopicExists) && !errors.Is(err, samsa.ErrInvalid) {
		t.Errorf("error %v", err)
	}
	if _, err := parse([]string{"--memory", "--schema-registry", "0.0.0.0:8081"}); err == nil || !strings.Contains(err.Error(), "--schema-registry 0.0.0.0:8081") {
		t.Errorf("for everybody: %v", err)
	}
}

func client(t *testing.T, addr string, opts ...sr.ClientOpt) *sr.Client {
	t.Helper()
	c, err := sr.NewClient(append(opts, sr.URLs("http://"+addr), sr.HTTPClient(http.DefaultClient))...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
