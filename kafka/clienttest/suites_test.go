package clienttest

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/samsa-go/samsa"
)

// suite is a test-suite that a client's authors run against Kafka. It runs as it was published,
// with the dependencies that it names, out of a copy of its module.
type suite struct {
	module, pkg string
	env         []string // what the suite wants besides the address
	addr        string   // the variable in which it wants the address
	skip        string   // tests left out, a pattern; "" for none
}

// franz-go's suite passes against its own fake broker but for the tests left out here: those of
// SASL, of which the door has none, and TestConsumeRegex, TestConsumeRegexShareSkipsInternal and
// Test848RegexBrokerResolves, which want an internal topic: there are none, and TestFranzRegex does the rest of it.
func TestSuiteFranz(t *testing.T) {
	suite{
		module: "github.com/twmb/franz-go@v1.22.3", pkg: "./pkg/kgo", addr: "KGO_SEEDS",
		env:  []string{"KGO_TEST_RF=1", "KGO_TEST_RECORDS=50000", "KGO_LOG_LEVEL=none"},
		skip: "SCRAM|OAuth|^TestConsumeRegex$|^TestConsumeRegexShareSkipsInternal$|^Test848RegexBrokerResolves$|^Fuzz",
	}.run(t, samsa.Options{})
}

// The whole of watermill-kafka's suite, which is Watermill's for every Pub/Sub.
func TestSuiteWatermill(t *testing.T) {
	suite{
		module: "github.com/ThreeDotsLabs/watermill-kafka/v3@v3.0.6", pkg: "./pkg/kafka", addr: "WATERMILL_TEST_KAFKA_BROKERS",
	}.run(t, samsa.Options{AutoCreateTopics: true})
}

// suiteTimeout is when a suite that hangs says where, and ends.
const suiteTimeout = "5m"

func (s suite) run(t *testing.T, opts samsa.Options) {
	if testing.Short() {
		t.Skip("a suite of its own, without -short")
	}
	t.Parallel() // both wait much of the time
	dir := s.copy(t)
	k := inMemory(t, opts)
	args := []string{"test", "-count=1", "-json", "-timeout", suiteTimeout}
	if s.skip != "" {
		args = append(args, "-skip", s.skip)
	}
	cmd := exec.CommandContext(t.Context(), "go", append(args, s.pkg)...)
	cmd.Dir = dir
	cmd.Env = append(append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=mod", s.addr+"="+k.addr), s.env...)
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
	return dir
}

// tally counts the tests of what go test -json has printed, and collects what those that failed said.
func tally(t *testing.T, out []byte) (passed int, failed map[string]string) {
	t.Helper()
	said := make(map[string]*strings.Builder)
	failed = make(map[string]string)
	for d := json.NewDecoder(strings.NewReader(string(out))); d.More(); {
		var event struct{ Action, Test, Output string }
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
			}
		case "fail":
			failed[event.Test] = said[event.Test].String()
		}
	}
	return passed, failed
}
