package s3

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/minio/minio-go/v7"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/backup"
	"github.com/samsa-go/samsa/cmd/samsa/internal/s3/fakes3"
)

// begin returns a store, and what opens targets in it.
func begin(t *testing.T) func(address string) backup.Target {
	t.Helper()
	srv, err := fakes3.New("bucket")
	must(t, err)
	t.Cleanup(srv.Close)
	vars := map[string]string{"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_ENDPOINT_URL": srv.URL, "AWS_REGION": "eu-central-1"}
	return func(address string) backup.Target {
		target, err := Open(address, func(name string) string { return vars[name] })
		must(t, err)
		return target
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// inSmallParts has a target send the smallest parts that S3 takes.
func inSmallParts(in backup.Target) backup.Target {
	in.(*target).part = 5 << 20
	return in
}

// What is put is there, under its name and its prefix, of a known length or not, whole or not at all.
func TestTarget(t *testing.T) {
	open, ctx := begin(t), t.Context()
	target := inSmallParts(open("s3://bucket/some/prefix/"))
	large := make([]byte, 12<<20)
	_, _ = rand.NewChaCha8([32]byte{}).Read(large) // does not fail
	must(t, target.Put(ctx, "b/one", bytes.NewReader([]byte("first"))))
	must(t, target.Put(ctx, "b/one", strings.NewReader("one")))
	must(t, target.Put(ctx, "a", bytes.NewReader([]byte{0})))
	must(t, target.Put(ctx, "b/stream", iotest.OneByteReader(strings.NewReader("as it comes"))))
	must(t, target.Put(ctx, "large", io.MultiReader(bytes.NewReader(large))))
	for name, want := range map[string][]byte{"b/one": []byte("one"), "a": {0}, "b/stream": []byte("as it comes"), "large": large} {
		r, err := target.Get(ctx, name)
		must(t, err)
		got, err := io.ReadAll(r)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s has %d bytes, error %v", name, len(got), err)
		}
		must(t, r.Close())
	}
	torn := errors.New("torn")
	if err := target.Put(ctx, "b/torn", io.MultiReader(strings.NewReader("half"), iotest.ErrReader(torn))); !errors.Is(err, torn) {
		t.Errorf("got %v", err)
	}
	if _, err := target.Get(ctx, "b/torn"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	must(t, target.Delete(ctx, "nothing"))
	want := []backup.Object{{Name: "a", Size: 1}, {Name: "b/one", Size: 3}, {Name: "b/stream", Size: 11}, {Name: "large", Size: 12 << 20}}
	if all, err := target.List(ctx); err != nil || !slices.Equal(all, want) {
		t.Errorf("got %v, error %v", all, err)
	}
	must(t, target.Delete(ctx, "a"))
	if all, err := open("s3://bucket").List(ctx); err != nil || len(all) != 3 || all[0].Name != "some/prefix/b/one" {
		t.Errorf("got %v, error %v", all, err)
	}
	if all, err := open("s3://bucket/other").List(ctx); err != nil || len(all) > 0 {
		t.Errorf("got %v, error %v", all, err)
	}
	if _, err := open("s3://missing/x").List(ctx); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

// A backup goes on in a bucket, and is restored from it.
func TestBackup(t *testing.T) {
	open, ctx := begin(t), t.Context()
	b, err := samsa.Open(filepath.Join(t.TempDir(), "data"), samsa.Options{AutoCreateTopics: true})
	must(t, err)
	defer func() { must(t, b.Close()) }()
	for range 3 {
		_, err := b.Produce(ctx, samsa.Record{Topic: "t", Value: []byte("v")})
		must(t, err)
		must(t, backup.Run(ctx, backup.Of(b, backup.SourceOptions{}), open("s3://bucket/nightly"), backup.Options{UntilNow: true}))
	}
	spans, err := backup.List(ctx, open("s3://bucket/nightly"))
	if err != nil || len(spans) != 1 || spans[0].Missing != "" {
		t.Fatal(spans, err)
	}
	again, _, err := backup.Restore(ctx, filepath.Join(t.TempDir(), "again"), open("s3://bucket/nightly"), backup.Moment{}, samsa.Options{})
	must(t, err)
	defer func() { must(t, again.Close()) }()
	if ends, err := again.ListOffsets(ctx, "t", samsa.Latest()); err != nil || ends[0].Offset != 3 {
		t.Errorf("got %v, error %v", ends, err)
	}
}

func TestWrongAddresses(t *testing.T) {
	for _, tt := range []struct{ address, endpoint, want string }{
		{"s3://", "", "want s3://BUCKET/PREFIX"},
		{"s3:///prefix", "", "want s3://BUCKET/PREFIX"},
		{"bucket", "", "want s3://BUCKET/PREFIX"},
		{"s3://bucket", "localhost:9000", "AWS_ENDPOINT_URL"},
		{"s3://bucket", "http://localhost:9000/path", "AWS_ENDPOINT_URL"},
		{"s3://bucket", "ftp://localhost", "AWS_ENDPOINT_URL"},
	} {
		_, err := Open(tt.address, func(name string) string { return map[string]string{"AWS_ENDPOINT_URL": tt.endpoint}[name] })
		if !errors.Is(err, samsa.ErrInvalidOption) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s at %s: got %v", tt.address, tt.endpoint, err)
		}
	}
}

// Parts that were sent of an object that is not there go, and no others.
func TestSweep(t *testing.T) {
	open, ctx := begin(t), t.Context()
	in := open("s3://bucket/nightly").(*target)
	for _, name := range []string{"nightly/g00000001-0123abcd/base-1-2.snap", "nightly/notes", "g00000001-0123abcd/base-1-2.snap"} {
		_, err := in.core.NewMultipartUpload(ctx, "bucket", name, minio.PutObjectOptions{})
		must(t, err)
	}
	must(t, in.Sweep(ctx))
	var left []string
	for o := range in.core.ListIncompleteUploads(ctx, "bucket", "", true) {
		must(t, o.Err)
		left = append(left, o.Key)
	}
	if want := []string{"g00000001-0123abcd/base-1-2.snap", "nightly/notes"}; !slices.Equal(left, want) {
		t.Errorf("%q are left, want %q", left, want)
	}
	if _, ok := backup.Target(in).(backup.Sweeper); !ok {
		t.Error("nobody has it swept")
	}
}
