package topic

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// inert is a config of Kafka that has nothing to work on here: there are no segments, no
// replicas, no other tier, one level of each codec, and the store decides when to fsync. Tools set them all the same, so
// that valid values are stored and given back, without effect.
type inert struct {
	name  string
	def   string // Kafka's default, or the value that tells what happens here
	check func(value string) error
}

// inerts is the table of them, by name.
var inerts = []inert{
	{"compression.gzip.level", "-1", levels(1, 9, -1)}, // each codec has one level here
	{"compression.lz4.level", "9", levels(1, 17, 9)},
	{"compression.zstd.level", "3", levels(-131072, 22, 3)},
	{"file.delete.delay.ms", "60000", wholeFrom(0)},
	{"flush.messages", maxLong, wholeFrom(1)},
	{"flush.ms", maxLong, wholeFrom(0)},
	{"follower.replication.throttled.replicas", "", throttled},
	{"index.interval.bytes", "4096", wholeFrom(0)},
	{"leader.replication.throttled.replicas", "", throttled},
	{"local.retention.bytes", "-2", wholeFrom(-2)},
	{"local.retention.ms", "-2", wholeFrom(-2)},
	{"max.compaction.lag.ms", maxLong, wholeFrom(1)},
	{"max.decompressed.message.bytes", "2147483639", oneOf("2147483639")}, // Kafka's bound, which is none
	{"message.downconversion.enable", "true", boolean},
	{"message.format.version", "3.0-IV1", version},
	{"min.cleanable.dirty.ratio", "0.5", ratio},
	{"min.insync.replicas", "1", wholeFrom(1)},
	{"preallocate", "false", boolean},
	{"remote.copy.lag.bytes", "-1", wholeFrom(-1)},
	{"remote.copy.lag.ms", "0", wholeFrom(-1)},
	{"remote.log.copy.disable", "false", boolean},
	{"remote.log.delete.on.disable", "false", boolean},
	{"remote.storage.enable", "false", oneOf("false")},
	{"segment.bytes", "1073741824", wholeFrom(14)},
	{"segment.index.bytes", "10485760", wholeFrom(4)},
	{"segment.jitter.ms", "0", wholeFrom(0)},
	{"segment.ms", "604800000", wholeFrom(1)},
	{"unclean.leader.election.enable", "false", boolean},
}

const maxLong = "9223372036854775807" // Kafka's way to say never

// findInert returns the row of that name, nil if there is none.
func findInert(name string) *inert {
	i, ok := slices.BinarySearchFunc(inerts, name, func(c inert, name string) int { return strings.Compare(c.name, name) })
	if !ok {
		return nil
	}
	return &inerts[i]
}

// inertConfigs is the inert configs that differ from their defaults: name=value, one a line,
// by name. It is a string so that a Config can be compared.
type inertConfigs string

func (s inertConfigs) values() map[string]string {
	m := make(map[string]string)
	for line := range strings.Lines(string(s)) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		m[name] = value
	}
	return m
}

// with returns s with one config set. The value was checked, which no value with a line
// break survives.
func (s inertConfigs) with(c *inert, value string) inertConfigs {
	m := s.values()
	m[c.name] = value
	if value == c.def {
		delete(m, c.name)
	}
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(m)) {
		b.WriteString(name + "=" + m[name] + "\n")
	}
	return inertConfigs(b.String())
}

// The checks of values.

func wholeFrom(lo int64) func(string) error {
	return func(v string) error {
		if n, err := strconv.ParseInt(v, 10, 64); err != nil || n < lo {
			return fmt.Errorf("want a whole number from %d to %d", lo, int64(math.MaxInt64))
		}
		return nil
	}
}

// levels takes those of a codec, and the default.
func levels(lo, hi, def int) func(string) error {
	return func(v string) error {
		if n, err := strconv.Atoi(v); err != nil || (n < lo || n > hi) && n != def {
			return fmt.Errorf("want a whole number from %d to %d, or %d", lo, hi, def)
		}
		return nil
	}
}

func oneOf(only string) func(string) error {
	return func(v string) error {
		if v != only {
			return fmt.Errorf("only %s is supported", only)
		}
		return nil
	}
}

func boolean(v string) error {
	if v != "true" && v != "false" {
		return errors.New("want true or false")
	}
	return nil
}

func ratio(v string) error {
	if r, err := strconv.ParseFloat(v, 64); err != nil || !(r >= 0 && r <= 1) {
		return errors.New("want a number from 0 to 1")
	}
	return nil
}

var (
	versionForm   = regexp.MustCompile(`^[0-9]+(\.[0-9]+)*(-IV[0-9]+)?$`)
	throttledForm = regexp.MustCompile(`^([0-9]+:[0-9]+(,[0-9]+:[0-9]+)*)?$`)
)

func version(v string) error {
	if !versionForm.MatchString(v) {
		return errors.New("want a version, like 2.8 or 3.0-IV1")
	}
	return nil
}

func throttled(v string) error {
	if v != "*" && v != "none" && !throttledForm.MatchString(v) {
		return errors.New("want *, none, or a list of partition:broker")
	}
	return nil
}
