package main

import (
	"io"
	"maps"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/twmb/franz-go/pkg/kmsg"

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
	"Logger":           "it is what --log-level configures",
	"Slog":             "it is what --log-level configures",
	"Configs":          "--group-config sets one of them",
	"Produce":          "it is for Broker.Produce, which clients do not call",
	"MaxUpdateRetries": "it is for Broker.Update, which clients do not call",
}

// Every option of the library and of the wire door has a flag, which sets that field, once.
func TestEveryOptionHasAFlag(t *testing.T) {
	for name, part := range map[string]func(*flags) any{
		"samsa.Options": func(f *flags) any { return &f.broker },
		"kafka.Options": func(f *flags) any { return &f.kafka },
	} {
		def, err := parseFlags(nil, io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		options := reflect.TypeOf(part(&def)).Elem()
		for i := range options.NumField() {
			checkField(t, name, options.Field(i), nil, part)
		}
	}
}

// checkField checks the flag of one field, found at path within the options, or those of the
// fields that it has.
func checkField(t *testing.T, where string, field reflect.StructField, path []int, part func(*flags) any) {
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
	before, err := parseFlags(nil, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	value := "7"
	at := func(f *flags) reflect.Value { return reflect.ValueOf(part(f)).Elem().FieldByIndex(path) }
	switch v := at(&before); {
	case v.Type() == reflect.TypeFor[time.Duration]():
		value = "7s"
	case v.Kind() == reflect.Bool && v.Bool():
		value = "false"
	case v.Kind() == reflect.Bool:
		value = "true"
	}
	arg := "--" + name + "=" + value
	after, err := parseFlags([]string{arg}, io.Discard)
	if err != nil {
		t.Errorf("%s.%s has no flag --%s: %v", where, field.Name, name, err)
		return
	}
	if at(&before).Equal(at(&after)) {
		t.Errorf("%s changes nothing in %s.%s", arg, where, field.Name)
	}
	if _, err := parseFlags([]string{arg, arg}, io.Discard); err == nil || !strings.Contains(err.Error(), "twice") {
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
		f, err := parseFlags([]string{"--config", name + "=" + value}, io.Discard)
		if err != nil && value != "0" && value != "" { // which some have for none
			t.Errorf("%s=%s: %v", name, value, err)
		}
		if got := f.broker.TopicDefaults.Configs()[name]; got != value {
			t.Errorf("%s is %q, want %q", name, got, value)
		}
	}
	f, err := parseFlags([]string{"--config", "retention.ms=60000", "--config", "cleanup.policy=compact", "--partitions", "3"}, io.Discard)
	if d := f.broker.TopicDefaults; err != nil || d.Retention != time.Minute || d.CleanupPolicy != samsa.CleanupCompact || d.Partitions != 3 {
		t.Errorf("got %+v, error %v", d, err)
	}
}

// Each of the broker configs that bound those of groups can be set, once.
func TestGroupConfigs(t *testing.T) {
	f, err := parseFlags([]string{"--group-config", "group.share.min.record.lock.duration.ms=1000", "--group-config", "group.share.max.groups=3"}, io.Discard)
	want := map[string]string{"group.share.min.record.lock.duration.ms": "1000", "group.share.max.groups": "3"}
	if got := f.broker.Groups.Configs; err != nil || !maps.Equal(got, want) {
		t.Errorf("got %v, error %v", got, err)
	}
	if _, err := parseFlags([]string{"--group-config", "a=1", "--group-config", "a=2"}, io.Discard); err == nil || !strings.Contains(err.Error(), "twice") {
		t.Errorf("given twice: %v", err)
	}
}

// Topics are made on demand, with the defaults of the command line, and with any number of
// replicas, unless a flag says otherwise.
func TestServeTakesWhatComes(t *testing.T) {
	for _, strict := range []bool{false, true} {
		args := []string{"serve", "--listen", "127.0.0.1:0", "--memory", "--partitions", "3"}
		if strict {
			args = append(args, "--auto-create=false", "--any-replication-factor=false")
		}
		p := begin(t, args)
		addr := address(p.line())
		p.until("Ctrl-C")
		got := metadata(t, addr, "web_log").Topics[0]
		if made := got.ErrorCode == 0 && len(got.Partitions) == 3; made == strict {
			t.Errorf("strict: %v, got %+v", strict, got)
		}
		req := kmsg.NewPtrCreateTopicsRequest()
		rt := kmsg.NewCreateTopicsRequestTopic()
		rt.Topic, rt.NumPartitions, rt.ReplicationFactor = "orders", 1, 3
		req.Topics = append(req.Topics, rt)
		created := kmsg.NewPtrCreateTopicsResponse()
		ask(t, addr, 4, req, created)
		if made := created.Topics[0].ErrorCode == 0; made == strict {
			t.Errorf("strict: %v, got %+v", strict, created.Topics[0])
		}
		if code := p.end(); code != exitOK {
			t.Errorf("ended with %d: %s", code, p.stderr.String())
		}
	}
}
