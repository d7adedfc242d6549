package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/samsa-go/samsa"
)

// terminal is a pseudo-terminal: what a command has as its streams, and what comes out at the other end.
type terminal struct {
	slave  *os.File
	master *os.File
	run    sync.WaitGroup
	out    strings.Builder // once it has ended
}

func newTerminal(t *testing.T) *terminal {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	p := &terminal{slave: slave, master: master}
	p.run.Go(func() {
		buf := make([]byte, 4096)
		for {
			n, err := master.Read(buf) // fails once nobody has the other end
			p.out.Write(buf[:n])
			if err != nil {
				return
			}
		}
	})
	return p
}

// said ends it and returns what came out.
func (p *terminal) said() string {
	_ = p.slave.Close()
	p.run.Wait()
	_ = p.master.Close()
	return p.out.String()
}

// onATerminal carries out a command line of which these streams are a terminal, on which somebody types. A progress is shown from after on.
func onATerminal(t *testing.T, streams, typed string, after time.Duration, environment map[string]string, args ...string) (said string, code int) {
	t.Helper()
	p := newTerminal(t)
	other, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Close() }()
	of := func(name string) *os.File {
		if strings.Contains(streams, name) {
			return p.slave
		}
		return other
	}
	if _, err := p.master.WriteString(typed); err != nil {
		t.Fatal(err)
	}
	e := &env{ctx: t.Context(), barAfter: after, Surroundings: Surroundings{
		Stdin: of("in"), Stdout: of("out"), Stderr: of("err"), Getenv: func(name string) string { return environment[name] },
	}}
	code = e.run(args)
	return p.said(), code
}

// Colours are for terminals that take them.
func TestColoursAreForTerminals(t *testing.T) {
	dir := dataDir(t)
	const bold = "\x1b[1m"
	for _, tt := range []struct {
		streams string
		environ map[string]string
		want    bool
	}{
		{"out", nil, true},
		{"out", map[string]string{"NO_COLOR": "1"}, false},
		{"out", map[string]string{"TERM": "dumb"}, false},
		{"err", nil, false},
	} {
		said, code := onATerminal(t, tt.streams, "", 0, tt.environ, "-d", dir, "groups")
		if got := strings.Contains(said, bold); got != tt.want || code != exitOK {
			t.Errorf("%+v: it ends with %d and says %q", tt, code, said)
		}
	}
}

// Who sits at a terminal is asked.
func TestAsksAtATerminal(t *testing.T) {
	dir := dataDir(t)
	for _, tt := range []struct {
		typed string
		code  int
	}{
		{"n\n", exitRefused}, {"\n", exitRefused}, {"yes\n", exitOK}, {"y\n", exitNotFound},
	} {
		said, code := onATerminal(t, "in out err", tt.typed, 0, nil, "-d", dir, "topics", "delete", "orders")
		if !strings.Contains(said, "Delete topic orders? [y/N] ") || code != tt.code {
			t.Errorf("%q: it ends with %d and says %q", tt.typed, code, said)
		}
	}
}

// silent are the commands that show no progress.
var silent = map[string]string{
	"serve": "has a log", "config": "takes no time", "version": "takes no time", "man": "takes no time", "top": "shows what goes on",
	"completion": "is for a shell", "help": "takes no time", "backup": "is no command by itself", "samsa": "is no command by itself",
	"fake": "takes no time", "mirror": "tells how far it is",
}

// Whatever takes long shows on a terminal how far it is, and takes it away.
func TestEverythingShowsProgress(t *testing.T) {
	dir, other := dataDir(t), t.TempDir()
	file := func(name string) string { return filepath.Join(other, name) }
	if err := os.WriteFile(file("lines"), []byte("one\ntwo\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	shown := make(map[string]bool)
	for _, line := range []string{
		"topics", "topics list", "topics create a", "topics ensure a", "topics describe a", "topics alter a --config retention.ms=1", "topics grow a 2",
		"topics delete-records a --before latest --yes", "topics delete a --yes",
		"produce orders --file " + file("lines"), "consume orders --until-now", "bench --records 10",
		"groups", "groups list --lag", "groups describe g", "groups reset g --to earliest --yes", "groups requeue dead --offset 0", "groups delete g --yes",
		"table", "table list", "table get names 1", "table range names",
		"keys", "keys list", "keys set k v --write", "keys get k", "keys delete k --write --yes",
		"users", "users add alice --password-file " + file("lines"), "users list", "users delete alice --yes",
		"acls", "acls add User:alice READ TOPIC orders", "acls list", "acls delete User:alice READ TOPIC orders --yes",
		"quotas", "quotas set --user alice producer_byte_rate=1000", "quotas list", "quotas delete --user alice --yes",
		"snapshot " + file("s"), "restore " + file("s") + " " + file("d"), "export orders", "import --topic orders --as orders=again " + file("s"),
		"sweep", "verify", "repair --yes", "dump", "doctor",
		"backup run " + file("b"), "backup list " + file("b"), "backup restore " + file("b") + " " + file("r"),
	} {
		args := append([]string{"-d", dir}, strings.Fields(line)...)
		said, code := onATerminal(t, "err", "", -1, nil, args...)
		if code != exitOK && !strings.Contains(line, "requeue") {
			t.Errorf("%s ends with %d: %q", line, code, said)
		}
		bar, _, _ := strings.Cut(strings.TrimPrefix(said, "\r"), "  ")
		if bar == "" || !strings.HasPrefix(said, "\r") {
			t.Errorf("%s shows %q", line, said)
		}
		var words []string
		for _, w := range args[2:] {
			if c, _, err := newRoot(&env{ctx: t.Context()}).Find(append(words, w)); err == nil && c.Name() == w {
				words = append(words, w)
			}
		}
		shown[strings.Join(words, " ")] = true
	}
	walk(newRoot(&env{ctx: t.Context()}), func(c *cobra.Command) {
		name := strings.TrimPrefix(c.CommandPath(), "samsa ")
		if c.Runnable() && !shown[name] && silent[strings.Fields(name)[0]] == "" && c.Parent().Name() != "completion" {
			t.Errorf("%s was not tried", name)
		}
	})
}

// A bar makes way for what is printed.
func TestProgressMakesWay(t *testing.T) {
	said, code := onATerminal(t, "out err", "", -1, nil, "-d", dataDir(t), "consume", "orders", "--until-now")
	if code != exitOK || !strings.HasPrefix(said, "\rconsume  0s") || !strings.Contains(said, "\rtea\r\n") {
		t.Errorf("it ends with %d and says %q", code, said)
	}
}

// dataDir returns a directory of data with a little of everything.
func dataDir(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	b, err := samsa.Open(dir, samsa.Options{AutoCreateTopics: true})
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	_, err = b.Produce(ctx, samsa.Record{Topic: "orders", Value: []byte("tea")}, samsa.Record{Topic: "dead", Value: []byte("milk")},
		samsa.Record{Topic: "people", Key: []byte("1"), Value: []byte("gregor")})
	if err != nil {
		t.Fatal(err)
	}
	names, err := b.NewTable(ctx, samsa.TableOptions{Topic: "people", Name: "names"})
	if err != nil {
		t.Fatal(err)
	}
	err = errors.Join(names.Close(),
		b.Groups().AlterOffsets(ctx, "g", samsa.To(samsa.Earliest()), samsa.TopicPartition{Topic: "orders"}),
		b.Close())
	if err != nil {
		t.Fatal(err)
	}
	return dir
}
