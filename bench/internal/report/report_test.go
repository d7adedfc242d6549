package report

import (
	"bytes"
	"flag"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/samsa-go/samsa/bench/internal/machine"
	"github.com/samsa-go/samsa/bench/internal/result"
	"github.com/samsa-go/samsa/bench/internal/workload"
)

var update = flag.Bool("update", false, "write the golden files")

// fixed is a run with figures that do not change: three peers that work, one that fails, one
// that cannot fsync, rounds that differ, and names that HTML has to escape.
func fixed(t *testing.T) *result.Run {
	t.Helper()
	run := &result.Run{
		Format: 1, Began: time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC), Took: 90 * time.Second, Command: `go run ./bench -peers "<all>"`,
		Rounds: 3, Limits: workload.Limits{Records: 1_000_000, Time: time.Second, KeepBytes: 10 << 20}, Samsa: "0123456789",
		Machine: machine.Info{CPU: "A CPU", Cores: 2, Memory: 8 << 30, System: "Linux 6.1", Arch: "amd64", Disk: "nvme0n1, 500 GB", Filesystem: "ext4 (rw)", Load: "0.10", Others: "1%", Go: "go1.26"},
		Peers: []result.Peer{
			{Name: "samsa", Title: "Samsa", About: "Batches & offsets.", Version: "0123456789"},
			{Name: "samsa-memory", Title: "Samsa in memory", About: "A tree.", Version: "0123456789", Memory: true},
			{Name: "file", Title: "plain file", About: "Bytes."},
			{Name: "sqlite", Title: "SQLite", About: "Rows.", Version: "v1.2.3"},
			{Name: "nats", Title: "NATS JetStream", About: "Messages.", Version: "v2.0.0"},
		},
	}
	base := workload.Case{Work: workload.Batch, Size: 100, Batch: 1000, Partitions: 1, Data: "json", Codec: "snappy", Acks: workload.Stored}
	cases := []workload.Case{base}
	for _, edit := range []func(*workload.Case){
		func(c *workload.Case) { c.Acks = workload.Synced },
		func(c *workload.Case) { c.Size = 1000 },
		func(c *workload.Case) { c.Size, c.Batch = 10_000, 100 },
		func(c *workload.Case) { c.Work, c.Goroutines, c.Batch = workload.Single, 64, 1 },
		func(c *workload.Case) { c.Work, c.Partitions = workload.Cold, 8 },
		func(c *workload.Case) { c.Work, c.Batch, c.Rate = workload.Latency, 1, 2000 },
		func(c *workload.Case) { c.Work, c.Size, c.Data = workload.Retention, 1000, "random" },
	} {
		c := base
		edit(&c)
		cases = append(cases, c)
	}
	for i, c := range cases {
		for j, p := range run.Peers {
			r := result.Result{Peer: p.Name, Case: c, Codec: c.Codec}
			switch {
			case p.Name == "nats":
				r.Failed = `append: "no <responders>"`
			case p.Name == "samsa-memory" && c.Acks == workload.Synced:
				r.Cannot = "cannot fsync: it has no disk"
			default:
				for round := range run.Rounds {
					r.Rounds = append(r.Rounds, fixedRound(t, c, i, j, round))
				}
			}
			run.Results = append(run.Results, r)
		}
	}
	return run
}

// fixedRound makes up figures: peer j needs 3+2j µs a record, and a round 10 % more than the
// one before.
func fixedRound(t *testing.T, c workload.Case, i, j, round int) result.Round {
	t.Helper()
	const n = 1_000_000
	r := result.Round{
		Outcome: workload.Outcome{
			Records: n, Bytes: n * int64(c.Size), Appended: n * int64(c.Size),
			Elapsed: time.Duration(3+2*j) * time.Second * time.Duration(10+round) / 10, Mallocs: uint64(j * n / 50),
		},
		PeakRSS: int64(30+10*j) << 20, DiskWritten: n * int64(c.Size) * int64(1+j) / 2,
	}
	if j == 1 {
		r.DiskWritten = -1
	}
	if c.Work == workload.Retention && j != 1 {
		r.PeakDisk = int64(15+5*j) << 20
	}
	if c.Work == workload.Cold {
		return r
	}
	h := workload.NewHistogram()
	for k := range 20_000 {
		if err := h.RecordValue(int64((j+1)*(20_000+k) + k*k/200*(i+1))); err != nil {
			t.Fatal(err)
		}
	}
	encoded, err := h.EncodeV2()
	if err != nil {
		t.Fatal(err)
	}
	r.Histogram = string(encoded)
	return r
}

// Every report of the fixed run is the one that somebody has looked at.
func TestReports(t *testing.T) {
	run := fixed(t)
	tables, err := result.Tables(run)
	if err != nil {
		t.Fatal(err)
	}
	for name, make := range map[string]func(io.Writer, *result.Run, []result.Table) error{
		"table.txt": Text, "table.md": Markdown, "page.html": HTML, "picture.svg": Picture,
	} {
		var got bytes.Buffer
		if err := make(&got, run, tables); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		golden := filepath.Join("testdata", name)
		if *update {
			if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.Bytes(), want) {
			t.Errorf("%s differs from its golden file, see git diff after go test -update ./internal/report", name)
		}
	}
}

// The page needs nothing from elsewhere, and what peers say cannot break it.
func TestPageIsSelfContained(t *testing.T) {
	run := fixed(t)
	tables, err := result.Tables(run)
	if err != nil {
		t.Fatal(err)
	}
	var page bytes.Buffer
	if err := HTML(&page, run, tables); err != nil {
		t.Fatal(err)
	}
	html := strings.ReplaceAll(page.String(), `xmlns="http://www.w3.org/2000/svg"`, "")
	if found := regexp.MustCompile(`(?i)https?:|src=|@import|url\(|<script|<link`).FindAllString(html, -1); len(found) > 0 {
		t.Errorf("the page refers to %q", found)
	}
	for _, raw := range []string{"<responders>", "<all>", "ZgotmplZ"} {
		if strings.Contains(html, raw) {
			t.Errorf("the page has %q", raw)
		}
	}
}

// A run that was cut short, or measured without Samsa, still makes every report.
func TestReportsOfLittle(t *testing.T) {
	whole := fixed(t)
	alone, failed := *whole, *whole
	alone.Peers, alone.Results = whole.Peers[3:4], nil
	failed.Results = nil
	for _, r := range whole.Results {
		if r.Peer == "sqlite" {
			alone.Results = append(alone.Results, r)
		}
		if r.Peer == "nats" {
			failed.Results = append(failed.Results, r)
		}
	}
	for name, run := range map[string]*result.Run{"alone": &alone, "failed": &failed, "nothing": {}} {
		tables, err := result.Tables(run)
		if err != nil {
			t.Fatal(err)
		}
		for _, make := range []func(io.Writer, *result.Run, []result.Table) error{Text, Markdown, HTML, Picture} {
			var b bytes.Buffer
			if err := make(&b, run, tables); err != nil || b.Len() == 0 {
				t.Errorf("%s: %d bytes, %v", name, b.Len(), err)
			}
			if strings.Contains(b.String(), "NaN") || strings.Contains(b.String(), "Inf") {
				t.Errorf("%s has a figure that is none:\n%s", name, b.String())
			}
		}
	}
}

func TestFigures(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{count(0), "0.00"}, {count(0.123), "0.12"}, {count(5.67), "5.7"}, {count(45.6), "46"}, {count(1234), "1,230"}, {count(4_855_321), "4,860,000"}, {count(999.9), "1,000"},
		{short(0), "0"}, {short(999), "999"}, {short(999.9), "1 k"}, {short(1234), "1.23 k"}, {short(4_855_321), "4.86 M"}, {short(12_345_678), "12.3 M"},
		{size(-1), "-"}, {size(1 << 20), "1 MiB"}, {size(3 << 29), "1.5 GiB"},
		{duration(0), "0 µs"}, {duration(350), "0.35 µs"}, {duration(1500), "1.5 µs"}, {duration(999_950), "1 ms"}, {duration(22 * time.Millisecond), "22 ms"}, {duration(90 * time.Second), "90 s"},
		{ratio(0), "-"}, {ratio(0.00123), "0.001"}, {ratio(0.5), "0.5"}, {ratio(12.34), "12.3"},
		{allocs(0.001), "0"}, {allocs(0.25), "0.25"},
		{plusMinus(result.Spread{Median: 100, Min: 90, Max: 105}), "±10%"},
		{bytesOf(100), "100 B"}, {bytesOf(10_000), "10 kB"},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
}
