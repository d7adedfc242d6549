package inspect

import (
	"os"
	"regexp"
	"testing"
)

// Every kind of key that the store has is one that a dump can name: verify takes what it does not know for damage.
func TestKeysAreKnown(t *testing.T) {
	t.Parallel()
	src, err := os.ReadFile("../store/keys.go")
	if err != nil {
		t.Fatal(err)
	}
	all := regexp.MustCompile(`(?m)^\tprefix\w+\s+= '(.)'$`).FindAllSubmatch(src, -1)
	if len(all) < len(keyDecoders) {
		t.Errorf("%d prefixes are found in keys.go, and %d are known", len(all), len(keyDecoders))
	}
	for _, m := range all {
		if keyDecoders[m[1][0]] == nil {
			t.Errorf("a key that begins with %s is unknown", m[1])
		}
	}
}
