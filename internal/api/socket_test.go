package api

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/control"
)

// serveControl is what console.Control is.
func serveControl(b *samsa.Broker, l net.Listener) error {
	return Serve(b, l, Handler(b, Options{Write: true}))
}

// own is the process of an owner, which lives until it is killed.
func own(dir string) {
	b, err := samsa.Open(dir, samsa.Options{Control: serveControl})
	if err == nil {
		err = b.Topics().Create(context.Background(), "t", samsa.TopicConfig{})
	}
	fmt.Println("open", err)
	_, _ = io.ReadAll(os.Stdin)
	_ = b.Close()
}

func open(t *testing.T, dir string, o samsa.Options) *samsa.Broker {
	t.Helper()
	b, err := samsa.Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

func dialed(t *testing.T, dir string) *Client {
	t.Helper()
	c, err := DialDir(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// refused wants DialDir to fail.
func refused(t *testing.T, dir string, want error) {
	t.Helper()
	_, err := DialDir(t.Context(), dir)
	wantError(t, err, want)
}

func TestOwners(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	refused(t, dir, ErrNoOwner)
	b := open(t, dir, samsa.Options{})
	refused(t, dir, ErrNoControl)
	refused(t, dir, samsa.ErrLocked)
	must(t, b.Close())
	refused(t, dir, ErrNoOwner)

	b = open(t, dir, samsa.Options{Control: serveControl})
	other := open(t, filepath.Join(t.TempDir(), "data"), samsa.Options{Control: serveControl}) // two in one process
	must(t, dialed(t, dir).CreateTopic(t.Context(), NewTopic{Name: "t"}))
	if p, err := dialed(t, inDir(other)).Topics(t.Context(), TopicsRequest{}); err != nil || len(p.Topics) > 0 {
		t.Fatal(p, err)
	}
	if _, err := b.Topics().Describe(t.Context(), "t"); err != nil {
		t.Fatal(err)
	}
	must(t, b.Close())
	refused(t, dir, ErrNoOwner)
	open(t, dir, samsa.Options{ReadOnly: true, Control: serveControl})
	refused(t, dir, ErrNoOwner)
	refused(t, t.TempDir(), ErrNoOwner) // an empty one
	refused(t, "/dev/null", samsa.ErrNotDirectory)
}

func inDir(b *samsa.Broker) string {
	info, err := Direct(Handler(b, Options{})).Broker(context.Background())
	if err != nil {
		panic(err)
	}
	return info.Dir
}

// A copy of a directory has a note that leads to the owner of the original, where its path is long.
func TestCopyOfADirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("long", 40))
	b := open(t, dir, samsa.Options{Control: serveControl})
	dialed(t, dir)
	beside := filepath.Join(t.TempDir(), "copy")
	must(t, os.CopyFS(beside, os.DirFS(dir)))
	refused(t, beside, ErrNoOwner)
	c := open(t, beside, samsa.Options{Control: serveControl})
	dialed(t, beside)
	dialed(t, dir)
	must(t, c.Close())
	must(t, b.Close())
}

// The owner closes while somebody follows a topic, somebody takes a snapshot without reading it, and somebody has connected and says nothing.
func TestCloseEndsStreams(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir, samsa.Options{Control: serveControl})
	c := dialed(t, dir)
	ctx := t.Context()
	must(t, c.CreateTopic(ctx, NewTopic{Name: "t"}))
	for range 8 {
		_, err := c.Produce(ctx, "t", ProduceRequest{Records: []NewRecord{{Value: bytes.Repeat(Bytes("x"), 1<<19)}}, Compression: "none"})
		must(t, err)
	}
	follows, began := make(chan error, 1), make(chan struct{}, 100)
	go func() {
		follows <- c.Follow(ctx, FollowRequest{Topic: "t", From: Earliest()}, func(Record) error { began <- struct{}{}; return nil })
	}()
	<-began
	resp, err := c.send(ctx, request{method: "GET", path: "snapshot"})
	must(t, err)
	defer end(resp.Body)
	path, _, err := control.Path(dir)
	must(t, err)
	silent, err := net.Dial("unix", path)
	must(t, err)
	defer end(silent)
	must(t, b.Close())
	if err := <-follows; !errors.Is(err, samsa.ErrClosed) && !errors.Is(err, samsa.ErrUnavailable) {
		t.Errorf("who follows gets %v", err)
	}
	refused(t, dir, ErrNoOwner)
	if _, err := os.Stat(filepath.Join(dir, "control")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the note is there yet: %v", err)
	}
}

func TestKilledOwner(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "SAMSA_API_OWNER="+dir)
	in, err := cmd.StdinPipe()
	must(t, err)
	defer end(in)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || line != "open <nil>\n" {
		t.Fatal(line, err)
	}
	c := dialed(t, dir)
	info, err := c.Broker(t.Context())
	must(t, err)
	if info.PID != cmd.Process.Pid || !info.Write {
		t.Errorf("%+v", info)
	}
	must(t, cmd.Process.Kill())
	_ = cmd.Wait()
	_, err = c.Broker(t.Context())
	wantError(t, err, samsa.ErrUnavailable)
	refused(t, dir, ErrNoOwner)
	open(t, dir, samsa.Options{})
	refused(t, dir, ErrNoControl)
}

// What a Control does wrong is no reason for Close not to return.
func TestWrongControls(t *testing.T) {
	t.Run("returns at once", func(t *testing.T) {
		dir := t.TempDir()
		done := make(chan struct{})
		b := open(t, dir, samsa.Options{Control: func(*samsa.Broker, net.Listener) error { defer close(done); return errEnough }})
		<-done
		must(t, b.Close())
		refused(t, dir, ErrNoOwner)
	})
	t.Run("does not return", func(t *testing.T) {
		ever := make(chan struct{})
		b := open(t, t.TempDir(), samsa.Options{Control: func(*samsa.Broker, net.Listener) error { <-ever; return nil }})
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		wantError(t, b.Shutdown(ctx), samsa.ErrCutOff)
		close(ever)
	})
	t.Run("closes the broker", func(t *testing.T) {
		told := make(chan error, 1)
		open(t, t.TempDir(), samsa.Options{Control: func(b *samsa.Broker, _ net.Listener) error { told <- b.Close(); return nil }})
		wantError(t, <-told, samsa.ErrInCallback)
	})
}

// A socket that cannot be made is an error of Open, and nothing is left of the broker.
func TestNoRoomForASocket(t *testing.T) {
	t.Setenv("TMPDIR", filepath.Join(t.TempDir(), "missing"))
	dir := filepath.Join(t.TempDir(), strings.Repeat("long", 40))
	_, err := samsa.Open(dir, samsa.Options{Control: serveControl})
	wantError(t, err, samsa.ErrStorage)
	open(t, dir, samsa.Options{})
}
