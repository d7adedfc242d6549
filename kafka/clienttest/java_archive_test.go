package clienttest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/kafka"
)

// archive is the file from which this Java starts programs of the set in half the time, since it has the classes of a client loaded in it. install.sh
// makes it; without it they start all the same.
func (s javaSet) archive() (path string, there bool) {
	name := "classes"
	if java, err := exec.LookPath("java"); err == nil {
		if of, err := os.Stat(java); err == nil { // that of another Java is of no use
			name = fmt.Sprintf("%s-%d-%d", name, of.Size(), of.ModTime().Unix())
		}
	}
	path = installed(string(s), name+".jsa")
	_, err := os.Stat(path)
	return path, err == nil
}

// checked runs a Java that cannot do without an archive: it dies of half a one.
func (s javaSet) checked(archive string) error {
	return exec.Command("java", "-Xshare:on", "-XX:SharedArchiveFile="+archive, "-cp", installed(string(s), "*"), "-version").Run()
}

// archives makes those archives that are not there, for install.sh.
func archives() (err error) {
	defer forgetPrograms()
	for _, s := range []javaSet{javaClients, javaStreams, javaConnect, javaTools} {
		if path, there := s.archive(); !there {
			err = errors.Join(err, s.keep(path))
		}
	}
	return err
}

// keep makes an archive of what a producer and a consumer load.
func (s javaSet) keep(archive string) error {
	dir, err := os.MkdirTemp(installed(string(s)), "archive-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	b, err := samsa.Open("", samsa.Options{InMemory: true, AutoCreateTopics: true})
	if err != nil {
		return err
	}
	defer func() { _ = b.Close() }()
	srv, err := kafka.Listen(b, "127.0.0.1:0", kafka.Options{})
	if err != nil {
		return err
	}
	addr, list := srv.Addr().String(), filepath.Join(dir, "classes")
	var all []byte
	for _, args := range [][]string{{"produce", addr}, {"group", addr, "1", "t", "g"}} {
		cmd := s.command(context.Background(), append([]string{filepath.Join("testdata", "java", "Client.java")}, args...)...)
		cmd.Args = slices.Insert(cmd.Args, 1, "-XX:DumpLoadedClassList="+list)
		cmd.Stdin = strings.NewReader(`[{"topic": "t", "codec": "none", "records": [{"key": "k", "value": "v", "header": "h"}]}]`)
		out, err := cmd.CombinedOutput()
		if err != nil {
			return fmt.Errorf("%s: %w\n%s", cmd, err, out)
		}
		classes, err := os.ReadFile(list)
		if err != nil {
			return err
		}
		all = append(all, classes...)
	}
	if err := os.WriteFile(list, all, 0o600); err != nil {
		return err
	}
	made := filepath.Join(dir, "classes.jsa")
	cmd := exec.Command("java", "-Xshare:dump", "-XX:SharedClassListFile="+list, "-XX:SharedArchiveFile="+made, "-cp", installed(string(s), "*"))
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", cmd, err, out)
	}
	if err := s.checked(made); err != nil {
		return err
	}
	return os.Rename(made, archive)
}

// Programs start from archives.
func TestJavaArchives(t *testing.T) {
	for _, s := range []javaSet{javaClients, javaStreams, javaConnect, javaTools} {
		s.needs(t, "kafka-clients")
		path, there := s.archive()
		if !there {
			missing(t, path)
		}
		if err := s.checked(path); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
}
