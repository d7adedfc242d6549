package topic

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/samsa-go/samsa/log"
)

func TestInertTable(t *testing.T) {
	if !slices.IsSortedFunc(inerts, func(a, b inert) int { return strings.Compare(a.name, b.name) }) {
		t.Error("not sorted by name")
	}
	for _, s := range settings {
		if findInert(s.name) != nil {
			t.Errorf("%s has an effect", s.name)
		}
	}
}

// What has no effect is checked, kept and given back; back at its default it leaves no trace.
func TestInertConfigs(t *testing.T) {
	for _, tt := range []struct {
		name      string
		good, bad []string
	}{
		{"compression.gzip.level", []string{"-1", "1", "9"}, []string{"", "0", "10", "best"}},
		{"compression.lz4.level", []string{"1", "17"}, []string{"0", "18"}},
		{"compression.zstd.level", []string{"-131072", "22"}, []string{"-131073", "23"}},
		{"flush.messages", []string{"1", maxLong}, []string{"0", "-1", "many", maxLong + "0"}},
		{"leader.replication.throttled.replicas", []string{"*", "none", "", "0:1", "0:1,12:3"}, []string{"0", "0:1,", "0:1\nx=1"}},
		{"local.retention.ms", []string{"-2", "-1", "0"}, []string{"-3"}},
		{"message.downconversion.enable", []string{"true", "false"}, []string{"", "yes", "TRUE"}},
		{"message.format.version", []string{"2.8", "0.9.0.1", "3.0-IV1"}, []string{"", "new", "2.8\nx=1"}},
		{"min.cleanable.dirty.ratio", []string{"0", "0.01", "1"}, []string{"", "1.1", "-0.1", "NaN", "half"}},
		{"min.insync.replicas", []string{"1", "2"}, []string{"0"}},
		{"max.decompressed.message.bytes", []string{"2147483639"}, []string{"1048576", "0"}},
		{"remote.copy.lag.bytes", []string{"-1", "0", "5"}, []string{"-2"}},
		{"remote.copy.lag.ms", []string{"-1", "0", "5"}, []string{"-2"}},
		{"remote.log.copy.disable", []string{"true", "false"}, []string{"1"}},
		{"remote.log.delete.on.disable", []string{"true", "false"}, []string{"1"}},
		{"remote.storage.enable", []string{"false"}, []string{"true"}},
		{"segment.bytes", []string{"14", "1048576"}, []string{"13", "1MB"}},
		{"unclean.leader.election.enable", []string{"true"}, []string{"1"}},
	} {
		var c Config
		for _, v := range tt.good {
			if err := c.SetConfig(tt.name, v); err != nil || c.Configs()[tt.name] != v {
				t.Errorf("%s=%q reads back as %q, error %v", tt.name, v, c.Configs()[tt.name], err)
			}
		}
		before := c
		for _, v := range tt.bad {
			if err := c.SetConfig(tt.name, v); !errors.Is(err, log.ErrInvalidConfig) || !strings.Contains(err.Error(), tt.name) || c != before {
				t.Errorf("%s=%q: %+v, error %v", tt.name, v, c, err)
			}
		}
		if err := c.SetConfig(tt.name, findInert(tt.name).def); err != nil || c != (Config{}) {
			t.Errorf("%s leaves %+v, error %v", tt.name, c, err)
		}
	}
	set := func(kv ...string) (c Config) {
		for i := 0; i < len(kv); i += 2 {
			if err := c.SetConfig(kv[i], kv[i+1]); err != nil {
				t.Fatal(err)
			}
		}
		return c
	}
	if set("segment.ms", "5", "flush.ms", "7") != set("flush.ms", "7", "segment.ms", "6", "segment.ms", "5") {
		t.Error("the order of settings matters")
	}
	if got := Merge(Config{Partitions: 2}, set("segment.ms", "5")).Configs()["segment.ms"]; got != "5" {
		t.Errorf("merged: segment.ms is %s", got)
	}
}

// A config that was known once and stored does no harm.
func TestRetiredConfig(t *testing.T) {
	c := Config{}.withDefaults()
	value := strings.Replace(string((&Topic{name: "web_log", number: 1}).encode(c)), `}`, `,"configs":{"message.timestamp.difference.max.ms":"5"}}`, 1)
	if _, got, err := decode("web_log", []byte(value)); err != nil || got != c {
		t.Errorf("%s: got %+v, error %v", value, got, err)
	}
}

// They are stored with the topic.
func TestInertConfigsAreStored(t *testing.T) {
	c := Config{}.withDefaults()
	if err := c.SetConfig("segment.bytes", "1048576"); err != nil {
		t.Fatal(err)
	}
	_, got, err := decode("web_log", (&Topic{name: "web_log", number: 1}).encode(c))
	if err != nil || got != c {
		t.Errorf("got %+v, error %v", got, err)
	}
}
