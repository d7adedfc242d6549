package serve

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Several listeners serve one broker, and systemd is told when it is ready and when it ends.
func TestListenersAndNotify(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no datagrams of unix sockets")
	}
	socket := filepath.Join(t.TempDir(), "notify")
	states, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = states.Close() }()
	a := begin(t, parsed(t, "--memory", "--listen", "127.0.0.1:0,127.0.0.1:0", "--http", "127.0.0.1:0", "--topic", "web_log:3,retention.ms=60000", "--log-format", "json"), Surroundings{NotifySocket: socket})
	if len(a.Listen) != 2 || a.Listen[0] == a.Listen[1] || len(a.Topics) != 1 || a.Topics[0] != "web_log:3" {
		t.Errorf("got %+v", a)
	}
	for _, addr := range a.Listen {
		nc, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		_ = nc.Close()
	}
	for path, want := range map[string]string{"/": "<html", "/metrics": "samsa_", "/healthz": "", "/readyz": "", "/api/v1/topics": `"web_log"`} {
		if status, body := get(t, "http://"+a.HTTP+path); status != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("%s is %d, %.100q", path, status, body)
		}
	}
	if got := state(t, states); !strings.HasPrefix(got, "READY=1\nSTATUS=") {
		t.Errorf("got %q", got)
	}
	a.end()
	if got := state(t, states); got != "STOPPING=1" {
		t.Errorf("got %q", got)
	}
	for line := range strings.Lines(a.log.String()) {
		var entry struct{ Level, Time, Msg string }
		if err := json.Unmarshal([]byte(line), &entry); err != nil || entry.Level == "" || entry.Time == "" || entry.Msg == "" {
			t.Errorf("%q is %+v, error %v", line, entry, err)
		}
	}
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	return resp.StatusCode, string(body)
}

func state(t *testing.T, l *net.UnixConn) string {
	t.Helper()
	buf := make([]byte, 1000)
	n, err := l.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	return string(buf[:n])
}

// Who does not read what it is told holds nobody up, neither the beginning nor the end.
func TestNotifySilent(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no datagrams of unix sockets")
	}
	socket := filepath.Join(t.TempDir(), "notify")
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	for range 1000 { // more than a queue of the system has
		if err = notify(socket, "READY=1"); err != nil {
			break
		}
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	c, err := parse([]string{"--memory", "--listen", "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if err := c.Run(ctx, Surroundings{Stdout: endsOf(cancel), Stderr: io.Discard, NotifySocket: socket}); err != nil {
		t.Error(err)
	}
}

// endsOf is called with the first that is written to it.
type endsOf func()

func (f endsOf) Write(p []byte) (int, error) {
	f()
	return len(p), nil
}

// A socket that is not there is told by name.
func TestNotifyNobody(t *testing.T) {
	if err := notify(filepath.Join(t.TempDir(), "none"), "READY=1"); err == nil || !strings.Contains(err.Error(), "NOTIFY_SOCKET") {
		t.Errorf("got %v", err)
	}
	if err := notify("", "READY=1"); err != nil {
		t.Error(err)
	}
}

// People are told of each node.
func TestAnnouncesNodes(t *testing.T) {
	for want, a := range map[string]announcement{
		"at a:1, node 7, data in memory":                 {Listen: []string{"a:1"}, NodeID: 7, Brokers: 1},
		"at a:1 and a:2, nodes 7 to 8, data in memory\n": {Listen: []string{"a:1", "a:2"}, NodeID: 7, Brokers: 2},
	} {
		var out strings.Builder
		if a.print(&out); !strings.Contains(out.String(), want) {
			t.Errorf("got %q, want %q", out.String(), want)
		}
	}
}
