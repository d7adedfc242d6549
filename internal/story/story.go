// Package story plays the stories that tests of state machines have in testdata: text that people read, which
// says what happens to a machine, and behind "->" what comes of it.
package story

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/samsa-go/samsa/log"
)

var update = flag.Bool("update", false, "write the stories' outcomes; read each of them before you commit it")

// Machine is a state machine, and who drives it as far as a story needs that.
type Machine interface {
	// Begin begins anew, as the words say that follow the first one of a line that is no event.
	Begin(words []string)
	// PassTime lets time pass until Teller.Now is to: what it brings on the way is told with its hour.
	PassTime(to time.Duration)
	// Act is an event. There is one word at least.
	Act(words []string)
	// Check returns what is not as it must always be.
	Check() error
}

// Teller tells a story. It knows what time it is there.
type Teller struct {
	Now time.Duration
	out strings.Builder
}

// At returns the hour d of the story.
func (t *Teller) At(d time.Duration) time.Time { return time.Unix(1000, 0).UTC().Add(d) }

// Time returns the present hour of the story.
func (t *Teller) Time() time.Time { return t.At(t.Now) }

// Since returns which hour of the story at is.
func (t *Teller) Since(at time.Time) time.Duration { return at.Sub(t.At(0)) }

// Tell tells what has come of an event.
func (t *Teller) Tell(format string, args ...any) {
	t.out.WriteString(strings.TrimRight(fmt.Sprintf("-> "+format, args...), " ") + "\n")
}

// Play plays testdata/*.txt, each with a machine of its own. What is told must be what the text says; with -update
// it is what the text says from then on. Lines are
//
//	# a remark
//	at 3s VERB WORD...
//	-> what came of it
//
// where "at 3s" alone lets time pass, and a line that begins otherwise begins anew.
func Play(t *testing.T, machine func(t *Teller) Machine) { PlayIn(t, "testdata", machine) }

// PlayIn is Play of the stories in a directory.
func PlayIn(t *testing.T, dir string, machine func(t *Teller) Machine) {
	files, err := filepath.Glob(filepath.Join(dir, "*.txt"))
	if err != nil || len(files) == 0 {
		t.Fatal("no stories", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var teller Teller
			play(t, &teller, machine(&teller), string(text))
			played := teller.out.String()
			if *update {
				if err := os.WriteFile(file, []byte(played), 0o666); err != nil {
					t.Fatal(err)
				}
			}
			if played != string(text) {
				t.Errorf("the story goes otherwise:\n%s", played)
			}
		})
	}
}

func play(t *testing.T, teller *Teller, m Machine, text string) {
	m.Begin(nil)
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "->") {
			continue
		}
		teller.out.WriteString(line)
		words := strings.Fields(line)
		switch {
		case len(words) == 0 || words[0] == "#":
			continue
		case words[0] != "at":
			teller.Now = 0
			m.Begin(words[1:])
			continue
		case len(words) == 1:
			t.Fatalf("%q: no time", line)
		}
		d, err := time.ParseDuration(words[1])
		if err != nil || d < teller.Now {
			t.Fatalf("%q: no time, or one that is past: %v", line, err)
		}
		m.PassTime(d)
		teller.Now = d
		if len(words) > 2 {
			m.Act(words[2:])
		}
		if err := m.Check(); err != nil {
			t.Fatalf("after %q: %v", line, err)
		}
	}
}

// Options are the words of an event that have a name: session=10s.
type Options map[string]string

// Read returns the words with a name, and the others.
func Read(words []string) (o Options, rest []string) {
	o = make(Options)
	for _, w := range words {
		if name, value, ok := strings.Cut(w, "="); ok {
			o[name] = value
		} else {
			rest = append(rest, w)
		}
	}
	return o, rest
}

// Or returns the option of that name, or what it is otherwise.
func (o Options) Or(name, otherwise string) string {
	if v, ok := o[name]; ok {
		return v
	}
	return otherwise
}

// Duration is Or of a duration. What is none panics.
func (o Options) Duration(name string, otherwise time.Duration) time.Duration {
	v, ok := o[name]
	if !ok {
		return otherwise
	}
	d, err := time.ParseDuration(v)
	if err != nil {
		panic(err)
	}
	return d
}

// Int is Or of a number. What is none panics.
func (o Options) Int(name string, otherwise int) int {
	v, ok := o[name]
	if !ok {
		return otherwise
	}
	n, err := strconv.Atoi(v)
	if err != nil {
		panic(err)
	}
	return n
}

// Partitions reads orders/0,1+payments/0.
func Partitions(text string) (tps []log.TopicPartition) {
	if text == "" {
		return nil
	}
	for part := range strings.SplitSeq(text, "+") {
		topic, indexes, _ := strings.Cut(part, "/")
		for index := range strings.SplitSeq(indexes, ",") {
			i, err := strconv.Atoi(index)
			if err != nil {
				panic(err)
			}
			tps = append(tps, log.TopicPartition{Topic: topic, Partition: int32(i)})
		}
	}
	return tps
}

// Short returns err without the first of the prefixes that it has, or ok for none.
func Short(err error, prefixes ...string) string {
	if err == nil {
		return "ok"
	}
	for _, p := range prefixes {
		if text, ok := strings.CutPrefix(err.Error(), p); ok {
			return text
		}
	}
	return err.Error()
}
