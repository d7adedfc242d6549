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
	running := goleak.IgnoreCurrent()
	s, err := Open(dir, Options{})
	if err == nil {
		closeStore(t, s)
		t.Fatalf("Open(%s) succeeded, want %v", dir, want)
	}
	for _, sentinel := range []error{ErrNotDirectory, ErrNewerFormat, ErrReadOnly, ErrLocked} {
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
		"samsa 2\n":    ErrNewerFormat,
		"samsa 4000\n": ErrNewerFormat,
		"samsa 0\n":    ErrNotDirectory,
		"samsa -1\n":   ErrNotDirectory,
		"samsa 01\n":   ErrNotDirectory,
		"samsa 1":      ErrNotDirectory,
		"samsa 1\n\n":  ErrNotDirectory,
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
	_, err := Open(versionTwo(t), Options{})
	if err == nil || !strings.Contains(err.Error(), "2") || !strings.Contains(err.Error(), "1") {
		t.Errorf("error %q does not name both versions", err)
	}
}

func versionTwo(t *testing.T) string {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, formatName), []byte("samsa 2\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
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
				err = os.WriteFile(filepath.Join(dir, name), []byte("samsa 1\n"), 0o644)
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
		names, err := listDir(dir)
		if err != nil || !slices.Equal(names, []string{formatName, indexName, valuesName}) {
			t.Errorf("after %s: %q, %v", left, names, err)
		}
		text, err := os.ReadFile(filepath.Join(dir, formatName))
		if string(text) != "samsa 1\n" {
			t.Errorf("FORMAT is %q, %v", text, err)
		}
	}
}

func TestOpenOfOpenStore(t *testing.T) {
	dir := t.TempDir()
	s := openTemp(t, dir, Options{})
	set(t, s, "a", "1")
	before := tree(t, dir)
	expectRefused(t, dir, ErrLocked)
	expect(t, "files", tree(t, dir), before)
	set(t, s, "b", "2")
	closeStore(t, s)
	s = openTemp(t, dir, Options{})
	defer closeStore(t, s)
	expectGet(t, s, "b", "2")
}

// Where the system gives no locks to us Badger's own remain. It says so in words only.
func TestBadgersOwnLock(t *testing.T) {
	dir := t.TempDir()
	s := openTemp(t, dir, Options{})
	defer closeStore(t, s)
	set(t, s, "a", "1")
	for _, sub := range []string{indexName, valuesName} {
		other := t.TempDir()
		paths := map[string]string{indexName: filepath.Join(other, indexName), valuesName: filepath.Join(other, valuesName)}
		paths[sub] = filepath.Join(dir, sub)
		db, err := openBadger(paths[indexName], paths[valuesName], Options{}.withDefaults(), nil)
		if err == nil {
			t.Error(db.Close())
			t.Fatal("Badger opened a directory that is in use")
		}
		if !errors.Is(dirError(err), ErrLocked) {
			t.Errorf("%v is not ErrLocked", dirError(err))
		}
	}
}
