package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.uber.org/goleak"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/cmd/samsa/internal/backend"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func testEnv(out *bytes.Buffer, vars map[string]string) *env {
	return &env{Surroundings: Surroundings{Stdin: strings.NewReader(""), Stdout: out, Stderr: io.Discard, Getenv: func(n string) string { return vars[n] }}}
}

// walk calls f with a command and all below it.
func walk(cmd *cobra.Command, f func(*cobra.Command)) {
	f(cmd)
	for _, sub := range cmd.Commands() {
		walk(sub, f)
	}
}

// Every command says what it does, in a line and at length, with examples, and there is a man page of each and of each help topic.
func TestHelp(t *testing.T) {
	root := newRoot(testEnv(new(bytes.Buffer), nil))
	pages, err := manPages(root)
	if err != nil {
		t.Fatal(err)
	}
	text := make(map[string]string)
	for _, p := range pages {
		text[p.name] = string(p.text)
	}
	walk(root, func(c *cobra.Command) {
		if c.Name() == "help" || strings.Contains(c.CommandPath(), "completion") { // are cobra's
			return
		}
		if c.Short == "" || c.Long == "" || strings.HasSuffix(c.Short, ".") {
			t.Errorf("%s: short is %q, long is %q", c.CommandPath(), c.Short, c.Long)
		}
		if c.Runnable() && c.Example == "" {
			t.Errorf("%s has no examples", c.CommandPath())
		}
		for line := range strings.Lines(c.Long + "\n" + c.Example) {
			if len(line) > 150 {
				t.Errorf("%s: a line of %d: %s", c.CommandPath(), len(line), line)
			}
		}
		page := text[strings.ReplaceAll(c.CommandPath(), " ", "-")+".1"]
		if c.Hidden {
			return
		}
		if !strings.Contains(page, ".SH NAME") || !strings.Contains(page, strings.Split(c.Short, " ")[0]) {
			t.Errorf("%s has the man page %q", c.CommandPath(), page)
		}
	})
}

// No flag takes a secret, which others would read in the list of processes: a file has it, or the environment.
func TestFlagsTakeNoSecrets(t *testing.T) {
	secret := regexp.MustCompile("pass|secret|token|credential|jaas")
	walk(newRoot(testEnv(new(bytes.Buffer), nil)), func(c *cobra.Command) {
		c.Flags().VisitAll(func(f *pflag.Flag) {
			if secret.MatchString(f.Name) && !strings.HasSuffix(f.Name, "-file") {
				t.Errorf("%s has --%s", c.CommandPath(), f.Name)
			}
		})
	})
	for text, want := range map[string]bool{
		"https://a:b@c": true, "https://a@c": false, "https://a:b%z@c": true, "kafka://a:b@c:1,d:2/?tls=true": true, "kafka://a@c:1,d:2/?tls=true": false,
		"https://c:1/x@y": false, "data": false, "host:9092": false, "": false,
	} {
		if got := backend.HasPassword(text); got != want || strings.Contains(backend.Redacted(text), "a:b") {
			t.Errorf("%s: %v, %s", text, got, backend.Redacted(text))
		}
	}
}

func TestAddresses(t *testing.T) {
	for _, tt := range []struct {
		flags address
		samsa string
		want  address
		fails bool
	}{
		{address{dir: "data"}, "host:1", address{dir: "data"}, false},
		{address{}, "host:9092", address{brokers: "host:9092"}, false},
		{address{}, "a:1,[::1]:2", address{brokers: "a:1,[::1]:2"}, false},
		{address{}, "./name:9", address{dir: "./name:9"}, false},
		{address{}, `c:\data`, address{dir: `c:\data`}, false},
		{address{}, "data", address{dir: "data"}, false},
		{address{}, "http://host:80/x", address{api: "http://host:80/x"}, false},
		{address{}, "", address{}, true},
		{address{dir: "a", brokers: "b:1"}, "", address{}, true},
	} {
		got, err := tt.flags.resolve(func(string) string { return tt.samsa })
		if got != tt.want || (err != nil) != tt.fails || err != nil && code(err) != exitUsage {
			t.Errorf("%+v with SAMSA=%q: got %+v, error %v", tt.flags, tt.samsa, got, err)
		}
	}
}

func TestExitCodes(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want int
	}{
		{nil, exitOK},
		{errors.New("x"), exitFailed},
		{usageError{errors.New("x")}, exitUsage},
		{fmt.Errorf("x: %w", samsa.ErrUnknownTopic), exitNotFound},
		{samsa.ErrUnknownGroup, exitNotFound},
		{samsa.ErrKeyNotFound, exitNotFound},
		{samsa.ErrNotExist, exitNotFound},
		{samsa.ErrTopicExists, exitExists},
		{samsa.ErrReadOnly, exitRefused},
		{samsa.ErrLocked, exitUnavailable},
		{samsa.ErrDiskFull, exitUnavailable},
		{&net.OpError{Op: "dial", Err: errors.New("x")}, exitUnavailable},
		{fmt.Errorf("x: %w", syscall.ENOSPC), exitUnavailable},
		{fmt.Errorf("x: %w", syscall.EROFS), exitRefused},
		{samsa.ErrCorruptRecord, exitDamaged},
		{samsa.ErrInvalidSnapshot, exitDamaged},
	} {
		if got := code(tt.err); got != tt.want {
			t.Errorf("%v: got %d, want %d", tt.err, got, tt.want)
		}
	}
}

func TestTables(t *testing.T) {
	type row struct {
		Name string `json:"name"`
		N    int64  `json:"n"`
	}
	columns := []column[row]{{"NAME", func(r row) string { return r.Name }}, {">N", func(r row) string { return fmt.Sprint(r.N) }}}
	rows := []row{{"größe", 9007199254740993}, {"<b>", 1}}
	for _, tt := range []struct {
		json bool
		want string
	}{
		{false, "NAME                  N\ngröße  9007199254740993\n<b>                   1\n"},
		{true, "{\"name\":\"größe\",\"n\":9007199254740993}\n{\"name\":\"<b>\",\"n\":1}\n"},
	} {
		var out bytes.Buffer
		e := testEnv(&out, nil)
		e.json = tt.json
		if err := printRows(e, columns, rows); err != nil || out.String() != tt.want {
			t.Errorf("got %q, error %v", &out, err)
		}
	}
	var out bytes.Buffer
	if err := printTable(&out, [][]string{{"A"}, {"b"}}, []bool{false}, true); err != nil || out.String() != "\x1b[1mA\x1b[0m\nb\n" {
		t.Errorf("got %q, error %v", &out, err)
	}
}

// The version is what Go has noted of the build: a tag, or a commit.
func TestVersions(t *testing.T) {
	noted := func(version string, settings ...debug.BuildSetting) *debug.BuildInfo {
		return &debug.BuildInfo{Main: debug.Module{Version: version}, Settings: settings}
	}
	for want, info := range map[string]*debug.BuildInfo{
		"samsa (devel)": noted(""),
		"samsa v0.1.0":  noted("v0.1.0"),
		"samsa v0.1.0 of 4093a7b": noted("v0.1.0", debug.BuildSetting{Key: "vcs.revision", Value: "4093a7b"},
			debug.BuildSetting{Key: "vcs.modified", Value: "false"}),
		"samsa (devel) of 4093a7b, modified": noted("(devel)", debug.BuildSetting{Key: "vcs.revision", Value: "4093a7b"},
			debug.BuildSetting{Key: "vcs.modified", Value: "true"}),
	} {
		want += ", " + runtime.Version() + ", " + runtime.GOOS + "/" + runtime.GOARCH
		if got := versionsOf(info).String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
