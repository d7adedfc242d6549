package topic

import (
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/samsa-go/samsa/log"
)

func TestDefaults(t *testing.T) {
	want := map[string]string{
		"max.message.bytes": "1048576", "message.timestamp.type": "CreateTime", "errors.deadletterqueue.group.enable": "false",
		"message.timestamp.before.max.ms": "9223372036854775807", "message.timestamp.after.max.ms": "3600000",
		"retention.bytes": "-1", "retention.ms": "604800000",
		"cleanup.policy": "delete", "compression.type": "producer", "delete.retention.ms": "86400000", "min.compaction.lag.ms": "0",
	}
	got := (Config{}).Configs()
	for _, in := range inerts {
		if err := in.check(in.def); err != nil || got[in.name] != in.def {
			t.Errorf("%s is %q, error %v", in.name, got[in.name], err)
		}
		delete(got, in.name)
	}
	if !maps.Equal(got, want) {
		t.Errorf("got %v", got)
	}
	if err := (Config{}).Validate(); err != nil {
		t.Error(err)
	}
}

func TestSetConfig(t *testing.T) {
	for _, tt := range []struct {
		name, value string
		want        Config
		bad         bool
	}{
		{name: "max.message.bytes", value: "128", want: Config{MaxMessageBytes: 128}},
		{name: "max.message.bytes", value: "16777216", want: Config{MaxMessageBytes: 16 << 20}},
		{name: "max.message.bytes", value: "127", bad: true},
		{name: "max.message.bytes", value: "16777217", bad: true},
		{name: "max.message.bytes", value: "1MB", bad: true},
		{name: "max.message.bytes", value: "", bad: true},
		{name: "max.message.bytes", value: "-1", bad: true},
		{name: "cleanup.policy", value: "delete", want: Config{CleanupPolicy: Delete}},
		{name: "cleanup.policy", value: "compact", want: Config{CleanupPolicy: Compact}},
		{name: "cleanup.policy", value: "compact,delete", want: Config{CleanupPolicy: Compact | Delete}},
		{name: "cleanup.policy", value: "consumed", want: Config{CleanupPolicy: Consumed}},
		{name: "cleanup.policy", value: "consumed,delete", want: Config{CleanupPolicy: Consumed | Delete}},
		{name: "cleanup.policy", value: "compact,consumed", bad: true},
		{name: "cleanup.policy", value: "", bad: true},
		{name: "cleanup.policy", value: "Delete", bad: true},
		{name: "compression.type", value: "producer"},
		{name: "compression.type", value: "uncompressed", want: Config{Compression: log.CompressionNone}},
		{name: "compression.type", value: "lz4", want: Config{Compression: log.CompressionLz4}},
		{name: "compression.type", value: "none", bad: true},
		{name: "compression.type", value: "Gzip", bad: true},
		{name: "compression.type", value: "", bad: true},
		{name: "delete.retention.ms", value: "1", want: Config{DeleteRetention: time.Millisecond}},
		{name: "delete.retention.ms", value: "0", bad: true},
		{name: "errors.deadletterqueue.group.enable", value: "true", want: Config{DeadLetters: true}},
		{name: "errors.deadletterqueue.group.enable", value: "yes", bad: true},
		{name: "min.compaction.lag.ms", value: "0"},
		{name: "min.compaction.lag.ms", value: "5", want: Config{MinCompactionLag: 5 * time.Millisecond}},
		{name: "min.compaction.lag.ms", value: "-1", bad: true},
		{name: "message.timestamp.after.max.ms", value: "0", want: Config{TimestampAfterMax: 1}},
		{name: "message.timestamp.after.max.ms", value: "60000", want: Config{TimestampAfterMax: time.Minute}},
		{name: "message.timestamp.after.max.ms", value: maxLong, want: Config{TimestampAfterMax: Unlimited}},
		{name: "message.timestamp.after.max.ms", value: "-1", bad: true},
		{name: "message.timestamp.before.max.ms", value: "1", want: Config{TimestampBeforeMax: time.Millisecond}},
		{name: "message.timestamp.before.max.ms", value: "9223372036855", bad: true},
		{name: "message.timestamp.before.max.ms", value: "1h", bad: true},
		{name: "message.timestamp.difference.max.ms", value: "1", bad: true}, // Kafka 4 does not have it
		{name: "message.timestamp.type", value: "CreateTime"},
		{name: "message.timestamp.type", value: "LogAppendTime", want: Config{LogAppendTime: true}},
		{name: "message.timestamp.type", value: "logappendtime", bad: true},
		{name: "message.timestamp.type", value: "", bad: true},
		{name: "retention.bytes", value: "-1", want: Config{RetentionBytes: Unlimited}},
		{name: "retention.bytes", value: "1", want: Config{RetentionBytes: 1}},
		{name: "retention.bytes", value: "9223372036854775807", want: Config{RetentionBytes: 1<<63 - 1}},
		{name: "retention.bytes", value: "0", bad: true},
		{name: "retention.bytes", value: "-2", bad: true},
		{name: "retention.bytes", value: "9223372036854775808", bad: true},
		{name: "retention.ms", value: "-1", want: Config{Retention: Unlimited}},
		{name: "retention.ms", value: "1", want: Config{Retention: time.Millisecond}},
		{name: "retention.ms", value: "9223372036854", want: Config{Retention: 9223372036854 * time.Millisecond}},
		{name: "retention.ms", value: "9223372036855", bad: true},
		{name: "retention.ms", value: "0", bad: true},
		{name: "retention.ms", value: "-2", bad: true},
		{name: "retention.ms", value: "1.5", bad: true},
		{name: "retention.ms", value: " 1", bad: true},
		{name: "retention.hours", value: "1", bad: true},
		{name: "", value: "1", bad: true},
	} {
		var got Config
		err := got.SetConfig(tt.name, tt.value)
		if tt.bad {
			if !errors.Is(err, log.ErrInvalidConfig) || !strings.Contains(err.Error(), tt.name) || got != (Config{}) {
				t.Errorf("%s=%q: got %+v, error %v", tt.name, tt.value, got, err)
			}
			continue
		}
		if err != nil || got != tt.want {
			t.Errorf("%s=%q: got %+v, error %v", tt.name, tt.value, got, err)
			continue
		}
		if err := got.Validate(); err != nil {
			t.Errorf("%s=%q is taken and not valid: %v", tt.name, tt.value, err)
		}
		if s := got.Configs()[tt.name]; s != tt.value {
			t.Errorf("%s=%q reads back as %q", tt.name, tt.value, s)
		}
	}
	var c Config
	if err := c.SetConfig("nonsense", "1"); !strings.Contains(err.Error(), "cleanup.policy, compression.type, delete.retention.ms, errors.deadletterqueue.group.enable, max.message.bytes, message.timestamp.after.max.ms, message.timestamp.before.max.ms, message.timestamp.type, min.compaction.lag.ms, retention.bytes, retention.ms") {
		t.Errorf("the error does not name the configs there are: %v", err)
	}
}

func TestValidateNamesEveryMistake(t *testing.T) {
	err := Config{Partitions: -1, Retention: -2, RetentionBytes: -7, MaxMessageBytes: 5, TimestampAfterMax: -9, CleanupPolicy: Compact | 64}.Validate()
	for _, part := range []string{"TimestampAfterMax is -9", "Partitions is -1", "Retention is -2", "RetentionBytes is -7", "MaxMessageBytes is 5", "CleanupPolicy is compact,policy(64)"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%q is not in %v", part, err)
		}
	}
	if !errors.Is(err, log.ErrInvalidConfig) || !errors.Is(err, log.ErrInvalidPartitions) {
		t.Errorf("got error %v", err)
	}
	for _, c := range []Config{
		{Partitions: MaxPartitions + 1}, {Retention: time.Microsecond}, {MaxMessageBytes: maxMessageBytes + 1},
	} {
		if c.Validate() == nil {
			t.Errorf("%+v is valid", c)
		}
	}
	if err := (Config{Partitions: MaxPartitions, Retention: Unlimited, RetentionBytes: Unlimited, MaxMessageBytes: maxMessageBytes}).Validate(); err != nil {
		t.Error(err)
	}
}

func TestSetConfigs(t *testing.T) {
	var c Config
	if err := c.SetConfigs(map[string]string{"retention.ms": "5", "segment.ms": "7", "cleanup.policy": "compact"}); err != nil ||
		c.Retention != 5*time.Millisecond || c.CleanupPolicy != Compact || c.Configs()["segment.ms"] != "7" {
		t.Errorf("got %+v, error %v", c, err)
	}
	before := c
	err := c.SetConfigs(map[string]string{"retention.ms": "x", "nonsense": "1", "flush.ms": "5"})
	if !errors.Is(err, log.ErrInvalidConfig) || !strings.Contains(err.Error(), "retention.ms") || !strings.Contains(err.Error(), "nonsense") || c != before {
		t.Errorf("got %+v, error %v", c, err)
	}
}

// A cluster of one has one replica, whatever a program that has larger ones asks for.
func TestReplicas(t *testing.T) {
	if err := (Config{Replicas: -1}).Validate(); !errors.Is(err, log.ErrInvalidConfig) {
		t.Errorf("error %v", err)
	}
	for _, n := range []int{0, 1, 3} {
		c := Merge(Config{}, Config{Replicas: n})
		if err := c.Validate(); err != nil || c.Replicas != n || c.withDefaults().Replicas != 1 {
			t.Errorf("%d replicas: %+v, error %v", n, c, err)
		}
	}
}

func TestMerge(t *testing.T) {
	defaults := Config{Partitions: 3, Retention: time.Hour, RetentionBytes: 9, MaxMessageBytes: 1000, LogAppendTime: true}
	if got := Merge(Config{}, defaults); got != defaults {
		t.Errorf("got %+v", got)
	}
	c := Config{Partitions: 1, Retention: Unlimited, RetentionBytes: Unlimited, MaxMessageBytes: 500}
	want := c
	want.LogAppendTime = true
	if got := Merge(c, defaults); got != want {
		t.Errorf("got %+v", got)
	}
}
