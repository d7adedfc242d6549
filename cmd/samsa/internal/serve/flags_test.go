package serve

import (
	"fmt"
	"maps"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/spf13/pflag"

	"github.com/samsa-go/samsa"
)

// flagOf names the flags that are not called as their fields are, and why some fields have none.
var flagOf = map[string]string{
	"InMemory":                 "memory",
	"AutoCreateTopics":         "auto-create",
	"TopicDefaults.Partitions": "partitions",
	"InitialRebalanceDelay":    "group-initial-rebalance-delay",
	"MinSessionTimeout":        "group-min-session-timeout",
	"MaxSessionTimeout":        "group-max-session-timeout",
	"MaxSize":                  "group-max-size",
	"MaxTimeout":               "transaction-max-timeout",
	"IDExpiry":                 "transactional-id-expiry",
	"ProducerIDExpiry":         "producer-id-expiry",
}

var withoutFlag = map[string]string{
	"TLS":              "--tls-cert and those beside it make it",
	"ACLs":             "--acls and those beside it make it",
	"SASL":             "--sasl and those beside it make it",
	"Control":          "serve always has one: console.Control",
	"Hooks":            "they are functions of a Go program",
	"Logger":           "it is what --log-level configures",
	"Slog":             "it is what --log-level configures",
	"Configs":          "--group-config sets one of them",
	"Produce":          "it is for Broker.Produce, which only the API and the console call",
	"MaxUpdateRetries": "it is for Broker.Update, which clients do not call",
}

// parse is what serve makes of a command line, without an environment.
func parse(args []string) (*Config, error) {
	c, _, err := parseIn(nil, args)
	return c, err
}

// parseIn is what serve makes of a command line in an environment.
func parseIn(env map[string]string, args []string) (*Config, []Setting, error) {
	c, fs := new(Config), pflag.NewFlagSet("serve", pflag.ContinueOnError)
	c.Define(fs)
	if err := fs.Parse(args); err != nil {
		return c, nil, err
	}
	list, err := c.Resolve(fs, func(name string) string { return env[name] })
	return c, list, err
}

// Every option of the library and of the wire door has a flag, which sets that field, once.
func TestEveryOptionHasAFlag(t *testing.T) {
	for name, part := range map[string]func(*Config) any{
		"samsa.Options": func(f *Config) any { return &f.broker },
		"kafka.Options": func(f *Config) any { return &f.kafka },
	} {
		def, err := parse(nil)
		if err != nil {
			t.Fatal(err)
		}
		options := reflect.TypeOf(part(def)).Elem()
		for i := range options.NumField() {
			checkField(t, name, options.Field(i), nil, part)
		}
	}
}

// checkField checks the flag of one field, found at path within the options, or those of the
// fields that it has.
func checkField(t *testing.T, where string, field reflect.StructField, path []int, part func(*Config) any) {
	path = append(path[:len(path):len(path)], field.Index...)
	if withoutFlag[field.Name] != "" || field.Type == reflect.TypeFor[samsa.TopicConfig]() {
		return // the configs of a topic have a test of their own
	}
	if field.Type.Kind() == reflect.Struct {
		for i := range field.Type.NumField() {
			checkField(t, where+"."+field.Name, field.Type.Field(i), path, part)
		}
		return
	}
	name := flagOf[field.Name]
	if name == "" {
		name = kebab(field.Name)
	}
	before, err := parse(nil)
	if err != nil {
		t.Fatal(err)
	}
	value := "7"
	at := func(f *Config) reflect.Value { return reflect.ValueOf(part(f)).Elem().FieldByIndex(path) }
	switch v := at(before); {
	case v.Type() == reflect.TypeFor[time.Duration]():
		value = "7s"
	case v.Kind() == reflect.Bool && v.Bool():
		value = "false"
	case v.Kind() == reflect.Bool:
		value = "true"
	}
	arg := "--" + name + "=" + value
	after, err := parse([]string{arg})
	if err != nil {
		t.Errorf("%s.%s has no flag --%s: %v", where, field.Name, name, err)
		return
	}
	if at(before).Equal(at(after)) {
		t.Errorf("%s changes nothing in %s.%s", arg, where, field.Name)
	}
	if _, err := parse([]string{arg, arg}); err == nil || !strings.Contains(err.Error(), "twice") {
		t.Errorf("%s, given twice: %v", arg, err)
	}
}

// kebab writes a name like MaxFrameBytes as max-frame-bytes, and NodeID as node-id.
func kebab(name string) string {
	var b strings.Builder
	runes := []rune(name)
	for i, r := range runes {
		if i > 0 && unicode.IsUpper(r) && !unicode.IsUpper(runes[i-1]) {
			b.WriteByte('-')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

// Every config of a topic can be given a default by its Kafka name.
func TestEveryTopicConfigCanBeSet(t *testing.T) {
	for name, value := range (samsa.TopicConfig{}).Configs() {
		f, err := parse([]string{"--config", name + "=" + value})
		if err != nil && value != "0" && value != "" { // which some have for none
			t.Errorf("%s=%s: %v", name, value, err)
		}
		if got := f.broker.TopicDefaults.Configs()[name]; got != value {
			t.Errorf("%s is %q, want %q", name, got, value)
		}
	}
	f, err := parse([]string{"--config", "retention.ms=60000", "--config", "cleanup.policy=compact", "--partitions", "3"})
	if d := f.broker.TopicDefaults; err != nil || d.Retention != time.Minute || d.CleanupPolicy != samsa.CleanupCompact || d.Partitions != 3 {
		t.Errorf("got %+v, error %v", d, err)
	}
}

// Each of the broker configs that bound those of groups can be set, once.
func TestGroupConfigs(t *testing.T) {
	f, err := parse([]string{"--group-config", "group.share.min.record.lock.duration.ms=1000", "--group-config", "group.share.max.groups=3"})
	want := map[string]string{"group.share.min.record.lock.duration.ms": "1000", "group.share.max.groups": "3"}
	if got := f.broker.Groups.Configs; err != nil || !maps.Equal(got, want) {
		t.Errorf("got %v, error %v", got, err)
	}
	if _, err := parse([]string{"--group-config", "a=1", "--group-config", "a=2"}); err == nil || !strings.Contains(err.Error(), "twice") {
		t.Errorf("given twice: %v", err)
	}
}

// A copy goes into a folder or a bucket, and where that cannot be is said before anything is served.
func TestBackupTargets(t *testing.T) {
	env := map[string]string{"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_ENDPOINT_URL": "http://localhost:1"}
	for where, want := range map[string]string{"": "<nil>", "s3://bucket/x": "*s3.target", "s3:folder": "backup.folder"} {
		c, _, err := parseIn(env, []string{"--backup", where})
		if got := fmt.Sprintf("%T", c.target); got != want || err != nil {
			t.Errorf("%q is a %s, error %v", where, got, err)
		}
	}
	env["AWS_ENDPOINT_URL"] = "localhost:1"
	if _, _, err := parseIn(env, []string{"--backup", "s3://bucket"}); err == nil || !strings.Contains(err.Error(), "--backup: ") {
		t.Errorf("got %v", err)
	}
}
