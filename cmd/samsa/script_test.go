package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/twmb/franz-go/pkg/sr"
	"go.uber.org/goleak"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/cmd/samsa/internal/s3/fakes3"
	"github.com/samsa-go/samsa/internal/api"
)

var update = flag.Bool("update", false, "write the output into the scripts")

// leakFree runs tests and fails if they leave goroutines behind.
type leakFree struct{ *testing.M }

// Run runs them.
func (m leakFree) Run() int {
	code := m.M.Run()
	if err := goleak.Find(); err != nil && code == 0 {
		_, _ = io.WriteString(os.Stderr, err.Error()+"\n")
		return 1
	}
	return code
}

// Each script in testdata/script is a story of the command line. one.samsa is a snapshot.
func TestScripts(t *testing.T) {
	runScripts(t, filepath.Join("testdata", "script"), func(e *testscript.Env) error {
		b, err := samsa.Open("", samsa.Options{InMemory: true, AutoCreateTopics: true})
		if err != nil {
			return err
		}
		defer func() { _ = b.Close() }()
		if _, err := b.Produce(context.Background(), samsa.Record{Topic: "web_log", Key: []byte("gregor"), Value: []byte("awake")}); err != nil {
			return err
		}
		f, err := os.Create(filepath.Join(e.WorkDir, "one.samsa"))
		if err != nil {
			return err
		}
		return errors.Join(b.Snapshot(context.Background(), f), f.Close())
	})
}

// Each script in testdata/everywhere is a story that is the same wherever SAMSA says the records are.
func TestScriptsEverywhere(t *testing.T) {
	for name, setup := range map[string]func(*testscript.Env) error{
		"kafka": func(e *testscript.Env) error {
			addr, _, err := serveFor(e, "--memory", "--acls", "--super-users", "User:ANONYMOUS")
			e.Setenv("SAMSA", addr)
			return err
		},
		"api": func(e *testscript.Env) error {
			_, url, err := serveFor(e, "--memory", "--http", "127.0.0.1:0", "--write")
			e.Setenv("SAMSA", url)
			return err
		},
		"owner": func(e *testscript.Env) error {
			dir := filepath.Join(e.WorkDir, "data")
			e.Setenv("SAMSA", dir)
			_, _, err := serveFor(e, "--data", dir)
			return err
		},
		"directory": func(e *testscript.Env) error {
			dir := filepath.Join(e.WorkDir, "data")
			e.Setenv("SAMSA", dir)
			b, err := samsa.Open(dir, samsa.Options{})
			if err != nil {
				return err
			}
			return b.Close()
		},
	} {
		t.Run(name, func(t *testing.T) { runScripts(t, filepath.Join("testdata", "everywhere"), setup) })
	}
}

func runScripts(t *testing.T, dir string, setup func(*testscript.Env) error) {
	testscript.Run(t, testscript.Params{
		Dir:                 dir,
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("HOME", e.WorkDir)
			e.Setenv("TZ", "UTC")
			e.Setenv("GORACE", "atexit_sleep_ms=10") // and not a second for each command
			return setup(e)
		},
		Condition: func(cond string) (bool, error) {
			return cond == path.Base(path.Dir(t.Name())) || cond == path.Base(t.Name()), nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"broker": brokerCommand, "exits": exitsCommand, "damage": damageCommand, "registry": registryCommand, "request": requestCommand, "bucket": bucketCommand,
		},
	})
}

// exitsCommand runs a program that ends with a code: exits CODE PROGRAM [ARGUMENTS].
func exitsCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("exits CODE PROGRAM [ARGUMENTS]")
	}
	err := ts.Exec(args[1], args[2:]...)
	code := "0"
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		code = strconv.Itoa(exit.ExitCode())
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if code != args[0] {
		ts.Fatalf("%s ended with %s, want %s", strings.Join(args[1:], " "), code, args[0])
	}
}

// damageCommand changes a byte of a file: damage PATTERN TEXT, of the first that matches, where it has that text.
func damageCommand(ts *testscript.TestScript, _ bool, args []string) {
	files, err := filepath.Glob(ts.MkAbs(args[0]))
	ts.Check(err)
	if len(files) == 0 {
		ts.Fatalf("there is no %s", args[0])
	}
	file := files[0]
	text, err := os.ReadFile(file)
	ts.Check(err)
	at := bytes.Index(text, []byte(args[1]))
	if at < 0 {
		ts.Fatalf("%s does not have %q", args[0], args[1])
	}
	text[at] ^= 1
	ts.Check(os.WriteFile(file, text, 0o600))
}

// registryCommand starts a schema registry until the script ends: registry NAME SUBJECT:TYPE:FILE[:IMPORT=SUBJECT]... The variable NAME has
// its URL, and the schemas have the ids from 1 on.
func registryCommand(ts *testscript.TestScript, _ bool, args []string) {
	_, url, err := serveFor(ts, "--memory", "--schema-registry", "127.0.0.1:0")
	ts.Check(err)
	for _, a := range args[1:] {
		part := strings.Split(a, ":")
		s := sr.Schema{Schema: ts.ReadFile(part[2])}
		ts.Check(s.Type.UnmarshalText([]byte(part[1])))
		for _, ref := range part[3:] {
			name, subject, _ := strings.Cut(ref, "=")
			s.References = append(s.References, sr.SchemaReference{Name: name, Subject: subject, Version: 1})
		}
		ts.Check(register(url, part[0], s))
	}
	ts.Setenv(args[0], url)
}

// register gives a registry a schema.
func register(url, subject string, s sr.Schema) error {
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	c, err := sr.NewClient(sr.URLs(url), sr.HTTPClient(&http.Client{Transport: transport}))
	if err == nil {
		_, err = c.CreateSchema(context.Background(), subject, s)
	}
	return err
}

// bucketCommand serves an S3 with a bucket until the script ends, which the programs of the script find: bucket NAME.
func bucketCommand(ts *testscript.TestScript, _ bool, args []string) {
	srv, err := fakes3.New(args[0])
	ts.Check(err)
	ts.Defer(srv.Close)
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL": srv.URL, "AWS_REGION": "eu-central-1", "AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret",
	} {
		ts.Setenv(name, value)
	}
}

// brokerCommand serves a broker until the script ends: broker NAME [flags of serve]. The variable NAME of the environment has its address,
// and NAME_API the URL of its API.
func brokerCommand(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) == 0 {
		ts.Fatalf("broker NAME [flags of serve]")
	}
	for i, a := range args {
		if a == "--data" || a == "--backup" || a == "--users-file" {
			args[i+1] = ts.MkAbs(args[i+1])
		}
	}
	addr, url, err := serveFor(ts, args[1:]...)
	ts.Check(err)
	ts.Setenv(args[0], addr)
	ts.Setenv(args[0]+"_API", url)
}

// requestCommand asks an API: request METHOD URL [BODY]. The answer goes to stdout.
func requestCommand(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("request METHOD URL [BODY]")
	}
	r, err := http.NewRequest(args[0], args[1], strings.NewReader(strings.Join(args[2:], " ")))
	ts.Check(err)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set(api.RequestHeader, "1")
	r.Close = true
	resp, err := http.DefaultClient.Do(r)
	ts.Check(err)
	defer func() { _ = resp.Body.Close() }()
	_, err = io.Copy(ts.Stdout(), resp.Body)
	ts.Check(err)
	if failed := resp.StatusCode >= http.StatusBadRequest; failed != neg {
		ts.Fatalf("%s is answered with %s", args[1], resp.Status)
	}
}

// serveFor serves a broker until a script ends, and returns its address, and with --http the URL of its API, or with --schema-registry of that.
func serveFor(script interface{ Defer(func()) }, args ...string) (addr, url string, err error) {
	ctx, cancel := context.WithCancel(context.Background())
	out, in := io.Pipe()
	var stderr strings.Builder
	ended := make(chan int, 1)
	go func() {
		code := run(ctx, append([]string{"serve", "--listen", "127.0.0.1:0"}, args...), in, &stderr)
		_ = in.Close()
		ended <- code
	}()
	lines := bufio.NewScanner(out)
	for lines.Scan() && !strings.HasPrefix(lines.Text(), "Ctrl-C") {
		if a := address(lines.Text()); addr == "" {
			addr = a
		}
		for _, what := range []string{"console and API at ", "schema registry at "} {
			if u, ok := strings.CutPrefix(lines.Text(), what); ok {
				url = u
			}
		}
	}
	if addr == "" {
		cancel()
		<-ended
		return "", "", errors.New(stderr.String())
	}
	script.Defer(func() {
		cancel()
		_, _ = io.Copy(io.Discard, out)
		if code := <-ended; code != exitOK {
			panic(fmt.Sprintf("the broker ended with %d: %s", code, &stderr))
		}
	})
	return addr, url, nil
}
