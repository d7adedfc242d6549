package clienttest

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// process is a program that runs beside its test, until the test ends it or is over.
type process struct {
	k     *kit
	cmd   *exec.Cmd
	asked atomic.Bool   // to end
	ended chan struct{} // closed when it has ended
	said  logbook
}

// start starts a program; the test fails at once when it ends by itself. What it has said is shown
// when the test fails, or the environment asks for logs.
func (k *kit) start(cmd *exec.Cmd) *process {
	k.t.Helper()
	p := &process{k: k, cmd: cmd, ended: make(chan struct{})}
	p.said.changed = make(chan struct{})
	cmd.Stdout, cmd.Stderr = &p.said, &p.said
	if err := cmd.Start(); err != nil {
		k.t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		_ = cmd.Wait() // the state of the process tells
		close(p.ended)
		_, _ = p.said.Write(nil) // wakes who waits for more
		if !p.asked.Load() {
			k.t.Errorf("%s ended by itself: %v", strings.Join(cmd.Args, " "), cmd.ProcessState)
			k.cancel() // what the test waits for
		}
	})
	k.t.Cleanup(func() {
		p.kill()
		wg.Wait()
		if k.t.Failed() || logLevel() != 0 {
			k.t.Logf("%s said:\n%s", strings.Join(cmd.Args, " "), p.said.String())
		}
	})
	return p
}

// kill ends the program as a loss of power would, and returns when it has ended.
func (p *process) kill() {
	p.asked.Store(true)
	_ = p.cmd.Process.Kill() // it may have ended
	<-p.ended
}

// stop asks the program to end, and returns when it has.
func (p *process) stop() {
	p.k.t.Helper()
	p.asked.Store(true)
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.k.t.Fatal(err)
	}
	select {
	case <-p.ended:
	case <-p.k.ctx.Done():
		p.k.t.Fatal("asked to end, a program goes on")
	}
}

// await waits until the program has said something that matches, and returns what the match says.
func (p *process) await(re *regexp.Regexp) (match []string) {
	p.k.t.Helper()
	p.until("it says "+re.String(), func() bool {
		match = re.FindStringSubmatch(p.said.String())
		return match != nil
	})
	return match
}

// until waits until what is wanted is so; it looks whenever the program has said something.
func (p *process) until(wanted string, is func() bool) {
	p.k.t.Helper()
	for {
		changed := p.said.next()
		if is() {
			return
		}
		select {
		case <-changed:
		case <-p.k.ctx.Done():
			p.k.t.Fatalf("waited in vain until %s", wanted)
		}
	}
}

// logbook is what a program has said.
type logbook struct {
	mu      sync.Mutex // guards what follows
	text    bytes.Buffer
	changed chan struct{} // closed and replaced when there is more
}

func (l *logbook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.changed)
	l.changed = make(chan struct{})
	return l.text.Write(p)
}

func (l *logbook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// next is closed when there is more than now.
func (l *logbook) next() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.changed
}

// javaPatience is what a test of several Java programs has.
const javaPatience = 4 * time.Minute

// javaSet is a set of jars that install.sh has put together.
type javaSet string

const (
	javaClients javaSet = "java"
	javaStreams javaSet = "streams"
	javaConnect javaSet = "connect"
	javaTools   javaSet = "tools"
)

// needs skips the test when the set, of which jar is part, is not installed.
func (s javaSet) needs(t *testing.T, jar string) {
	t.Helper()
	if _, err := exec.LookPath("java"); err != nil {
		missing(t, "java")
	}
	if jars, _ := filepath.Glob(installed(string(s), jar+"-*.jar")); len(jars) == 0 {
		missing(t, jar)
	}
}

// command runs a class of the set, or a program of testdata, which logs warnings, or more if the
// environment asks for that.
func (s javaSet) command(ctx context.Context, args ...string) *exec.Cmd {
	level := "warn"
	if logLevel() != 0 {
		level = "info"
	}
	classes := installed(string(s), "*")
	if class, ok := strings.CutSuffix(filepath.Base(args[0]), ".java"); ok {
		if dir := s.compiled(args[0]); dir != "" { // else Java says what is wrong
			classes, args = classes+string(filepath.ListSeparator)+dir, append([]string{class}, args[1:]...)
		}
	}
	options := []string{"-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
		"-Dorg.slf4j.simpleLogger.defaultLogLevel=" + level, "-Dorg.slf4j.simpleLogger.showDateTime=true"}
	if archive, there := s.archive(); there {
		options = append(options, "-XX:SharedArchiveFile="+archive, "-Xlog:cds*=off") // it is not worth a word that Java does without
	}
	return exec.CommandContext(ctx, "java", slices.Concat(options, []string{"-cp", classes}, args)...)
}

// programs are functions that return the directories of what tests build once: the classes of testdata's programs, by set and source, which Java would
// compile anew at each start, and cmd/samsa.
var programs sync.Map

// compiled returns the directory of a program's class, which is compiled once; "" if it cannot be.
func (s javaSet) compiled(source string) string {
	of, _ := programs.LoadOrStore(string(s)+" "+source, sync.OnceValue(func() string {
		dir, err := os.MkdirTemp("", "samsa-java-")
		if err == nil {
			err = exec.Command("javac", "-cp", installed(string(s), "*"), "-d", dir, source).Run()
		}
		if err != nil {
			_ = os.RemoveAll(dir)
			return ""
		}
		return dir
	}))
	return of.(func() string)()
}

// forgetPrograms removes them.
func forgetPrograms() {
	programs.Range(func(_, of any) bool {
		_ = os.RemoveAll(of.(func() string)())
		return true
	})
}

// file writes a file of the test and returns where it is.
func (k *kit) file(name, content string) string {
	k.t.Helper()
	path := filepath.Join(k.t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		k.t.Fatal(err)
	}
	return path
}
