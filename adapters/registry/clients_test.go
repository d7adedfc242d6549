package registry_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/samsa-go/samsa/adapters/registry/registrytest"
	"github.com/samsa-go/samsa/samsatest"
)

// Programs that have other clients of a registry do what they do with Confluent's: see testdata.
func TestClients(t *testing.T) {
	dir := os.Getenv("SAMSA_CLIENTS_DIR")
	if dir == "" {
		if cache, err := os.UserCacheDir(); err == nil { // without one nothing is found below
			dir = filepath.Join(cache, "samsa-clients")
		}
	}
	dir = filepath.Join(dir, "registry")
	for name, args := range map[string][]string{
		"confluent-kafka for Python": {filepath.Join(dir, "bin", "python"), "testdata/client.py"},
		"kafkajs":                    {"node", "testdata/client.js"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := os.Stat(filepath.Join(dir, "bin", "python")); err != nil {
				if os.Getenv("SAMSA_CLIENTS") == "required" {
					t.Fatalf("run adapters/registry/install.sh: %v", err)
				}
				t.Skipf("run adapters/registry/install.sh: %v", err)
			}
			cmd := exec.CommandContext(t.Context(), args[0], append(args[1:], registrytest.New(t, samsatest.New(t)))...)
			cmd.Env = append(os.Environ(), "NODE_PATH="+filepath.Join(dir, "node_modules"))
			if out, err := cmd.CombinedOutput(); err != nil || !strings.HasSuffix(string(out), "done\n") {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}
