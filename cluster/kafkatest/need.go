package kafkatest

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Required reports whether tests with Kafka must run: SAMSA_CLIENTS=required in the environment.
func Required() bool { return os.Getenv("SAMSA_CLIENTS") == "required" }

// Missing returns what Kafka needs and this machine does not have, "" for nothing.
func Missing() string {
	for _, program := range []string{"bash", "flock", "java", "mvn"} {
		if _, err := exec.LookPath(program); err != nil {
			return program
		}
	}
	return ""
}

// Need skips a test, or a benchmark, where Kafka cannot run; it fails if it must.
func Need(t testing.TB) {
	t.Helper()
	switch program := Missing(); {
	case program == "":
	case Required():
		t.Fatalf("Kafka needs %s", program)
	default:
		t.Skipf("Kafka needs %s, which is not here; SAMSA_CLIENTS=required makes this an error", program)
	}
	if testing.Short() && !Required() {
		t.Skip("Kafka takes seconds to start, and tests are to be short")
	}
}

// New runs a cluster that ends with the test.
func New(t testing.TB, opts Options) *Cluster {
	t.Helper()
	Need(t)
	if opts.Dir == "" {
		opts.Dir = t.TempDir()
	}
	c, err := Start(context.Background(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// ClassPath returns the class path of Kafka's broker, for a program of a test that asks its classes.
func ClassPath(t testing.TB) string {
	t.Helper()
	Need(t)
	dir := t.TempDir()
	if err := os.CopyFS(dir, files); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("bash", filepath.Join(dir, "node.sh"), "--class-path").Output()
	if err != nil {
		t.Fatalf("where Kafka's classes are: %v", err)
	}
	return strings.TrimSpace(string(out))
}
