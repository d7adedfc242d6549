package serve

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap/zapcore"
)

func write(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "samsa.conf")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// A flag counts before the environment, that before the file, and that before the default; each setting tells which it was.
func TestSources(t *testing.T) {
	file := write(t, `
# all of these are in other places too, but for the last three
listen = 127.0.0.1:1
log-level = debug
log-format = json
topic = orders:2,retention.ms=60000,cleanup.policy=compact,delete
topic = web_log
max-connections = 7
`)
	env := map[string]string{"SAMSA_LISTEN": "127.0.0.1:2", "SAMSA_LOG_LEVEL": "warn", "SAMSA_CONFIG_FILE": file, "SAMSA_MEMORY": "true"}
	c, list, err := parseIn(env, []string{"--listen", "127.0.0.1:3,[::1]:3"})
	if err != nil {
		t.Fatal(err)
	}
	if got := c.listen.String(); got != "127.0.0.1:3,[::1]:3" {
		t.Errorf("listen is %s", got)
	}
	if c.logLevel != zapcore.WarnLevel || !bool(c.logJSON) || c.kafka.MaxConnections != 7 || !c.broker.InMemory {
		t.Errorf("got %+v", c)
	}
	if len(c.topics) != 2 || c.topics[0].config.Partitions != 2 || c.topics[0].config.Retention != time.Minute ||
		c.topics[0].config.Configs()["cleanup.policy"] != "compact,delete" || c.topics[1].name != "web_log" {
		t.Errorf("got %+v", c.topics)
	}
	for _, want := range []Setting{
		{"listen", "127.0.0.1:3,[::1]:3", fromFlag},
		{"log-level", "warn", fromEnvironment},
		{"memory", "true", fromEnvironment},
		{"config-file", file, fromEnvironment},
		{"log-format", "json", fromFile},
		{"topic", "orders:2,retention.ms=60000,cleanup.policy=compact,delete web_log", fromFile},
		{"max-connections", "7", fromFile},
		{"node-id", "1", fromDefault},
	} {
		if !slices.Contains(list, want) {
			t.Errorf("there is no %+v in %+v", want, list)
		}
	}
	if len(list) != len(c.names()) {
		t.Errorf("%d settings of %d flags", len(list), len(c.names()))
	}
}

// What may be repeated comes from one source as a whole.
func TestRepeatedSettings(t *testing.T) {
	file := write(t, "topic = a\nconfig = retention.ms=1\n")
	env := map[string]string{"SAMSA_TOPIC": "b:2 c", "SAMSA_CONFIG": "retention.ms=2 retention.bytes=3"}
	c, _, err := parseIn(env, []string{"--config-file", file, "--config", "retention.ms=4"})
	if err != nil || c.topics.String() != "b:2 c" || c.configs.String() != "retention.ms=4" {
		t.Errorf("got %v and %v, error %v", c.topics, c.configs.String(), err)
	}
}

// Every mistake is told with its place.
func TestMistakesInSettings(t *testing.T) {
	file := write(t, "listen = 127.0.0.1:1\ncolour = red\nnode-id = one\nread-only\nmemory = true\nmemory = false\nconfig-file = other\n")
	_, _, err := parseIn(map[string]string{"SAMSA_LOG_LEVEL": "loud"}, []string{"--config-file", file})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		file + `:2: there is no setting "colour"`, file + ":3: node-id = one", file + ":4: want name = value", file + ":6: memory = false: given twice",
		file + `:7: there is no setting "config-file"`, `SAMSA_LOG_LEVEL="loud"`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in: %v", want, err)
		}
	}
}
