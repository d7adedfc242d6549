package avro_test

import (
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/adapters/registry/registrytest"
	"github.com/samsa-go/samsa/samsatest"
	"github.com/samsa-go/samsa/typed/avro"
)

// A program in Java, with Avro's own library, reads by the registry what this codec has written, and is read by it.
func TestJava(t *testing.T) {
	dir := os.Getenv("SAMSA_CLIENTS_DIR")
	if dir == "" {
		if cache, err := os.UserCacheDir(); err == nil { // without one nothing is found below
			dir = filepath.Join(cache, "samsa-clients")
		}
	}
	dir = filepath.Join(dir, "registry-java")
	if jars, _ := filepath.Glob(filepath.Join(dir, "avro-*.jar")); len(jars) == 0 {
		if os.Getenv("SAMSA_CLIENTS") == "required" {
			t.Fatal("run adapters/registry/install.sh")
		}
		t.Skip("run adapters/registry/install.sh")
	}
	c := registrytest.New(t, samsatest.New(t))
	orders, err := avro.Registered[Order](t.Context(), client(t, c), "orders-value", second)
	if err != nil {
		t.Fatal(err)
	}
	written, err := orders.Append(nil, Order{"tea", 250})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "java", "-Dstdout.encoding=UTF-8", "-cp", filepath.Join(dir, "*"), filepath.Join("testdata", "Client.java"), c, "orders-value", hex.EncodeToString(written))
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	said := strings.Fields(string(out))
	if err != nil || len(said) == 0 {
		t.Fatalf("%v\n%s%s", err, out, &stderr)
	}
	if want := `{"item": "tea", "cents": 250, "tags": {}, "note": null}`; !strings.HasPrefix(string(out), want+"\n") {
		t.Errorf("Java has read %s, want %s", out, want)
	}
	back, err := hex.DecodeString(said[len(said)-1])
	if err != nil {
		t.Fatal(err)
	}
	if o, err := orders.Decode(samsa.Record{Value: back}); err != nil || o != (Order{"Bücher", 1<<63 - 1}) {
		t.Errorf("%+v, %v", o, err)
	}
}
