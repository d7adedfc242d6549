package topic

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/partition"
)

// Limits and defaults of a topic.
const (
	MaxPartitions          = 10_000
	DefaultRetention       = 168 * time.Hour // Kafka's log.retention.hours
	DefaultMaxMessageBytes = 1 << 20
	DefaultDeleteRetention = 24 * time.Hour // Kafka's log.cleaner.delete.retention.ms
	DefaultTimestampAfter  = time.Hour      // Kafka's log.message.timestamp.after.max.ms
	minMessageBytes        = 128            // room for a batch with one small record
	maxMessageBytes        = 16 << 20
)

// Unlimited is no limit, for Config.Retention, RetentionBytes, TimestampBeforeMax and
// TimestampAfterMax.
const Unlimited = -1

// Config is what can be set for a topic. The zero value is Kafka's defaults with one
// partition. Kafka's config names stand beside the fields; SetConfig and SetConfigs take them, and Kafka's
// other ones too. As JSON it has these names, with times in ms, and leaves out the fields that are zero:
//
//	{"partitions":3,"configs":{"cleanup.policy":"compact","retention.ms":"3600000"}}
type Config struct {
	// Partitions is their number, 1 to 10,000; 0 means 1.
	Partitions int
	// Replicas is how many brokers of a cluster keep each partition. A broker in this process has no
	// others: it takes any number, and tells 1.
	Replicas int
	// Retention is how long records stay, by their timestamps, in whole milliseconds (the
	// rest is dropped); 0 means 168 h, Unlimited for ever (retention.ms).
	Retention time.Duration
	// RetentionBytes is how many bytes of stored batches each partition keeps; 0 means
	// Unlimited (retention.bytes).
	RetentionBytes int64
	// MaxMessageBytes is the largest batch, and so the largest record, in bytes with
	// its overhead; 0 means 1 MiB, at most 16 MiB (max.message.bytes).
	MaxMessageBytes int
	// LogAppendTime gives records the time at which they were stored, instead of the
	// producer's (message.timestamp.type=LogAppendTime).
	LogAppendTime bool
	// TimestampBeforeMax and TimestampAfterMax are how far a producer's timestamp may be behind
	// the clock and ahead of it, in whole milliseconds (the rest is dropped); records beyond get
	// ErrInvalidTimestamp. Unlimited is no bound. 0 means Unlimited before and 1 h after: a
	// record from the future would keep all behind it from going by Retention
	// (message.timestamp.before.max.ms, message.timestamp.after.max.ms). With LogAppendTime
	// they do not matter.
	TimestampBeforeMax, TimestampAfterMax time.Duration
	// CleanupPolicy says by which rules records go; 0 means Delete (cleanup.policy).
	CleanupPolicy CleanupPolicy
	// DeleteRetention is how long a tombstone of a compacted topic stays readable once it is
	// the last record of its key, whatever its timestamp; 0 means 24 h (delete.retention.ms).
	DeleteRetention time.Duration
	// MinCompactionLag is how old a record must be before compaction may remove it
	// (min.compaction.lag.ms).
	MinCompactionLag time.Duration
	// Compression is that of stored batches, whatever their producers have used; 0 leaves them
	// as they are (compression.type).
	Compression log.Compression

	// DeadLetters lets share groups of Kafka clients name the topic as the one for their dead letters
	// (errors.deadletterqueue.group.enable).
	DeadLetters bool

	inert inertConfigs // Kafka's configs without effect, set by SetConfig
}

// withDefaults fills in what was left out.
func (c Config) withDefaults() Config {
	c.Replicas = 1
	if c.Retention >= time.Millisecond {
		c.Retention = c.Retention.Truncate(time.Millisecond)
	}
	return Merge(c, Config{
		Partitions:      1,
		Retention:       DefaultRetention,
		RetentionBytes:  Unlimited,
		MaxMessageBytes: DefaultMaxMessageBytes,
		CleanupPolicy:   Delete,
		DeleteRetention: DefaultDeleteRetention,

		TimestampBeforeMax: Unlimited,
		TimestampAfterMax:  DefaultTimestampAfter,
	})
}

// Merge returns c with its zero fields taken from defaults.
func Merge(c, defaults Config) Config {
	return Config{
		Partitions:       cmp.Or(c.Partitions, defaults.Partitions),
		Replicas:         cmp.Or(c.Replicas, defaults.Replicas),
		Retention:        cmp.Or(c.Retention, defaults.Retention),
		RetentionBytes:   cmp.Or(c.RetentionBytes, defaults.RetentionBytes),
		MaxMessageBytes:  cmp.Or(c.MaxMessageBytes, defaults.MaxMessageBytes),
		LogAppendTime:    c.LogAppendTime || defaults.LogAppendTime,
		CleanupPolicy:    cmp.Or(c.CleanupPolicy, defaults.CleanupPolicy),
		DeleteRetention:  cmp.Or(c.DeleteRetention, defaults.DeleteRetention),
		MinCompactionLag: cmp.Or(c.MinCompactionLag, defaults.MinCompactionLag),
		Compression:      cmp.Or(c.Compression, defaults.Compression),
		DeadLetters:      c.DeadLetters || defaults.DeadLetters,
		inert:            cmp.Or(c.inert, defaults.inert),

		TimestampBeforeMax: cmp.Or(c.TimestampBeforeMax, defaults.TimestampBeforeMax),
		TimestampAfterMax:  cmp.Or(c.TimestampAfterMax, defaults.TimestampAfterMax),
	}
}

// Refill returns c, which an edit has made of a config with every field filled in, with what the edit
// has set to zero taken from defaults. Fields of which zero is a value are as the edit has left
// them.
func Refill(c, defaults Config) Config {
	defaults.Partitions, defaults.LogAppendTime, defaults.MinCompactionLag, defaults.DeadLetters = 0, false, 0, false
	defaults.Compression, defaults.inert = 0, ""
	return Merge(c, defaults)
}

// Validate reports every field that is out of its range, in one error.
func (c Config) Validate() error {
	replicas := c.Replicas
	c = c.withDefaults()
	var errs []error
	wrong := func(field string, value any, want string) {
		errs = append(errs, fmt.Errorf("%w: %s is %v, want %s", log.ErrInvalidConfig, field, value, want))
	}
	if c.Partitions < 1 || c.Partitions > MaxPartitions {
		errs = append(errs, fmt.Errorf("%w: Partitions is %d, want 1 to %d", log.ErrInvalidPartitions, c.Partitions, MaxPartitions))
	}
	if replicas < 0 {
		wrong("Replicas", replicas, "0 or more")
	}
	if c.Retention < Unlimited || c.Retention > 0 && c.Retention < time.Millisecond {
		wrong("Retention", c.Retention, "at least 1 ms, or Unlimited")
	}
	if c.RetentionBytes < Unlimited {
		wrong("RetentionBytes", c.RetentionBytes, "at least 1, or Unlimited")
	}
	if c.MaxMessageBytes < minMessageBytes || c.MaxMessageBytes > maxMessageBytes {
		wrong("MaxMessageBytes", c.MaxMessageBytes, fmt.Sprintf("%d to %d", minMessageBytes, maxMessageBytes))
	}
	if c.TimestampBeforeMax < Unlimited {
		wrong("TimestampBeforeMax", c.TimestampBeforeMax, "a time, or Unlimited")
	}
	if c.TimestampAfterMax < Unlimited {
		wrong("TimestampAfterMax", c.TimestampAfterMax, "a time, or Unlimited")
	}
	if !c.CleanupPolicy.valid() {
		wrong("CleanupPolicy", c.CleanupPolicy, "Delete, Compact, both, Consumed, or Consumed with Delete")
	}
	if c.DeleteRetention < time.Millisecond {
		wrong("DeleteRetention", c.DeleteRetention, "at least 1 ms")
	}
	if c.MinCompactionLag < 0 {
		wrong("MinCompactionLag", c.MinCompactionLag, "0 or more")
	}
	if !log.KnownCompression(c.Compression) {
		wrong("Compression", c.Compression, "one of the Compression constants")
	}
	return errors.Join(errs...)
}

// rules returns the part of the config that partitions enforce.
func (c Config) rules() partition.Rules {
	return partition.Rules{
		MaxMessageBytes: c.MaxMessageBytes, LogAppendTime: c.LogAppendTime, KeyRequired: c.CleanupPolicy&Compact != 0,
		Compression:          c.Compression,
		TimestampBeforeMaxMs: boundMs(c.TimestampBeforeMax), TimestampAfterMaxMs: boundMs(c.TimestampAfterMax),
	}
}

// boundText returns a bound of timestamps in Kafka's notation, "" for none that is set.
func boundText(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return strconv.FormatInt(boundMs(d), 10)
}

// boundMs returns a bound of timestamps in ms, Kafka's way: the largest number is none.
func boundMs(d time.Duration) int64 {
	if d == Unlimited {
		return math.MaxInt64
	}
	return d.Milliseconds()
}

// parseBound is the inverse of boundMs. That there may be no difference at all is said by one that
// is no whole millisecond, as 0 is the default.
func parseBound(v string, bound *time.Duration) error {
	n, err := strconv.ParseInt(v, 10, 64)
	switch {
	case err == nil && n == math.MaxInt64:
		*bound = Unlimited
	case err != nil || n < 0 || n > maxMilliseconds:
		return fmt.Errorf("want a whole number from 0 to %d, or %d", maxMilliseconds, int64(math.MaxInt64))
	default:
		*bound = max(1, time.Duration(n)*time.Millisecond)
	}
	return nil
}

// setting is one config under its Kafka name.
type setting struct {
	name string
	get  func(c *Config) string
	set  func(c *Config, value string) error
}

// settings is the table of all configs that have an effect, by name.
var settings = []setting{
	{
		name: "cleanup.policy",
		get:  func(c *Config) string { return c.CleanupPolicy.String() },
		set: func(c *Config, v string) (err error) {
			c.CleanupPolicy, err = parseCleanupPolicy(v)
			return err
		},
	},
	{
		name: "compression.type",
		get:  func(c *Config) string { return compressionName(c.Compression) },
		set: func(c *Config, v string) error {
			for i := log.CompressionDefault; log.KnownCompression(i); i++ {
				if v == compressionName(i) {
					c.Compression = i
					return nil
				}
			}
			return errors.New("want uncompressed, gzip, snappy, lz4, zstd or producer")
		},
	},
	{
		name: "delete.retention.ms",
		get:  func(c *Config) string { return strconv.FormatInt(c.DeleteRetention.Milliseconds(), 10) },
		set: func(c *Config, v string) error {
			return parse(v, 1, maxMilliseconds, func(n int64) { c.DeleteRetention = time.Duration(n) * time.Millisecond })
		},
	},
	{
		name: "errors.deadletterqueue.group.enable",
		get:  func(c *Config) string { return strconv.FormatBool(c.DeadLetters) },
		set: func(c *Config, v string) error {
			if err := boolean(v); err != nil {
				return err
			}
			c.DeadLetters = v == "true"
			return nil
		},
	},
	{
		name: "max.message.bytes",
		get:  func(c *Config) string { return strconv.Itoa(c.MaxMessageBytes) },
		set: func(c *Config, v string) error {
			return parse(v, minMessageBytes, maxMessageBytes, func(n int64) { c.MaxMessageBytes = int(n) })
		},
	},
	{
		name: "message.timestamp.after.max.ms",
		get:  func(c *Config) string { return boundText(c.TimestampAfterMax) },
		set:  func(c *Config, v string) error { return parseBound(v, &c.TimestampAfterMax) },
	},
	{
		name: "message.timestamp.before.max.ms",
		get:  func(c *Config) string { return boundText(c.TimestampBeforeMax) },
		set:  func(c *Config, v string) error { return parseBound(v, &c.TimestampBeforeMax) },
	},
	{
		name: "message.timestamp.type",
		get: func(c *Config) string {
			if c.LogAppendTime {
				return "LogAppendTime"
			}
			return "CreateTime"
		},
		set: func(c *Config, v string) error {
			if v != "CreateTime" && v != "LogAppendTime" {
				return errors.New("want CreateTime or LogAppendTime")
			}
			c.LogAppendTime = v == "LogAppendTime"
			return nil
		},
	},
	{
		name: "min.compaction.lag.ms",
		get:  func(c *Config) string { return strconv.FormatInt(c.MinCompactionLag.Milliseconds(), 10) },
		set: func(c *Config, v string) error {
			if v == "0" {
				c.MinCompactionLag = 0
				return nil
			}
			return parse(v, 1, maxMilliseconds, func(n int64) { c.MinCompactionLag = time.Duration(n) * time.Millisecond })
		},
	},
	{
		name: "retention.bytes",
		get:  func(c *Config) string { return strconv.FormatInt(c.RetentionBytes, 10) },
		set: func(c *Config, v string) error {
			return parse(v, Unlimited, math.MaxInt64, func(n int64) { c.RetentionBytes = n })
		},
	},
	{
		name: "retention.ms",
		get: func(c *Config) string {
			if c.Retention == Unlimited {
				return "-1"
			}
			return strconv.FormatInt(c.Retention.Milliseconds(), 10)
		},
		set: func(c *Config, v string) error {
			return parse(v, Unlimited, maxMilliseconds, func(n int64) {
				c.Retention = time.Duration(n)
				if n != Unlimited {
					c.Retention *= time.Millisecond
				}
			})
		},
	},
}

// compressionName is the compression of a topic in Kafka's words.
func compressionName(c log.Compression) string {
	switch c {
	case log.CompressionDefault:
		return "producer"
	case log.CompressionNone:
		return "uncompressed"
	}
	return c.String()
}

const maxMilliseconds = math.MaxInt64 / int64(time.Millisecond)

func parse(v string, lo, hi int64, set func(int64)) error {
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil || n < lo || n > hi {
		return fmt.Errorf("want a whole number from %d to %d", lo, hi)
	}
	if n == 0 {
		return errors.New("0 is not supported")
	}
	set(n)
	return nil
}

// SetConfig sets the config of that Kafka name, say retention.ms, to the value in
// Kafka's notation. Kafka's configs that have nothing to work on here, say segment.bytes, are
// checked and kept, without effect.
func (c *Config) SetConfig(name, value string) error {
	if in := findInert(name); in != nil {
		if err := in.check(value); err != nil {
			return fmt.Errorf("%w: %s=%q: %w", log.ErrInvalidConfig, name, value, err)
		}
		c.inert = c.inert.with(in, value)
		return nil
	}
	i := slices.IndexFunc(settings, func(s setting) bool { return s.name == name })
	if i < 0 {
		names := make([]string, len(settings))
		for i, s := range settings {
			names[i] = s.name
		}
		return fmt.Errorf("%w: unknown name %q, there are %s, and those of Kafka that have no effect here",
			log.ErrInvalidConfig, name, strings.Join(names, ", "))
	}
	if err := settings[i].set(c, value); err != nil {
		return fmt.Errorf("%w: %s=%q: %w", log.ErrInvalidConfig, name, value, err)
	}
	return nil
}

// SetConfigs is SetConfig for several. The error names all that are wrong, and then none is set.
func (c *Config) SetConfigs(configs map[string]string) error {
	changed := *c
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(configs)) {
		errs = append(errs, changed.SetConfig(name, configs[name]))
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	*c = changed
	return nil
}

// since returns the configs that are not as in old, as name=value, sorted.
func (c Config) since(old Config) []string {
	var changed []string
	before := old.Configs()
	for name, value := range c.Configs() {
		if value != before[name] {
			changed = append(changed, name+"="+value)
		}
	}
	slices.Sort(changed)
	return changed
}

// Configs returns all configs under their Kafka names, those without effect too.
func (c Config) Configs() map[string]string {
	c = c.withDefaults()
	m := make(map[string]string, len(settings)+len(inerts))
	for _, in := range inerts {
		m[in.name] = in.def
	}
	maps.Copy(m, c.inert.values())
	for _, s := range settings {
		m[s.name] = s.get(&c)
	}
	return m
}
