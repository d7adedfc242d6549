package serve

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"go.uber.org/zap/zapcore"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/topic"
)

// onceFlag is a flag that may be given once: which of two values is meant, nobody knows.
type onceFlag struct {
	pflag.Value
	given bool
}

// Set sets the value, the first time.
func (o *onceFlag) Set(v string) error {
	if o.given {
		return fmt.Errorf("given twice, it was %s", o.Value)
	}
	o.given = true
	return o.Value.Set(v)
}

// repeatable reports whether a flag may come again, for something else.
func repeatable(fl *pflag.Flag) bool {
	switch fl.Value.(type) {
	case *topicFlags, *configFlags:
		return true
	}
	return false
}

// int32Flag is a flag of 32 bits, which must be in range.
type int32Flag int32

// String returns the number.
func (n *int32Flag) String() string { return strconv.Itoa(int(*n)) }

// Set sets the number.
func (n *int32Flag) Set(v string) error {
	x, err := strconv.ParseInt(v, 10, 32)
	if err != nil {
		return fmt.Errorf("want a number of at most 2147483647")
	}
	*n = int32Flag(x)
	return nil
}

// Type names what it takes.
func (n *int32Flag) Type() string { return "number" }

// delayFlag is a flag for a time of which none is -1 to the library, where 0 is the default.
type delayFlag time.Duration

// String returns the time.
func (d *delayFlag) String() string { return max(0, time.Duration(*d)).String() }

// Set sets the time.
func (d *delayFlag) Set(v string) error {
	x, err := time.ParseDuration(v)
	if err != nil || x < 0 {
		return errors.New("want a time like 3s, or 0")
	}
	if *d = delayFlag(x); x == 0 {
		*d = -1
	}
	return nil
}

// Type names what it takes.
func (d *delayFlag) Type() string { return "duration" }

// levelFlag is a flag for a level of the log.
type levelFlag struct{ *zapcore.Level }

// Set sets the level.
func (l levelFlag) Set(v string) error {
	if err := l.Level.Set(v); err != nil {
		return fmt.Errorf("want debug, info, warn or error")
	}
	return nil
}

// Type names what it takes.
func (l levelFlag) Type() string { return "level" }

// formatFlag is a flag for the format of the log.
type formatFlag bool

// String returns the name of the format.
func (f *formatFlag) String() string {
	if *f {
		return "json"
	}
	return "text"
}

// Set sets the format.
func (f *formatFlag) Set(v string) error {
	if v != "text" && v != "json" {
		return errors.New("want text or json")
	}
	*f = v == "json"
	return nil
}

// Type names what it takes.
func (f *formatFlag) Type() string { return "format" }

// addresses is a flag for one address or more.
type addresses []string

// String returns them with commas between.
func (a *addresses) String() string { return strings.Join(*a, ",") }

// Set sets them all.
func (a *addresses) Set(v string) error {
	list := strings.Split(v, ",")
	if slices.Contains(list, "") {
		return errors.New("want host:port, or several with commas between")
	}
	*a = list
	return nil
}

// Type names what it takes.
func (a *addresses) Type() string { return "addresses" }

// topicFlag is a topic to create.
type topicFlag struct {
	text   string
	name   string
	config samsa.TopicConfig
}

// topicFlags is a flag that may come again, for another topic.
type topicFlags []topicFlag

// String returns all as they were given.
func (t *topicFlags) String() string {
	texts := make([]string, len(*t))
	for i, f := range *t {
		texts[i] = f.text
	}
	return strings.Join(texts, " ")
}

// Set adds a topic, name:partitions or a name alone, with configs behind commas. What follows a comma and has no = belongs to the
// value before: cleanup.policy=compact,delete.
func (t *topicFlags) Set(v string) error {
	head, rest, _ := strings.Cut(v, ",")
	name, count, counted := strings.Cut(head, ":")
	if err := topic.CheckName(name); err != nil {
		return err
	}
	tf := topicFlag{text: v, name: name}
	if counted {
		n, err := strconv.Atoi(count)
		if err != nil || n < 1 {
			return errors.New("want name:partitions, with a number from 1 on")
		}
		tf.config.Partitions = n
	}
	for _, other := range *t {
		if other.name == name {
			return fmt.Errorf("the topic %s is given twice", name)
		}
	}
	configs := configFlags{set: tf.config.SetConfig}
	for _, c := range splitConfigs(rest) {
		if err := configs.Set(c); err != nil {
			return err
		}
	}
	*t = append(*t, tf)
	return nil
}

// splitConfigs splits a=1,b=x,y into a=1 and b=x,y.
func splitConfigs(s string) []string {
	var list []string
	for _, part := range strings.Split(s, ",") {
		switch {
		case len(list) > 0 && !strings.Contains(part, "="):
			list[len(list)-1] += "," + part
		case s != "":
			list = append(list, part)
		}
	}
	return list
}

// Type names what it takes.
func (t *topicFlags) Type() string { return "topic" }

// configFlags is a flag that may come again, for another config.
type configFlags struct {
	set    func(name, value string) error
	names  []string
	values []string // name=value
}

// String returns what was given.
func (c *configFlags) String() string { return strings.Join(c.values, " ") }

// Set sets a config, name=value.
func (c *configFlags) Set(v string) error {
	name, _, ok := strings.Cut(v, "=")
	if !ok {
		return errors.New("want name=value")
	}
	if slices.Contains(c.names, name) {
		return fmt.Errorf("%s is given twice", name)
	}
	if err := c.set(name, v[len(name)+1:]); err != nil {
		return err
	}
	c.names, c.values = append(c.names, name), append(c.values, v)
	return nil
}

// Type names what it takes.
func (c *configFlags) Type() string { return "config" }
