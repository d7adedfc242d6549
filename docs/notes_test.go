package docs_test

import (
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"testing"
)

// The changelog has a part for each release, the newest first, and one for what is not released yet: each of them is the notes of a release.
func TestReleaseNotes(t *testing.T) {
	text, err := os.ReadFile("../CHANGELOG.md")
	if err != nil {
		t.Fatal(err)
	}
	heading := regexp.MustCompile(`^## (Unreleased|\d+\.\d+\.\d+ - \d{4}-\d{2}-\d{2})$`)
	parts := strings.Split("\n"+string(text), "\n## ")[1:]
	for i, part := range parts {
		first, rest, _ := strings.Cut(part, "\n")
		if !heading.MatchString("## "+first) || (i == 0) != (first == "Unreleased") {
			t.Errorf("part %d is %q, want Unreleased first, and then versions with their days", i, first)
		}
		if runtime.GOOS == "windows" {
			continue // has no bash
		}
		version, _, _ := strings.Cut(first, " ")
		notes, err := exec.Command("../.ci/notes", version).Output()
		if err != nil || strings.TrimSpace(string(notes)) != strings.TrimSpace(rest) {
			t.Errorf("the notes of %s: error %v\n%s", version, err, notes)
		}
	}
	if runtime.GOOS != "windows" && exec.Command("../.ci/notes", "0.0.0").Run() == nil {
		t.Error("there are notes of 0.0.0")
	}
}
