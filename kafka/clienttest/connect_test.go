package clienttest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/samsa-go/samsa"
)

// The topics in which Connect keeps what it knows.
const (
	connectConfigs = "connect-configs"
	connectOffsets = "connect-offsets"
	connectStatus  = "connect-status"
)

// connectWorker is the configuration of a worker. Workers commit often, and one that was killed is
// missed after 6 s.
func connectWorker(addr string) string {
	return `
bootstrap.servers=` + addr + `
group.id=connect
config.storage.topic=` + connectConfigs + `
offset.storage.topic=` + connectOffsets + `
status.storage.topic=` + connectStatus + `
config.storage.replication.factor=1
offset.storage.replication.factor=1
status.storage.replication.factor=1
key.converter=org.apache.kafka.connect.storage.StringConverter
value.converter=org.apache.kafka.connect.storage.StringConverter
listeners=http://127.0.0.1:0
plugin.discovery=service_load
offset.flush.interval.ms=200
session.timeout.ms=6000
heartbeat.interval.ms=1000
consumer.session.timeout.ms=6000
consumer.heartbeat.interval.ms=1000
`
}

// connectWorkers is a worker, and what it moves: the lines of one file through a topic to another.
type connectWorkers struct {
	*kit
	config  string // where the worker's configuration is
	in, out string // the files
	lines   []string
}

// restAt is what a worker says of its REST API: where it is, and then that it is there.
var restAt = regexp.MustCompile(`(?s)REST server listening at (http://127\.0\.0\.1:\d+/).*REST resources initialized`)

// run starts a worker and returns where its REST API is.
func (c *connectWorkers) run() (worker *process, url string) {
	c.t.Helper()
	worker = c.start(javaConnect.command(c.ctx, "-Dorg.slf4j.simpleLogger.log.org.apache.kafka.connect.runtime.rest=info",
		"org.apache.kafka.connect.cli.ConnectDistributed", c.config))
	return worker, worker.await(restAt)[1]
}

// connect creates a connector.
func (c *connectWorkers) connect(url, name string, config map[string]string) {
	c.t.Helper()
	body, err := json.Marshal(map[string]any{"name": name, "config": config})
	if err != nil {
		c.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(c.ctx, http.MethodPost, url+"connectors", strings.NewReader(string(body)))
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusCreated {
		c.t.Fatalf("create connector %s: %s", name, resp.Status)
	}
}

// write appends 100 lines to the file that the source reads.
func (c *connectWorkers) write(part string) { c.writeLines(part, 100) }

func (c *connectWorkers) writeLines(part string, n int) {
	c.t.Helper()
	f, err := os.OpenFile(c.in, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		c.t.Fatal(err)
	}
	for i := range n {
		line := fmt.Sprintf("line %d of the %s part", i, part)
		c.lines = append(c.lines, line)
		if _, err := fmt.Fprintln(f, line); err != nil {
			c.t.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		c.t.Fatal(err)
	}
}

// moved waits until the sink has committed every line, and checks that each is there once, in
// its order, in the topic and in the file.
func (c *connectWorkers) moved() {
	c.t.Helper()
	c.untilCommitted("connect-sink", lineTopic, len(c.lines))
	var records []string
	for _, r := range c.read(lineTopic, len(c.lines)) {
		records = append(records, string(r.Value))
	}
	if !slices.Equal(records, c.lines) {
		c.t.Errorf("the records are %q, want %q", records, c.lines)
	}
	file, err := os.ReadFile(c.out)
	if err != nil {
		c.t.Fatal(err)
	}
	if want := strings.Join(c.lines, "\n") + "\n"; string(file) != want {
		c.t.Errorf("the file is %q, want %q", file, want)
	}
}

// remembered waits until Connect has kept how far the source is: at the end of its file.
func (c *connectWorkers) remembered() {
	c.t.Helper()
	consumer, err := c.NewConsumer(c.ctx, samsa.ConsumerOptions{Topics: []string{connectOffsets}})
	if err != nil {
		c.t.Fatal(err)
	}
	defer func() { _ = consumer.Close() }()
	end := fmt.Sprintf(`{"position":%d}`, len(strings.Join(c.lines, "\n"))+1)
	for {
		kept, err := consumer.Poll(c.ctx)
		if err != nil {
			c.t.Fatalf("the source has not got to %s: %v", end, err)
		}
		if slices.ContainsFunc(kept, func(r samsa.Record) bool { return string(r.Value) == end }) {
			return
		}
	}
}

// Kafka Connect, distributed, brings the lines of a file into a topic, which it creates by using
// it, and from there into another file. A worker that is killed when it had committed everything
// is followed by one that knows, from topics that are compacted, what there is to do and where to
// go on: no line is lost, and none comes twice.
func TestConnect(t *testing.T) {
	javaConnect.needs(t, "connect-runtime")
	t.Parallel() // it waits much of the time
	k := inMemory(t, samsa.Options{AutoCreateTopics: true}).within(t, javaPatience)
	dir := t.TempDir()
	c := &connectWorkers{kit: k, config: k.file("worker.properties", connectWorker(k.addr)),
		in: filepath.Join(dir, "in"), out: filepath.Join(dir, "out")}

	c.write("first")
	worker, url := c.run()
	c.connect(url, "source", map[string]string{
		"connector.class": "org.apache.kafka.connect.file.FileStreamSourceConnector", "file": c.in, "topic": lineTopic})
	c.remembered()
	c.connect(url, "sink", map[string]string{
		"connector.class": "org.apache.kafka.connect.file.FileStreamSinkConnector", "file": c.out, "topics": lineTopic})
	c.moved()
	worker.kill()

	c.write("second")
	worker, _ = c.run()
	c.moved()
	worker.stop()
	for _, topic := range []string{connectConfigs, connectOffsets, connectStatus} {
		k.compacted(topic)
	}
}
