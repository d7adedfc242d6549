package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/cmd/samsa/internal/cli"
)

// What the process ends with: samsa help exit-codes.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitNotFound    = 3
	exitExists      = 4
	exitRefused     = 5
	exitUnavailable = 6
	exitDamaged     = 7
)

// run carries out a command line, in an empty environment.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	return cli.Run(ctx, args, cli.Surroundings{
		Stdin: strings.NewReader(""), Stdout: stdout, Stderr: stderr, Getenv: func(string) string { return "" },
	})
}

// asChild is set in a process that a test has started: it is samsa then.
const asChild = "SAMSA_TEST_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(asChild) != "" {
		main()
	}
	testscript.Main(leakFree{m}, map[string]func(){"samsa": main})
}

// Several brokers are served at addresses of their own, and each tells of all.
func TestServeBrokers(t *testing.T) {
	p := begin(t, []string{"serve", "--listen", "127.0.0.1:0", "--memory", "--brokers", "3", "--racks", "a,b,c", "--topic", "web_log:3"})
	first := p.line()
	p.until("topics: ")
	md := metadata(t, strings.Fields(address(first))[0], "web_log")
	leaders := make(map[int32]bool)
	for _, part := range md.Topics[0].Partitions {
		leaders[part.Leader] = true
	}
	if len(md.Brokers) != 3 || len(leaders) != 3 || strings.Count(first, " and ") != 2 || md.Brokers[2].Rack == nil {
		t.Errorf("%s: %+v", first, md)
	}
	if code := p.end(); code != exitOK {
		t.Errorf("ended with %d: %s", code, p.stderr.String())
	}
}

// A topic is served, over the wire and after a restart, and the data is there in the end.
func TestServe(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	for _, args := range [][]string{
		{"--topic", "web_log:3", "--topic", "orders", "--node-id", "7", "--advertise", "kafka.test:9"},
		{"--topic", "web_log:5"}, // is there already, and stays
	} {
		p := begin(t, append([]string{"serve", "--listen", "127.0.0.1:0", "--data", dir}, args...))
		first := p.line()
		if !strings.Contains(first, dir) {
			t.Errorf("%q does not name %s", first, dir)
		}
		topics := p.until("topics: ")
		if topics != "orders:1 web_log:3" {
			t.Errorf("it announces the topics %q", topics)
		}
		md := metadata(t, address(first), "web_log")
		if got := md.Topics[0]; got.ErrorCode != 0 || len(got.Partitions) != 3 {
			t.Errorf("got %+v", got)
		}
		if b := md.Brokers[0]; args[0] == "--topic" && len(args) > 2 && (b.NodeID != 7 || b.Host != "kafka.test" || b.Port != 9) {
			t.Errorf("got %+v", b)
		}
		if code := p.end(); code != exitOK {
			t.Errorf("ended with %d: %s", code, p.stderr.String())
		}
	}
	b, err := samsa.Open(dir, samsa.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.Close() }()
	if info, err := b.Topics().Describe(t.Context(), "web_log"); err != nil || len(info.Partitions) != 3 {
		t.Errorf("got %+v, error %v", info, err)
	}
}

// In memory, nothing is left behind; what is named is created if that is wanted.
func TestServeMemory(t *testing.T) {
	t.Chdir(t.TempDir())
	p := begin(t, []string{"serve", "--listen", "127.0.0.1:0", "--memory"})
	first := p.line()
	if topics := p.until("topics: "); topics != "none yet" {
		t.Errorf("it announces the topics %q", topics)
	}
	if got := metadata(t, address(first), "web_log").Topics[0]; got.ErrorCode != 0 {
		t.Errorf("got %+v", got)
	}
	if code := p.end(); code != exitOK {
		t.Errorf("ended with %d: %s", code, p.stderr.String())
	}
	if left, err := os.ReadDir("."); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, error %v", left, err)
	}
}

// Whatever cannot be done is told by its name, and nothing is left running.
func TestErrors(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	inUse := t.TempDir()
	b, err := samsa.Open(inUse, samsa.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.Close() }()
	for _, tt := range []struct {
		args string
		code int
		says string // in stderr; stdout for exitOK
	}{
		{"", exitUsage, "samsa serve"},
		{"-h", exitOK, "samsa serve"},
		{"sing", exitUsage, `unknown command "sing"`},
		{"topic", exitUsage, `unknown command "topic": did you mean top or topics?`},
		{"topics lst", exitUsage, "did you mean list?"},
		{"backup", exitUsage, "samsa backup [command]"},
		{"backup prone", exitUsage, `unknown command "prone"`},
		{"help sing", exitUsage, `unknown command "sing"`},
		{"help exit-codes", exitOK, "damaged"},
		{"help topics list", exitOK, "--prefix"},
		{"completion ash", exitUsage, `unknown command "ash"`},
		{"consume", exitUsage, "no arguments, want samsa consume TOPIC"},
		{"restore a b c", exitUsage, "3 arguments, want samsa restore FILE DIRECTORY"},
		{"--version", exitOK, "samsa "},
		{"serve -h", exitOK, "--topic name:partitions"},
		{"serve --colour red", exitUsage, "--colour"},
		{"serve --node-id 0", exitUsage, "--node-id is 0"},
		{"serve --node-id one", exitUsage, "--node-id"},
		{"serve --brokers 0", exitUsage, "--brokers is 0"},
		{"serve --brokers 3 --listen 127.0.0.1:1,127.0.0.1:2", exitUsage, "--listen has 2"},
		{"serve --racks a,b", exitUsage, "--racks are 2"},
		{"serve --memory now", exitUsage, `"now"`},
		{"serve --memory --data here", exitUsage, "--data here"},
		{"serve --topic web_log:many", exitUsage, `"web_log:many"`},
		{"serve --memory --auto-create false", exitUsage, `"false"`},
		{"serve --node-id 1 --node-id 2", exitUsage, "given twice"},
		{"serve --memory --memory", exitUsage, "given twice"},
		{"serve --topic web_log:3 --topic web_log:4", exitUsage, "web_log is given twice"},
		{"serve --config retention.ms=1 --config retention.ms=2", exitUsage, "retention.ms is given twice"},
		{"serve --config retention.ms=soon", exitUsage, "retention.ms"},
		{"serve --config colour=red", exitUsage, "colour"},
		{"serve --config retention.ms", exitUsage, "name=value"},
		{"serve --log-level loud", exitUsage, "log-level"},
		{"serve --topic web_log:3,colour=red", exitUsage, "colour"},
		{"serve --listen 127.0.0.1:0,127.0.0.1:0 --advertise a:1", exitUsage, "--advertise has 1"},
		{"serve --shutdown-timeout 0s", exitUsage, "--shutdown-timeout is 0s"},
		{"serve --config-file nowhere.conf", exitUsage, "nowhere.conf"},
		{"serve --memory --write", exitUsage, "--http"},
		{"serve --data nothing --listen 127.0.0.1:0 --http 0.0.0.0:0", exitUsage, "--http 0.0.0.0:0: other machines may reach it: give --allow-remote, and --sasl or --tls-cert"},
		{"serve --data nothing --listen 127.0.0.1:0 --http nowhere", exitUsage, "--http nowhere: want host:port"},
		{"serve --log-format xml", exitUsage, "text or json"},
		{"serve -b localhost:9092", exitUsage, "'b' in -b"},
		{"serve --memory --topic web/log", exitUsage, `"web/log" for "--topic"`},
		{"serve --data nothing --listen nowhere", exitUsage, "--listen nowhere: want host:port"},
		{"serve --data nothing --listen 127.0.0.1:0,0.0.0.0:0", exitUsage, "--listen 0.0.0.0:0: other machines may reach it"},
		{"serve --memory --listen 127.0.0.1:0 --advertise nowhere", exitUsage, `"nowhere"`},
		{"serve --memory --listen " + taken.Addr().String(), exitUnavailable, taken.Addr().String()},
		{"serve --listen 127.0.0.1:0 --data " + inUse, exitUnavailable, inUse},
		{"serve --listen 127.0.0.1:0 --data " + inUse, exitUnavailable, "doctor tells by whom"},
	} {
		t.Run(tt.args, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			code := run(t.Context(), strings.Fields(tt.args), &stdout, &stderr)
			said, silent := &stderr, &stdout
			if tt.code == exitOK {
				said, silent = silent, said
			}
			if code != tt.code || !strings.Contains(said.String(), tt.says) || silent.Len() > 0 {
				t.Errorf("ended with %d\nstdout: %s\nstderr: %s", code, &stdout, &stderr)
			}
		})
	}
}

// program is a run that is under way.
type program struct {
	t      *testing.T
	lines  *bufio.Reader
	stderr bytes.Buffer // once it has ended
	cancel context.CancelFunc
	code   chan int
}

func begin(t *testing.T, args []string) *program {
	ctx, cancel := context.WithCancel(t.Context())
	out, in := io.Pipe()
	p := &program{t: t, lines: bufio.NewReader(out), cancel: cancel, code: make(chan int, 1)}
	go func() {
		code := run(ctx, args, in, &p.stderr)
		_ = in.Close()
		p.code <- code
	}()
	return p
}

// line returns the next line that is printed.
func (p *program) line() string {
	p.t.Helper()
	line, err := p.lines.ReadString('\n')
	if err != nil {
		p.t.Fatalf("no more lines: %v, ended with %d: %s", err, <-p.code, p.stderr.String())
	}
	return strings.TrimSuffix(line, "\n")
}

// until returns the rest of the next line that begins so.
func (p *program) until(prefix string) string {
	p.t.Helper()
	for {
		if rest, ok := strings.CutPrefix(p.line(), prefix); ok {
			return rest
		}
	}
}

// end is Ctrl-C.
func (p *program) end() int {
	p.cancel()
	_, _ = io.Copy(io.Discard, p.lines)
	return <-p.code
}

// address is the first one in the line that tells where is served.
func address(line string) string {
	_, rest, _ := strings.Cut(line, " at ")
	addr, _, _ := strings.Cut(rest, ",")
	addr, _, _ = strings.Cut(addr, " and ")
	return addr
}

// metadata asks the server at addr for a topic.
func metadata(t *testing.T, addr, topic string) *kmsg.MetadataResponse {
	t.Helper()
	req, resp := kmsg.NewPtrMetadataRequest(), kmsg.NewPtrMetadataResponse()
	req.AllowAutoTopicCreation = true
	req.Topics = []kmsg.MetadataRequestTopic{{Topic: &topic}}
	ask(t, addr, 4, req, resp)
	return resp
}

// ask sends a request to the server at addr, in a version that is not flexible, and reads its
// answer.
func ask(t *testing.T, addr string, version int16, req kmsg.Request, resp kmsg.Response) {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = nc.Close() }()
	req.SetVersion(version)
	resp.SetVersion(version)
	if _, err := nc.Write(kmsg.NewRequestFormatter().AppendRequest(nil, req, 1)); err != nil {
		t.Fatal(err)
	}
	var length [4]byte
	if _, err := io.ReadFull(nc, length[:]); err != nil {
		t.Fatal(err)
	}
	frame := make([]byte, binary.BigEndian.Uint32(length[:]))
	if _, err := io.ReadFull(nc, frame); err != nil {
		t.Fatal(err)
	}
	if err := resp.ReadFrom(frame[4:]); err != nil {
		t.Fatal(err)
	}
}

// Topics are made on demand, with the defaults of the command line, and with any number of
// replicas, unless a flag says otherwise.
func TestServeTakesWhatComes(t *testing.T) {
	for _, strict := range []bool{false, true} {
		args := []string{"serve", "--listen", "127.0.0.1:0", "--memory", "--partitions", "3"}
		if strict {
			args = append(args, "--auto-create=false", "--any-replication-factor=false")
		}
		p := begin(t, args)
		addr := address(p.line())
		p.until("Ctrl-C")
		got := metadata(t, addr, "web_log").Topics[0]
		if made := got.ErrorCode == 0 && len(got.Partitions) == 3; made == strict {
			t.Errorf("strict: %v, got %+v", strict, got)
		}
		req := kmsg.NewPtrCreateTopicsRequest()
		rt := kmsg.NewCreateTopicsRequestTopic()
		rt.Topic, rt.NumPartitions, rt.ReplicationFactor = "orders", 1, 3
		req.Topics = append(req.Topics, rt)
		created := kmsg.NewPtrCreateTopicsResponse()
		ask(t, addr, 4, req, created)
		if made := created.Topics[0].ErrorCode == 0; made == strict {
			t.Errorf("strict: %v, got %+v", strict, created.Topics[0])
		}
		if code := p.end(); code != exitOK {
			t.Errorf("ended with %d: %s", code, p.stderr.String())
		}
	}
}
