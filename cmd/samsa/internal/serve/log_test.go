package serve

import (
	"strings"
	"testing"

	"go.uber.org/zap"
)

// What others wrote controls no terminal by way of the log, in either format.
func TestLogControlsNothing(t *testing.T) {
	for _, format := range []string{"text", "json"} {
		c, err := parse([]string{"--memory", "--log-format", format})
		if err != nil {
			t.Fatal(err)
		}
		var log strings.Builder
		c.logger(&log).Warn("evil \u009b31m", zap.String("group", "g\x1b[31m\u009b2J\u202eoops"))
		if got := log.String(); strings.ContainsAny(got, "\x1b\u009b\u202e") || !strings.Contains(got, `\u009b2J\u202eoops`) {
			t.Errorf("%s: %q", format, got)
		}
	}
}
