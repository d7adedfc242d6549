package clienttest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/samsatest"
)

// suite is a test-suite that a client's authors run against Kafka. It runs as it was published, with the dependencies that it
// names, out of a copy of its module.
type suite struct {
	module string
	pkgs   []string
	tags   string            // build tags; "" for none
	env    []string          // what the suite wants, addresses among it
	edit   map[string]string // regular expressions, and what stands in their place in its files: ports, above all
	brief  string            // what of it is played unless the environment has SAMSA_SUITES=whole, a pattern; "" for all
	skip   string            // tests left out, a pattern; "" for none
}

// franz-go's suite passes against its own fake broker but for the tests left out here: that of OAUTHBEARER, which wants a server of tokens,
// and TestConsumeRegex, TestConsumeRegexShareSkipsInternal and Test848RegexBrokerResolves, which want an internal topic: there are none, and
// TestFranzRegex does the rest of it. It runs on three brokers, and its tests of SCRAM at a door of their own.
func TestSuiteFranz(t *testing.T) {
	k := forSuite(t, samsa.Options{})
	c := samsatest.Cluster(t, k.Broker, 3)
	s := samsatest.Secure(t, k.Broker, samsatest.Guard{Users: map[string]string{"admin": "admin-secret"}})
	suite{
		module: "github.com/twmb/franz-go@v1.22.3", pkgs: []string{"./pkg/kgo"},
		env: []string{
			"KGO_SEEDS=" + strings.Join(c.Addrs(), ","), "KGO_TEST_RECORDS=50000", "KGO_LOG_LEVEL=none",
			"KGO_TEST_SCRAM=admin:admin-secret", "KGO_TEST_SCRAM_SEEDS=" + s.Addr,
		},
		skip: "OAuth|^TestConsumeRegex$|^TestConsumeRegexShareSkipsInternal$|^Test848RegexBrokerResolves$|^Fuzz",
	}.play(t)
}

// The whole of watermill-kafka's suite, which is Watermill's for every Pub/Sub.
func TestSuiteWatermill(t *testing.T) {
	k := forSuite(t, samsa.Options{AutoCreateTopics: true})
	suite{
		module: "github.com/ThreeDotsLabs/watermill-kafka/v3@v3.0.6", pkgs: []string{"./pkg/kafka"},
		env: []string{"WATERMILL_TEST_KAFKA_BROKERS=" + k.addr},
	}.play(t)
}

// wholeSuites is the value of the variable SAMSA_SUITES with which all of a suite is played, however long it takes.
const wholeSuites = "whole"

// forSuite opens a broker for a suite, which runs beside others: they wait much of the time.
func forSuite(t *testing.T, opts samsa.Options) *kit {
	t.Helper()
	if testing.Short() {
		t.Skip("a suite of its own, without -short")
	}
	t.Parallel()
	return inMemory(t, opts)
}

// play runs the suite to its end.
func (s suite) play(t *testing.T) {
	t.Helper()
	dir := s.copy(t)
	timeout, run := "10m", s.brief // one that hangs says where, and ends
	if os.Getenv("SAMSA_SUITES") == wholeSuites {
		timeout, run = "30m", ""
	}
	args := []string{"test", "-count=1", "-json", "-timeout", timeout}
	for flag, value := range map[string]string{"-tags": s.tags, "-run": run, "-skip": s.skip} {
		if value != "" {
			args = append(args, flag, value)
		}
	}
	cmd := exec.CommandContext(t.Context(), "go", append(args, s.pkgs...)...)
	cmd.Dir = dir
	cmd.Env = append(append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=mod -trimpath"), s.env...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	passed, failed := tally(t, out)
	if err != nil || len(failed) > 0 || passed == 0 {
		t.Errorf("%d tests passed, %d failed (%v):", passed, len(failed), err)
	}
	for test, said := range failed {
		t.Errorf("%s:\n%s", test, said)
	}
	t.Logf("%d tests passed", passed)
}

// copy downloads the module and copies it to where tests may write.
func (s suite) copy(t *testing.T) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "mod", "download", "-json", s.module)
	cmd.Env = append(os.Environ(), "GOWORK=off")
	cmd.Dir = t.TempDir() // of no module
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("download %s: %v\n%s", s.module, err, out)
	}
	var module struct{ Dir string }
	if err := json.Unmarshal(out, &module); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "module")
	if err := os.CopyFS(dir, os.DirFS(module.Dir)); err != nil {
		t.Fatal(err)
	}
	s.change(t, dir)
	return dir
}

// change has the files in dir say what edit does. Each of it has to be there.
func (s suite) change(t *testing.T, dir string) {
	t.Helper()
	found := make(map[string]bool)
	must(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".go" || len(s.edit) == 0 {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		was := text
		for old, replacement := range s.edit {
			pattern := regexp.MustCompile(old)
			found[old] = found[old] || pattern.Match(text)
			text = pattern.ReplaceAll(text, []byte(replacement))
		}
		if bytes.Equal(text, was) {
			return nil
		}
		return errors.Join(os.Chmod(path, 0o600), os.WriteFile(path, text, 0o600)) // modules are read-only
	}))
	if len(found) < len(s.edit) || slices.Contains(slices.Collect(maps.Values(found)), false) {
		t.Errorf("the suite has changed: not all of %v is in %s", s.edit, s.module)
	}
}

// tally counts the tests of what go test -json has printed, and collects what those that failed said.
func tally(t *testing.T, out []byte) (passed int, failed map[string]string) {
	t.Helper()
	said := make(map[string]*strings.Builder)
	failed = make(map[string]string)
	for d := json.NewDecoder(strings.NewReader(string(out))); d.More(); {
		var event struct {
			Action, Test, Output string
			Elapsed              float64
		}
		if err := d.Decode(&event); err != nil {
			t.Fatalf("%v in %s", err, out)
		}
		if said[event.Test] == nil {
			said[event.Test] = new(strings.Builder)
		}
		switch event.Action {
		case "output":
			said[event.Test].WriteString(event.Output)
		case "pass":
			if event.Test != "" {
				passed++
				t.Logf("%s: %g s", event.Test, event.Elapsed)
			}
		case "skip":
			t.Logf("skipped: %s", said[event.Test])
		case "fail":
			failed[event.Test] = said[event.Test].String()
		}
	}
	return passed, failed
}
