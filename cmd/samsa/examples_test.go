//go:build unix

package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sr"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/backup"
	"github.com/samsa-go/samsa/cmd/samsa/internal/cli"
	"github.com/samsa-go/samsa/internal/api"
)

// example is one line of the examples of a help text.
type example struct {
	command string // whose help it is
	line    string
}

// examples returns the examples of all help texts.
func examples() []example {
	var list []example
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		for line := range strings.Lines(c.Example) {
			list = append(list, example{c.CommandPath(), strings.TrimSpace(line)})
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(cli.Root(cli.Surroundings{}))
	return list
}

// endless reports whether an example goes on until it is ended.
func (x example) endless() bool {
	return strings.HasPrefix(x.line, "samsa serve") || x.line == "samsa -d ./data top" || x.line == "samsa -b localhost:9092 consume web_log"
}

// Each example of a help text does something, and ends well.
func TestExamples(t *testing.T) {
	for _, x := range examples() {
		t.Run(strings.ReplaceAll(x.line, "/", "|"), func(t *testing.T) {
			x.run(t, newWorld(t), x.line)
		})
	}
}

// noJSON are commands that print bytes of the user's, and not of their own, or nothing that ends.
var noJSON = map[string]string{
	"samsa":        "is no command by itself",
	"samsa backup": "is no command by itself",
	"samsa fake":   "is no command by itself",
	"samsa help":   "is for people",
	"samsa export": "is for samsa import",
}

// Every command that prints does so in lines of JSON with --json. Those of its examples that are no pipes are tried.
func TestEveryCommandPrintsJSON(t *testing.T) {
	tried := make(map[string]bool)
	for _, x := range examples() {
		line := x.line
		if strings.Contains(line, "keys set") {
			line = "samsa -d ./data keys set k v --write"
		}
		if strings.ContainsAny(line, "|<>") || strings.Contains(line, " - ") || strings.Contains(line, "produce") {
			continue
		}
		line = strings.ReplaceAll(line, " --key-separator :", "") // which is for lines without it
		if !strings.Contains(line, "--json") {
			line += " --json"
		}
		t.Run(strings.ReplaceAll(x.line, "/", "|"), func(t *testing.T) {
			out := x.run(t, newWorld(t), line)
			for l := range strings.Lines(out) {
				if !json.Valid([]byte(l)) {
					t.Errorf("%s prints %q", line, l)
				}
			}
			if out != "" {
				tried[x.command] = true
			}
		})
	}
	t.Run("produce", func(t *testing.T) {
		x := example{"samsa produce", `echo '{"value":"v"}' | samsa -d ./data produce web_log --json`}
		if out := x.run(t, newWorld(t), x.line); !json.Valid([]byte(out)) {
			t.Errorf("it prints %q", out)
		}
		tried[x.command] = true
	})
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		if c.Name() == "completion" {
			return // what it prints is for a shell
		}
		if c.Runnable() && !c.Hidden && noJSON[c.CommandPath()] == "" && !tried[c.CommandPath()] {
			t.Errorf("%s was not tried with --json, or has printed nothing", c.CommandPath())
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(cli.Root(cli.Surroundings{}))
}

// world is where examples run: a directory with a broker's data in data, a broker with the same at an address, and files.
type world struct {
	dir      string
	broker   string
	registry string // of schemas
}

// newWorld makes a world of its own for a test.
func newWorld(t *testing.T) world {
	t.Helper()
	w := world{dir: t.TempDir()}
	for name, text := range map[string]string{
		"lines.txt":    "one\ntwo\n",
		"password.txt": "secret\n",
		"samsa.conf":   "topic = web_log:3\n",
	} {
		if err := os.WriteFile(filepath.Join(w.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	fill(t, filepath.Join(w.dir, "data"))
	fill(t, filepath.Join(w.dir, "served"))
	var err error
	if w.broker, _, err = serveFor(defers{t}, "--data", filepath.Join(w.dir, "served"), "--acls", "--super-users", "User:ANONYMOUS"); err != nil {
		t.Fatal(err)
	}
	_, url, err := serveFor(defers{t}, "--memory", "--schema-registry", "127.0.0.1:0")
	if err == nil {
		err = register(url, "orders-value", sr.Schema{Schema: `{"type":"record","name":"Order","fields":[{"name":"id","type":"long"}]}`})
	}
	if err != nil {
		t.Fatal(err)
	}
	w.registry = strings.TrimPrefix(url, "http://")
	takeSnapshot(t, w.dir)
	return w
}

// defers ends what a test has begun, as a script does.
type defers struct{ *testing.T }

// Defer has f called at the end.
func (d defers) Defer(f func()) { d.Cleanup(f) }

// fill makes the data that the examples are about.
func fill(t *testing.T, dir string) {
	t.Helper()
	b, err := samsa.Open(dir, samsa.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	err = errors.Join(
		b.Topics().Create(ctx, "web_log", samsa.TopicConfig{Partitions: 3}),
		b.Topics().Create(ctx, "orders", samsa.TopicConfig{Partitions: 3}),
		b.Topics().Create(ctx, "accounts", samsa.TopicConfig{CleanupPolicy: samsa.CleanupCompact}),
	)
	for i := range 10 {
		_, e := b.Produce(ctx, samsa.Record{
			Topic: "web_log", Key: []byte("gregor"), Value: []byte(`{"status":50` + strconv.Itoa(i) + `,"path":"/"}`),
			Headers: []samsa.Header{{Key: "trace", Value: []byte("a")}},
		})
		err = errors.Join(err, e)
	}
	_, e := b.Produce(ctx, samsa.Record{Topic: "accounts", Key: []byte("gregor"), Value: []byte("7")})
	balances, e2 := b.NewTable(ctx, samsa.TableOptions{Topic: "accounts", Name: "balances"})
	if err := errors.Join(err, e, e2); err != nil {
		t.Fatal(err)
	}
	err = errors.Join(err, balances.Close())
	err = errors.Join(err, b.Groups().AlterOffsets(ctx, "billing", samsa.To(samsa.Earliest()), partitions("web_log", 3)...))
	err = errors.Join(err, b.Update(ctx, func(tx *samsa.Tx) error {
		return errors.Join(tx.Set([]byte("balance/gregor"), []byte("7")), tx.Set([]byte("balance/grete"), []byte("8")))
	}))
	if err := errors.Join(err, buryOne(ctx, b), b.Close()); err != nil {
		t.Fatal(err)
	}
}

// run runs an example and returns what it has printed. One that goes on is ended when it has printed something.
func (x example) run(t *testing.T, w world, line string) string {
	t.Helper()
	broker := w.broker
	if strings.HasPrefix(line, "samsa mirror ") { // to one that has none of the topics
		var err error
		if broker, _, err = serveFor(defers{t}, "--memory"); err != nil {
			t.Fatal(err)
		}
	}
	line = strings.ReplaceAll(line, "localhost:9092", broker)
	line = strings.ReplaceAll(line, "localhost:8081", w.registry)
	if strings.Contains(line, "http://localhost:9080 fake") {
		line = strings.ReplaceAll(line, "http://localhost:9080", fakeBroker(t))
	}
	line = strings.ReplaceAll(line, "/etc/samsa.conf", "samsa.conf")
	if x.endless() {
		line = "exec " + line
	}
	cmd := exec.CommandContext(t.Context(), "sh", "-ec", before(line)+line)
	cmd.Dir = w.dir
	cmd.Env = append(os.Environ(), "SAMSA_LISTEN=127.0.0.1:0", "PASSWORD=secret")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	var end sync.Once // a second signal does not wait for a good end
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		out.WriteString(lines.Text() + "\n")
		if x.endless() {
			end.Do(func() { _ = cmd.Process.Signal(syscall.SIGTERM) })
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("%s: %v\n%s%s", line, err, out.String(), &stderr)
	}
	return out.String()
}

// before returns what makes the thing that an example deletes, lists, or asks for.
func before(line string) string {
	made := strings.TrimSuffix(strings.TrimSuffix(line, " --json"), " --yes")
	words := strings.Fields(strings.TrimSuffix(made, " list"))
	switch last := words[len(words)-1]; {
	case last == "acls":
		made = strings.Join(words, " ") + " add User:alice READ TOPIC orders"
	case last == "quotas":
		made = strings.Join(words, " ") + " set --user alice producer_byte_rate=1000"
	case last == "users":
		made = "echo secret | " + strings.Join(words, " ") + " add alice"
	case strings.Contains(line, " acls delete "):
		made = strings.Replace(made, " acls delete ", " acls add ", 1)
	case strings.Contains(line, " quotas delete "):
		made = strings.Replace(made, " quotas delete ", " quotas set ", 1)
		if strings.HasSuffix(made, "_rate") {
			made += "=1000"
		} else {
			made += " connection_creation_rate=1000"
		}
	case strings.Contains(line, " users delete "):
		made = "echo secret | " + strings.Replace(made, " users delete ", " users add ", 1)
	case strings.HasPrefix(line, "samsa mirror ") && strings.Contains(line, " --status"):
		made = strings.Replace(made, " --status", " --until-now", 1)
	default:
		return ""
	}
	return made + " >/dev/null; "
}

// fakeBroker serves a fake broker that looks like three, with a fault, an open transaction and a copy until the test ends, and returns the URL of its API.
func fakeBroker(t *testing.T) string {
	t.Helper()
	addr, url, err := serveFor(defers{t}, "--fake", "--brokers", "3", "--http", "127.0.0.1:0", "--topic", "orders")
	if err != nil {
		t.Fatal(err)
	}
	c, err := api.NewClient(url)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	cl, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.TransactionalID("payments"))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	if err := cl.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	_, err = c.NewFault(t.Context(), api.NewFault{On: "appends", Count: true})
	if err == nil {
		_, err = c.NewFork(t.Context(), "yesterday")
	}
	if err = errors.Join(err, cl.ProduceSync(t.Context(), &kgo.Record{Topic: "orders"}).FirstErr()); err != nil {
		t.Fatal(err)
	}
	return url
}

// buryOne makes a dead letter: the record 0 of tasks_dead.
func buryOne(ctx context.Context, b *samsa.Broker) error {
	err := errors.Join(b.Topics().Create(ctx, "tasks", samsa.TopicConfig{}), b.Topics().Create(ctx, "tasks_dead", samsa.TopicConfig{}))
	if _, e := b.Produce(ctx, samsa.Record{Topic: "tasks", Value: []byte("impossible")}); e != nil {
		return errors.Join(err, e)
	}
	q, e := b.NewQueue(ctx, samsa.QueueOptions{Group: "workers", Topics: []string{"tasks"}, DeadLetter: "tasks_dead"})
	if e != nil {
		return errors.Join(err, e)
	}
	ds, e := q.Receive(ctx, 1)
	for _, d := range ds {
		e = errors.Join(e, d.Reject("nobody can"))
	}
	return errors.Join(err, e, q.Close())
}

// takeSnapshot writes backup.samsa, and the same packed, and the folder backup.
func takeSnapshot(t *testing.T, dir string) {
	t.Helper()
	b, err := samsa.Open(filepath.Join(dir, "data"), samsa.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := backup.Run(t.Context(), backup.Of(b, backup.SourceOptions{}), backup.Folder(filepath.Join(dir, "backup")), backup.Options{UntilNow: true}); err != nil {
		t.Fatal(err)
	}
	var plain, packed bytes.Buffer
	zip := gzip.NewWriter(&packed)
	err = errors.Join(b.Snapshot(t.Context(), io.MultiWriter(&plain, zip)), zip.Close(), b.Close(),
		os.WriteFile(filepath.Join(dir, "backup.samsa"), plain.Bytes(), 0o600),
		os.WriteFile(filepath.Join(dir, "backup.samsa.gz"), packed.Bytes(), 0o600))
	if err != nil {
		t.Fatal(err)
	}
}

// partitions returns the first n partitions of a topic.
func partitions(topic string, n int) []samsa.TopicPartition {
	var tps []samsa.TopicPartition
	for i := range n {
		tps = append(tps, samsa.TopicPartition{Topic: topic, Partition: int32(i)})
	}
	return tps
}
