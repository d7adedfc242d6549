package serve

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"

	"github.com/spf13/pflag"

	"github.com/samsa-go/samsa/cmd/samsa/internal/backend"
)

// Setting is one flag of serve as it was resolved.
type Setting struct {
	Name   string `json:"name"`
	Value  string `json:"value"`
	Source string `json:"source"` // default, file, environment or flag
}

// Where a setting comes from.
const (
	fromDefault     = "default"
	fromFile        = "file"
	fromEnvironment = "environment"
	fromFlag        = "flag"
)

// EnvName is the variable of the environment that sets the flag of that name: --log-level is SAMSA_LOG_LEVEL.
func EnvName(flag string) string {
	return "SAMSA_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// Resolve adds to what the flags in fs say, once they are parsed: what a flag does not say the environment may, and what that does
// not, the file of --config-file. It returns all settings, by name. The error names every mistake and where it was made.
//
// A flag that may be repeated is taken from one source as a whole. In the environment its values have blanks between; in the file it has
// a line for each.
func (c *Config) Resolve(fs *pflag.FlagSet, getenv func(string) string) ([]Setting, error) {
	sources := make(map[string]string)
	fs.Visit(func(fl *pflag.Flag) { sources[fl.Name] = fromFlag })
	var errs []error
	own := c.names()
	for _, name := range own {
		text := getenv(EnvName(name))
		if text == "" || sources[name] != "" {
			continue
		}
		values := []string{text}
		if repeatable(fs.Lookup(name)) {
			values = strings.Fields(text)
		}
		sources[name] = fromEnvironment
		for _, v := range values {
			if err := fs.Lookup(name).Value.Set(v); err != nil {
				errs = append(errs, fmt.Errorf("%s=%q: %w", EnvName(name), text, err))
			}
		}
	}
	if c.file != "" {
		errs = append(errs, c.readFile(fs, own, sources))
	}
	c.delaySet = sources["group-initial-rebalance-delay"] != ""
	errs = append(errs, c.check())
	if from := sources["registry"]; c.http == "" && from != "" && from != fromEnvironment { // which is for other commands, too
		errs = append(errs, errors.New("--registry is for --http, which is not given"))
	}
	if sources["registry"] == fromFlag && backend.HasPassword(c.registry.url) {
		errs = append(errs, fmt.Errorf("--registry: %w: say it in %s, or in the file of --config-file", backend.ErrPassword, EnvName("registry")))
	}
	if err := c.registry.open(); err != nil {
		errs = append(errs, fmt.Errorf("--registry: %w", err))
	}
	if c.backup != "" {
		var err error
		if c.target, err = backend.OpenTarget(c.backup, getenv); err != nil {
			errs = append(errs, fmt.Errorf("--backup: %w", err))
		}
	}
	return settings(fs, own, sources), errors.Join(errs...)
}

// names returns the names of the flags that Define defines, sorted.
func (c *Config) names() []string {
	var names []string
	fs := pflag.NewFlagSet("", pflag.ContinueOnError)
	new(Config).Define(fs)
	fs.VisitAll(func(fl *pflag.Flag) { names = append(names, fl.Name) })
	return names
}

// Limits of a config file. One that is beyond them is another file, by mistake.
const (
	maxConfigFile = 1 << 20
	maxMistakes   = 10 // that are told
)

// readFile sets what the file has and sources has not.
func (c *Config) readFile(fs *pflag.FlagSet, own []string, sources map[string]string) error {
	info, err := os.Stat(c.file)
	if err == nil && !info.Mode().IsRegular() && c.file != os.DevNull { // to open a pipe, or to read from a terminal, waits for ever
		err = fmt.Errorf("%s is no regular file", c.file)
	}
	if err != nil {
		return fmt.Errorf("--config-file: %w", err)
	}
	f, err := os.Open(c.file)
	if err != nil {
		return fmt.Errorf("--config-file: %w", err)
	}
	defer func() { _ = f.Close() }()
	text, err := io.ReadAll(io.LimitReader(f, maxConfigFile+1))
	if err == nil && len(text) > maxConfigFile {
		err = fmt.Errorf("%s has more than %d bytes", c.file, maxConfigFile)
	}
	if err != nil {
		return fmt.Errorf("--config-file: %w", err)
	}
	known := make(map[string]bool)
	for _, name := range own {
		known[name] = name != "config-file"
	}
	var errs []error
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, maxConfigFile+1)
	for n := 1; len(errs) < maxMistakes && lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		switch {
		case !ok:
			errs = append(errs, fmt.Errorf("%s:%d: want name = value", c.file, n)) // and no word of it: it may be a password
			continue
		case !known[name]:
			errs = append(errs, fmt.Errorf("%s:%d: there is no setting %.100q", c.file, n, name))
			continue
		case sources[name] != "" && sources[name] != fromFile:
			continue
		default:
			sources[name] = fromFile
			err = fs.Lookup(name).Value.Set(value)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s:%d: %.100s: %w", c.file, n, line, err))
		}
	}
	return errors.Join(append(errs, lines.Err())...)
}

// saidDefault finds what the text of a flag says of its default, which the library has and 0 stands for.
var saidDefault = regexp.MustCompile(`\(default:? ([^()]+)\)$`)

func isZero(value string) bool { return value == "" || value == "0" || value == "0s" }

func settings(fs *pflag.FlagSet, own []string, sources map[string]string) []Setting {
	list := make([]Setting, 0, len(own))
	for _, name := range own {
		s := Setting{Name: name, Value: fs.Lookup(name).Value.String(), Source: sources[name]}
		if s.Source == "" {
			s.Source = fromDefault
			if said := saidDefault.FindStringSubmatch(fs.Lookup(name).Usage); said != nil && isZero(s.Value) && name != "data" {
				s.Value = said[1]
			}
		}
		list = append(list, s)
	}
	return list
}
