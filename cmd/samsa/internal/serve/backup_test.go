package serve

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/backup"
	"github.com/samsa-go/samsa/cmd/samsa/internal/s3/fakes3"
	"github.com/samsa-go/samsa/internal/api"
)

// samsa serve keeps a copy in a bucket, goes on with it when it is started again, and any of that can be restored. Who it is says the environment.
func TestServeWithABackupInABucket(t *testing.T) {
	srv, err := fakes3.New("bucket")
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Close()
	stored := make(chan struct{}, 1000) // an object each
	store := srv.Config.Handler
	srv.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if login := r.Header.Get("Authorization"); !strings.Contains(login, "Credential=somebody/") {
			t.Errorf("%s by %q", r.URL, login)
		}
		store.ServeHTTP(w, r)
		if r.Method == http.MethodPut || r.Method == http.MethodPost { // which ends one of many parts
			stored <- struct{}{}
		}
	})
	env := map[string]string{"AWS_ACCESS_KEY_ID": "somebody", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_ENDPOINT_URL": srv.URL, "AWS_REGION": "eu-central-1"}
	data := filepath.Join(t.TempDir(), "data")
	var target backup.Target
	for _, value := range []string{"first", "second"} {
		c, _, err := parseIn(env, []string{"--data", data, "--listen", "127.0.0.1:0", "--topic", "web_log", "--write", "--http", "127.0.0.1:0",
			"--backup", "s3://bucket/nightly", "--backup-keep", "1h"})
		if err != nil {
			t.Fatal(err)
		}
		target = c.target
		s := begin(t, c, Surroundings{})
		produceAndWait(t, data, value, target, stored)
		s.end()
	}
	spans, err := backup.List(t.Context(), target)
	if err != nil || len(spans) != 1 || spans[0].Missing != "" {
		t.Fatalf("%+v, %v", spans, err)
	}
	if v, err := backup.Verify(t.Context(), target, backup.VerifyOptions{}); err != nil || len(v.Findings) > 0 {
		t.Errorf("%+v, %v", v, err)
	}
	if n := records(t, target); n != 2 {
		t.Errorf("%d records were restored", n)
	}
}

// produceAndWait produces a record, and returns when it is in the backup.
func produceAndWait(t *testing.T, data, value string, target backup.Target, stored <-chan struct{}) {
	t.Helper()
	client, err := api.DialDir(t.Context(), data)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	before := 0
	if spans, err := backup.List(t.Context(), target); err == nil && len(spans) > 0 {
		before = records(t, target)
	}
	if _, err := client.Produce(t.Context(), "web_log", api.ProduceRequest{Records: []api.NewRecord{{Value: api.Bytes(value)}}}); err != nil {
		t.Fatal(err)
	}
	for {
		<-stored
		if spans, err := backup.List(t.Context(), target); err == nil && len(spans) > 0 && records(t, target) > before {
			return
		}
	}
}

// records returns how many records the newest moment of a backup has.
func records(t *testing.T, target backup.Target) int {
	t.Helper()
	b, _, err := backup.Restore(t.Context(), "", target, backup.Moment{}, samsa.Options{InMemory: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.Close() }()
	ends, err := b.ListOffsets(t.Context(), "web_log", samsa.Latest())
	if err != nil {
		return 0
	}
	return int(ends[0].Offset)
}
