package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/samsa-go/samsa/bench/internal/harness"
	"github.com/samsa-go/samsa/bench/internal/result"
)

// A run of two peers, from the command line to the files: the children are this test binary.
func TestRunFromTheCommandLine(t *testing.T) {
	dir := t.TempDir()
	results, page, picture := filepath.Join(dir, "results.json"), filepath.Join(dir, "page.html"), filepath.Join(dir, "picture.svg")
	o, err := parse([]string{
		"-peers", "samsa,file", "-workloads", "batch,group", "-records", "5000", "-rounds", "2", "-acks", "stored",
		"-dir", dir, "-json", results, "-html", page, "-svg", picture, "-cpuprofile", filepath.Join(dir, "cpu.pprof"),
	}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	run, err := measure(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if err := reports(io.Discard, run, o); err != nil {
		t.Fatal(err)
	}
	again, err := result.Read(results)
	if err != nil {
		t.Fatal(err)
	}
	if len(again.Results) != 4 || len(again.Peers) != 2 || again.Command == "" || again.Machine.Cores == 0 {
		t.Errorf("%+v", again)
	}
	for _, r := range again.Results {
		if groupOnFile := r.Peer == "file" && r.Case.Work == "group"; groupOnFile != (r.Cannot != "") || !groupOnFile && len(r.Rounds) != 2 {
			t.Errorf("%s: %d rounds, cannot %q, failed %q", r.Case.Axes(), len(r.Rounds), r.Cannot, r.Failed)
		}
	}
	for _, path := range []string{page, picture} {
		if b, err := os.ReadFile(path); err != nil || !bytes.Contains(b, []byte("Samsa beside its peers")) {
			t.Errorf("%s: %.100s, %v", path, b, err)
		}
	}
	profiles, err := filepath.Glob(filepath.Join(dir, "cpu,*.pprof"))
	if err != nil || len(profiles) != 7 { // 2 peers, 2 workloads, 2 rounds; the second round of what cannot be is not run
		t.Errorf("profiles: %v, %v", profiles, err)
	}
	if left, err := filepath.Glob(filepath.Join(dir, "samsa-bench-*")); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestOptionsThatAreWrong(t *testing.T) {
	for _, c := range []struct {
		args string
		want string
	}{
		{"-size 10", "JSON needs"},
		{"-size ten", `"ten" is not a number`},
		{"-workloads nap", "nap"},
		{"-acks all -workloads batch", `acks "all"`},
		{"-compression brotli -workloads batch", "brotli"},
		{"-rounds -1", "-rounds -1"},
		{"-records 0", "-records 0"},
		{"-keep 5", "-keep 5"},
		{"-time 3m", "-timeout 2m0s"},
		{"-dir /no/such/place", "/no/such/place"},
		{"-json a -from b", "-json with -from"},
		{"-kafka -from b", "-kafka with -from"},
		{"-kafka localhost:9092", `"localhost:9092"`},
		{"everything", `"everything"`},
		{"-rounds -1 -records 0", "-records 0"}, // both are named
	} {
		if _, err := parse(strings.Fields(c.args), io.Discard); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", c.args, err, c.want)
		}
	}
	o, err := parse([]string{"-kafka=localhost:9092"}, io.Discard)
	if err != nil || o.kafka || o.settings.Kafka != "localhost:9092" {
		t.Errorf("a broker that runs: %v, %+v", err, o.settings)
	}
	if o, err = parse([]string{"-kafka"}, io.Discard); err != nil || !o.kafka || o.settings.Kafka != "" {
		t.Errorf("a broker to start: %v, %+v", err, o.settings)
	}
	o, err = parse([]string{"-peers", "mongodb"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := measure(t.Context(), o); err == nil || !strings.Contains(err.Error(), "mongodb") {
		t.Errorf("an unknown peer: %v", err)
	}
}

// TestMain is the child of a run when the environment says so.
func TestMain(m *testing.M) {
	if os.Getenv(harness.ChildVariable) != "" {
		if err := harness.Child(os.Stdin, os.Stdout); err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}
