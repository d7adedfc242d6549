package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

// tree lists all there is under dir with sizes and times, to see that nothing changed.
func tree(t *testing.T, dir string) string {
	t.Helper()
	var all []string
	err := filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err != nil {
			return err
		}
		all = append(all, fmt.Sprint(path, info.Mode(), info.Size(), info.ModTime()))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(all, "\n")
}

func expectRefused(t *testing.T, dir string, want error) {
	t.Helper()
	expectRefusedWith(t, dir, Options{}, want)
}

func expectRefusedWith(t *testing.T, dir string, opts Options, want error) {
	t.Helper()
	running := goleak.IgnoreCurrent()
	s, err := Open(dir, opts)
	if err == nil {
		closeStore(t, s)
		t.Fatalf("Open(%s) succeeded, want %v", dir, want)
	}
	for _, sentinel := range []error{ErrNotDirectory, ErrNotExist, ErrOldFormat, ErrNewerFormat, ErrReadOnly, ErrLocked} {
		if errors.Is(err, sentinel) != errors.Is(sentinel, want) {
			t.Errorf("error %q is %q: %v", err, sentinel, errors.Is(err, sentinel))
		}
	}
	if !strings.Contains(err.Error(), dir) {
		t.Errorf("error %q does not name %s", err, dir)
	}
	goleak.VerifyNone(t, running)
}

func TestOpenRefusesWhatIsNotAStore(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	before := tree(t, filepath.Dir(file))
	expectRefused(t, file, ErrNotDirectory)
	expectRefused(t, filepath.Join(file, "below"), ErrNotDirectory)
	expectRefused(t, filepath.Dir(file), ErrNotDirectory)
	expect(t, "files", tree(t, filepath.Dir(file)), before)
}

func TestOpenChecksFormat(t *testing.T) {
	for text, want := range map[string]error{
		"samsa 1\n":    ErrOldFormat,
		"samsa 3\n":    ErrNewerFormat,
		"samsa 4000\n": ErrNewerFormat,
		"samsa 0\n":    ErrNotDirectory,
		"samsa -1\n":   ErrNotDirectory,
		"samsa 01\n":   ErrNotDirectory,
		"samsa 2":      ErrNotDirectory,
		"samsa 2\n\n":  ErrNotDirectory,
		"samsa x\n":    ErrNotDirectory,
		"kafka 1\n":    ErrNotDirectory,
		"":             ErrNotDirectory,
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, formatName), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		before := tree(t, dir)
		expectRefused(t, dir, want)
		expect(t, "files", tree(t, dir), before)
	}
	for text, words := range map[string][]string{"samsa 1\n": {"1", "2", "snapshot"}, "samsa 3\n": {"3", "2"}} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, formatName), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := Open(dir, Options{})
		for _, word := range words {
			if err == nil || !strings.Contains(strings.ReplaceAll(err.Error(), dir, ""), word) {
				t.Errorf("%q: error %q does not say %s", text, err, word)
			}
		}
	}
}

func TestOpenAfterInterruptedCreation(t *testing.T) {
	for _, left := range []string{formatTemp, formatName, formatName + " " + indexName, formatName + " " + indexName + " " + valuesName} {
		dir := t.TempDir()
		for _, name := range strings.Fields(left) {
			var err error
			switch name {
			case formatTemp:
				err = os.WriteFile(filepath.Join(dir, name), []byte("sam"), 0o644)
			case formatName:
				err = os.WriteFile(filepath.Join(dir, name), []byte("samsa 2\n"), 0o644)
			default:
				err = os.Mkdir(filepath.Join(dir, name), 0o755)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		s := openTemp(t, dir, Options{})
		set(t, s, "a", "1")
		closeStore(t, s)
		entries, err := os.ReadDir(dir)
		var names []string
		for _, e := range entries {
			names = append(names, e.Name())
		}
		if err != nil || !slices.Equal(names, []string{formatName, "MANIFEST.0", "MANIFEST.1", indexName, valuesName}) {
			t.Errorf("after %s: %q, %v", left, names, err)
		}
		text, err := os.ReadFile(filepath.Join(dir, formatName))
		if string(text) != "samsa 2\n" {
			t.Errorf("FORMAT is %q, %v", text, err)
		}
	}
}

func TestOpenOfOpenStore(t *testing.T) {
	dir := t.TempDir()
	s := openTemp(t, dir, Options{})
	set(t, s, "a", "1")
	quiet(s) // what stands ready is allocated in the background
	before := tree(t, dir)
	expectRefused(t, dir, ErrLocked)
	expect(t, "files", tree(t, dir), before)
	set(t, s, "b", "2")
	closeStore(t, s)
	s = openTemp(t, dir, Options{})
	defer closeStore(t, s)
	expectGet(t, s, "b", "2")
}
