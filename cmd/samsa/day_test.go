//go:build unix

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// A day of who runs a broker, by the command alone: under load it is looked at, a group is moved, a topic is trimmed, a snapshot is
// taken and read elsewhere. Then the broker is killed, copies of its directory are damaged, verified and mended, and its backup is
// restored to a second.
func TestOperatorsDay(t *testing.T) {
	d := newDay(t)
	d.look()
	d.moveGroup()
	d.trim()
	d.takeSnapshot()
	second := d.reachSecond()
	d.kill()
	d.damageIndex()
	d.damageValues()
	d.restoreSecond(second)
	d.goOn()
}

// day is a broker in a process, a producer that goes on, and all that it has produced.
type day struct {
	*testing.T
	dir    string // where data, backup and all copies are
	broker *exec.Cmd
	url    string // of its API
	load   *load
	start  int64 // of both partitions
}

func newDay(t *testing.T) *day {
	d := &day{T: t, dir: t.TempDir()}
	d.serve()
	d.load = d.produce()
	d.load.wait(t, func(l *load) bool { return len(l.stored) >= 50 })
	return d
}

// serve starts the broker.
func (d *day) serve() {
	d.Helper()
	d.broker = d.command("serve", "--listen", "127.0.0.1:0", "--data", "data", "--topic", "web_log:2", "--http", "127.0.0.1:0", "--backup", "backup")
	d.broker.Stderr = os.Stderr
	out, err := d.broker.StdoutPipe()
	if err == nil {
		err = d.broker.Start()
	}
	if err != nil {
		d.Fatal(err)
	}
	d.Cleanup(func() { _ = d.broker.Process.Kill() })
	lines := bufio.NewScanner(out)
	for lines.Scan() && !strings.HasPrefix(lines.Text(), "Ctrl-C") {
		if _, u, ok := strings.Cut(lines.Text(), "console and API at "); ok {
			d.url = u
		}
	}
	if d.url == "" {
		d.Fatal("it tells no URL")
	}
}

func (d *day) command(args ...string) *exec.Cmd {
	cmd := exec.CommandContext(d.Context(), os.Args[0], args...)
	cmd.Dir = d.dir
	cmd.Env = append(os.Environ(), asChild+"=1", "SAMSA=", "TZ=UTC")
	return cmd
}

// samsa runs a command that ends with a code, and returns what it prints on stdout and on stderr.
func (d *day) samsa(code int, line string) (stdout, stderr string) {
	d.Helper()
	cmd := d.command(strings.Fields(line)...)
	var out, told bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &told
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		d.Fatal(err)
	}
	if got := cmd.ProcessState.ExitCode(); got != code {
		d.Fatalf("samsa %s ended with %d, want %d\n%s%s", line, got, code, &out, &told)
	}
	return out.String(), told.String()
}

// says fails unless a text has all the patterns.
func (d *day) says(text string, patterns ...string) {
	d.Helper()
	for _, p := range patterns {
		if !regexp.MustCompile("(?m)" + p).MatchString(text) {
			d.Errorf("nothing like %q in\n%s", p, text)
		}
	}
}

// place is where a record is.
type place struct {
	Partition int32 `json:"partition"`
	Offset    int64 `json:"offset"`
}

// storedRecord is a record of the load that the broker has confirmed.
type storedRecord struct {
	place
	value        string
	sent, stored time.Time
}

// load is a producer that goes on, a record at a time.
type load struct {
	mu     sync.Mutex // guards all below
	stored []storedRecord
	told   string        // on stderr, once it has ended
	code   int           // it has ended with, -1 until then
	more   chan struct{} // is closed at the next change, and then another one
}

func (l *load) change(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f()
	close(l.more)
	l.more = make(chan struct{})
}

// wait returns when a condition holds.
func (l *load) wait(t *testing.T, until func(*load) bool) {
	t.Helper()
	for {
		l.mu.Lock()
		ok, more := until(l), l.more
		ended := l.code >= 0
		l.mu.Unlock()
		switch {
		case ok:
			return
		case ended:
			t.Fatalf("the producer has ended with %d: %s", l.code, l.told)
		}
		select {
		case <-more:
		case <-t.Context().Done():
			t.Fatal("the producer does not get that far")
		}
	}
}

// records returns what was stored until now.
func (l *load) records() []storedRecord {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.stored[:len(l.stored):len(l.stored)]
}

// produce starts the producer, which ends when its broker does.
func (d *day) produce() *load {
	d.Helper()
	l := &load{code: -1, more: make(chan struct{})}
	cmd := d.command("-d", "data", "produce", "web_log", "--json", "--partitioner", "roundrobin")
	var told bytes.Buffer
	cmd.Stderr = &told
	in, err := cmd.StdinPipe()
	out, err2 := cmd.StdoutPipe()
	if err := errors.Join(err, err2); err != nil {
		d.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		d.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		places := json.NewDecoder(out)
		for i := 0; ; i++ {
			r := storedRecord{value: fmt.Sprintf("line %d", i), sent: time.Now()}
			if _, err := fmt.Fprintf(in, `{"value":%q}`+"\n", r.value); err != nil {
				break
			}
			if err := places.Decode(&r.place); err != nil {
				break
			}
			if r.stored = time.Now(); int(r.Partition) != i%2 {
				d.Errorf("%s is in partition %d", r.value, r.Partition)
			}
			l.change(func() { l.stored = append(l.stored, r) })
		}
		_ = in.Close()
		_ = cmd.Wait()
		l.change(func() { l.told, l.code = told.String(), cmd.ProcessState.ExitCode() })
	})
	d.Cleanup(func() {
		_ = cmd.Process.Kill()
		running.Wait()
	})
	return l
}

// read returns the values of web_log in a directory, by where they are.
func (d *day) read(dir string) map[place]string {
	d.Helper()
	out, _ := d.samsa(exitOK, "-d "+dir+" consume web_log --until-now --json")
	got := make(map[place]string)
	for lines := json.NewDecoder(strings.NewReader(out)); ; {
		var r struct {
			place
			Value string `json:"value"`
		}
		if err := lines.Decode(&r); errors.Is(err, io.EOF) {
			return got
		} else if err != nil {
			d.Fatal(err)
		}
		got[r.place] = r.Value
	}
}

// compare fails unless got has each record that was stored before one time, none that was sent after another, and nothing else.
func (d *day) compare(name string, got map[place]string, before, after time.Time) {
	d.Helper()
	must, may, known := 0, make(map[place]string), d.load.records()
	for _, r := range known {
		if r.Offset < d.start {
			continue
		}
		if !r.sent.After(after) {
			may[r.place] = r.value
		}
		if !r.stored.Before(before) {
			continue
		}
		if must++; got[r.place] != r.value {
			d.Errorf("%s: partition %d has %q at offset %d, want %q", name, r.Partition, got[r.place], r.Offset, r.value)
		}
	}
	if must == 0 {
		d.Errorf("%s: nothing is compared", name)
	}
	unknown := fmt.Sprintf("line %d", len(known)) // the last one was perhaps stored without being confirmed
	for at, v := range got {
		if may[at] != v && v != unknown {
			d.Errorf("%s: partition %d has %q at offset %d, where %q was produced by then", name, at.Partition, v, at.Offset, may[at])
		}
	}
}

// look looks at the broker while it is at work.
func (d *day) look() {
	out, _ := d.samsa(exitOK, "-d data topics")
	d.says(out, `^TOPIC +PARTITIONS`, `^web_log +2 `)
	out, _ = d.samsa(exitOK, "-d data topics describe web_log")
	d.says(out, `^topic web_log, 2 partitions, \d+ records, `, `^ +1 +0 +\d+ `)
	out, _ = d.samsa(exitOK, "-d data doctor")
	d.says(out, `^directory +ok`, `^free space `, `^broker +ok +answers in .*: 1 topic, cluster `)
	if out, _ = d.samsa(exitOK, "-d data groups list"); out != "" {
		d.Errorf("there are groups: %s", out)
	}
	d.says(d.get("/healthz"), `^ok$`)
	d.says(d.get("/readyz"), `^ok$`)
	metrics := d.get("/metrics")
	d.says(metrics, `^samsa_topics 1$`)
	_, rest, _ := strings.Cut(metrics, "\nsamsa_appended_records_total ")
	n, _, _ := strings.Cut(rest, "\n")
	if records, err := strconv.ParseFloat(n, 64); err != nil || records < 50 {
		d.Errorf("samsa_appended_records_total is %q", n)
	}
}

func (d *day) get(path string) string {
	d.Helper()
	req, err := http.NewRequestWithContext(d.Context(), http.MethodGet, d.url+path, nil)
	if err != nil {
		d.Fatal(err)
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		d.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		d.Fatalf("%s: %s, %v: %s", path, resp.Status, err, text)
	}
	return string(text)
}

// moveGroup moves a group, in words first.
func (d *day) moveGroup() {
	const reset = "-d data groups reset billing --topic web_log --to "
	out, _ := d.samsa(exitOK, reset+"7 --dry-run")
	d.says(out, `^web_log +0 +- +7$`, `^web_log +1 +- +7$`)
	d.samsa(exitNotFound, "-d data groups describe billing")
	_, told := d.samsa(exitRefused, reset+"7")
	d.says(told, `^samsa groups reset: refused: .*--yes`)
	d.samsa(exitNotFound, "-d data groups describe billing")
	d.samsa(exitOK, reset+"7 --yes")
	out, _ = d.samsa(exitOK, reset+"earliest --dry-run")
	d.says(out, `^web_log +0 +7 +0$`)
	out, _ = d.samsa(exitOK, "-d data groups describe billing")
	d.says(out, `^group billing, .*, Empty, 0 members, lag \d+$`, `^web_log +0 +7 +\d+ +\d+$`)
}

// trim deletes the oldest records, in words first.
func (d *day) trim() {
	const trim = "-d data topics delete-records web_log --before 5"
	out, _ := d.samsa(exitOK, trim+" --dry-run")
	d.says(out, `^TOPIC +PARTITION +FROM +BEFORE$`, `^web_log +1 +0 +5$`)
	_, told := d.samsa(exitRefused, trim)
	d.says(told, `--yes`)
	now := time.Now()
	d.compare("before it is trimmed", d.read("data"), now, now.Add(time.Hour))
	out, _ = d.samsa(exitOK, trim+" --yes")
	d.says(out, `^web_log +0 +0 +5$`, `^web_log +1 +0 +5$`)
	d.start = 5
	now = time.Now()
	d.compare("trimmed", d.read("data"), now, now.Add(time.Hour))
}

// takeSnapshot takes a snapshot while the load goes on, and restores it elsewhere.
func (d *day) takeSnapshot() {
	before := time.Now()
	out, _ := d.samsa(exitOK, "-d data snapshot live.samsa")
	after := time.Now()
	d.says(out, `^wrote live.samsa, `)
	out, _ = d.samsa(exitOK, "restore live.samsa elsewhere")
	d.says(out, `^restored 1 topic into elsewhere$`)
	d.compare("the snapshot", d.read("elsewhere"), before, after)
	out, _ = d.samsa(exitOK, "-d elsewhere groups describe billing")
	d.says(out, `^web_log +0 +7 `)
	out, _ = d.samsa(exitOK, "-d elsewhere verify")
	d.says(out, `1 topic, `, `, 0 notes$`)
}

// reachSecond returns a second before which and after which there are records, all of them in the backup.
func (d *day) reachSecond() time.Time {
	second := time.Now().Truncate(time.Second).Add(2 * time.Second)
	d.load.wait(d.T, func(l *load) bool { return l.stored[len(l.stored)-1].sent.After(second) })
	for {
		out, _ := d.samsa(exitOK, "backup list backup --json")
		var span struct {
			Until struct {
				Time time.Time `json:"time"`
			} `json:"until"`
			Missing string `json:"missing"`
		}
		if err := json.Unmarshal([]byte(out), &span); err != nil || span.Missing != "" {
			d.Fatalf("%v: %s", err, out)
		}
		if span.Until.Time.After(second) {
			return second
		}
	}
}

// kill kills the broker, and its producer is told. Then the directory is copied.
func (d *day) kill() {
	out, _ := d.samsa(exitOK, "-d data verify")
	d.says(out, `while a broker has it open`)
	if err := d.broker.Process.Kill(); err != nil {
		d.Fatal(err)
	}
	_ = d.broker.Wait()
	d.load.wait(d.T, func(l *load) bool { return l.code >= 0 })
	if d.load.code != exitUnavailable {
		d.Errorf("the producer ended with %d", d.load.code)
	}
	d.says(d.load.told, `^samsa produce: line \d+: `)
	d.samsa(exitUnavailable, "--api "+d.url+" topics")
	out, _ = d.samsa(exitOK, "-d data verify")
	d.says(out, `, 1 topic, \d+ records in .*, 0 notes$`)
	for _, name := range []string{"index", "values"} {
		cp := exec.CommandContext(d.Context(), "cp", "-R", "data", name) // as an operator does, socket and all
		cp.Dir = d.dir
		if out, err := cp.CombinedOutput(); err != nil {
			d.Fatalf("%v: %s", err, out)
		}
	}
	d.compare("killed", d.read("data"), time.Now(), time.Now())
}

// damageIndex cuts both manifests of a copy, which repair mends.
func (d *day) damageIndex() {
	for _, name := range []string{"MANIFEST.0", "MANIFEST.1"} {
		if err := os.Truncate(filepath.Join(d.dir, "index", name), 5); err != nil {
			d.Fatal(err)
		}
	}
	out, told := d.samsa(exitDamaged, "-d index verify")
	d.says(out, `^repairable: MANIFEST.0: .*it costs nothing once the index is made anew`)
	d.says(told, `0 damaged, 2 that repair mends$`)
	_, told = d.samsa(exitDamaged, "-d index topics")
	d.says(told, `samsa verify`, `samsa repair`)
	d.samsa(exitRefused, "-d index repair")
	out, _ = d.samsa(exitOK, "-d index repair --yes")
	d.says(out, `^made the index of index anew: .*, 1 topic, in `)
	out, _ = d.samsa(exitOK, "-d index verify")
	d.says(out, `, 1 topic, .*, 0 notes$`)
	d.compare("mended", d.read("index"), time.Now(), time.Now())
}

// damageValues changes one bit of a record of a copy, which nothing mends.
func (d *day) damageValues() {
	file := filepath.Join(d.dir, "values", "values", "0000000001.log")
	text, err := os.ReadFile(file)
	if err != nil {
		d.Fatal(err)
	}
	at := bytes.Index(text, []byte("line 20"))
	if at < 0 {
		d.Fatal("the value file does not have line 20")
	}
	text[at] ^= 1
	if err := os.WriteFile(file, text, 0o600); err != nil {
		d.Fatal(err)
	}
	out, told := d.samsa(exitDamaged, "-d values verify")
	d.says(out, `^damage: values/0000000001.log, offset \d+: commit \d+: .*; it costs `)
	d.says(told, `1 damaged, 0 that repair mends$`)
	_, told = d.samsa(exitDamaged, "-d values topics")
	d.says(told, `samsa verify`)
	_, told = d.samsa(exitDamaged, "serve --data values --listen 127.0.0.1:0")
	d.says(told, `samsa verify`)
	_, told = d.samsa(exitDamaged, "-d values repair --yes")
	d.says(told, `^samsa repair: .*damaged`)
	if again, err := os.ReadFile(file); err != nil || !bytes.Equal(again, text) {
		d.Errorf("repair has changed the value file, error %v", err)
	}
}

// restoreSecond restores the backup to a second.
func (d *day) restoreSecond(second time.Time) {
	at := second.UTC().Format(time.RFC3339)
	d.samsa(exitNotFound, "backup restore backup again --at 2020-01-01")
	out, _ := d.samsa(exitOK, "backup restore backup again --at "+at)
	d.says(out, `^restored commit \d+ of .* into again$`)
	d.samsa(exitExists, "backup restore backup again --at "+at)
	// Commits are stamped in milliseconds.
	d.compare("the second", d.read("again"), second, second.Add(time.Millisecond))
	out, _ = d.samsa(exitOK, "-d again groups describe billing")
	d.says(out, `^web_log +0 +7 `)
	d.samsa(exitOK, "-d again verify")
}

// goOn starts the broker again: all is there, and the backup goes on.
func (d *day) goOn() {
	d.serve()
	d.compare("served again", d.read("data"), time.Now(), time.Now())
	if err := d.broker.Process.Signal(os.Interrupt); err != nil {
		d.Fatal(err)
	}
	if err := d.broker.Wait(); err != nil {
		d.Errorf("it ended with %v", err)
	}
	out, _ := d.samsa(exitOK, "backup list backup")
	d.says(out, `^GENERATION `, `^g0+1`)
}
