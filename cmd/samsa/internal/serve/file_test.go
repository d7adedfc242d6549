package serve

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A config file that is another file is refused in few words, whatever its size.
func TestConfigFileThatIsNone(t *testing.T) {
	for _, text := range []string{strings.Repeat("\x00", maxConfigFile+1), strings.Repeat("x\n", maxConfigFile/2), strings.Repeat("y", maxConfigFile)} {
		c := Config{file: filepath.Join(t.TempDir(), "samsa.conf")}
		if err := os.WriteFile(c.file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := c.readFile(nil, nil, nil); err == nil || len(err.Error()) > 10_000 {
			t.Errorf("%.10q of %d bytes: error of %d bytes", text, len(text), len(err.Error()))
		}
	}
}
