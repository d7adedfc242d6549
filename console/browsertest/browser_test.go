package browsertest

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// required is the value of the variable SAMSA_CLIENTS with which what is not installed fails its tests.
const required = "required"

// modules is where install.sh has npm put what it brings.
func modules() string {
	dir := os.Getenv("SAMSA_CLIENTS_DIR")
	if dir == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return ""
		}
		dir = filepath.Join(cache, "samsa-clients")
	}
	return filepath.Join(dir, "browser", "node_modules")
}

// installed ends a test that needs something which is not installed.
func installed(t *testing.T) {
	t.Helper()
	var missing error
	for _, program := range []string{"node", "chromium"} {
		_, err := exec.LookPath(program)
		missing = errors.Join(missing, err)
	}
	for _, module := range []string{"playwright-core", "axe-core"} {
		_, err := os.Stat(filepath.Join(modules(), module))
		missing = errors.Join(missing, err)
	}
	switch {
	case missing == nil:
	case os.Getenv("SAMSA_CLIENTS") == required:
		t.Fatalf("SAMSA_CLIENTS=%s, run console/browsertest/install.sh: %v", required, missing)
	default:
		t.Skipf("run console/browsertest/install.sh: %v", missing)
	}
}

// play has the browser play a story, which fails the test when it throws.
func play(t *testing.T, url string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", append([]string{filepath.Join("testdata", "play.mjs"), url}, args...)...)
	cmd.Env = append(os.Environ(), "NODE_MODULES="+modules())
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s", args[0], err, out.String())
	}
	if testing.Verbose() {
		t.Log(out.String())
	}
}
