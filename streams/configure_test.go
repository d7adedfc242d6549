package streams

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/samsa-go/samsa/log"
)

// readTopology reads "0: lines > words | 1: words* ~counts; lines+words*": subtopology 0 reads the topic lines and writes
// words; 1 reads words, which is made for it, and has a changelog. What is behind a semicolon is copartitioned. A
// number behind * is how many partitions the topic asks for.
func readTopology(text string) Topology {
	var t Topology
	for part := range strings.SplitSeq(text, "|") {
		id, rest, _ := strings.Cut(strings.TrimSpace(part), ":")
		s := Subtopology{ID: id}
		rest, sets, _ := strings.Cut(rest, ";")
		inputs, sinks, _ := strings.Cut(rest, ">")
		s.Sinks = strings.Fields(sinks)
		for w := range strings.FieldsSeq(inputs) {
			name, n, made := strings.Cut(w, "*")
			switch partitions, _ := strconv.Atoi(n); {
			case made:
				s.Repartition = append(s.Repartition, InternalTopic{Name: name, Partitions: int32(partitions)})
			case strings.HasPrefix(w, "~"):
				s.Changelogs = append(s.Changelogs, InternalTopic{Name: w[1:], Configs: []TopicConfig{{"cleanup.policy", "compact"}}})
			default:
				s.Sources = append(s.Sources, name)
			}
		}
		for set := range strings.FieldsSeq(sets) {
			s.Copartition = append(s.Copartition, strings.Split(set, "+"))
		}
		t.Subtopologies = append(t.Subtopologies, s)
	}
	return t
}

// readTopics reads "lines=2 words=3".
func readTopics(text string) Topics {
	has := make(map[string]int32)
	for w := range strings.FieldsSeq(text) {
		name, n, _ := strings.Cut(w, "=")
		partitions, err := strconv.Atoi(n)
		if err != nil {
			panic(err)
		}
		has[name] = int32(partitions)
	}
	return func(name string) (int32, bool) {
		n, ok := has[name]
		return n, ok
	}
}

func tellConfigured(c Configured) string {
	var words []string
	for _, s := range c.Subtopologies {
		words = append(words, fmt.Sprintf("%s has %d", s.ID, s.Tasks))
	}
	var made []string
	for _, t := range c.Create {
		made = append(made, fmt.Sprintf("%s=%d", t.Name, t.Partitions))
	}
	if len(made) > 0 {
		words = append(words, "make "+strings.Join(made, " "))
	}
	if c.Problem != nil {
		words = append(words, c.Problem.String())
	}
	return strings.Join(words, "; ")
}

func TestConfigure(t *testing.T) {
	for _, c := range []struct{ topology, topics, want string }{
		{"0: lines", "lines=3", "0 has 3"},
		{"0: lines ~log", "lines=3", "0 has 3; make log=3; MISSING_INTERNAL_TOPICS: Internal topics are missing: log"},
		{"0: lines ~log", "lines=3 log=3", "0 has 3"},
		{"0: lines ~log", "lines=3 log=2", "INCORRECTLY_PARTITIONED_TOPICS: Existing topic log has different number of partitions: expected 3, found 2"},
		{"0: lines more", "lines=3 more=5", "0 has 5"},
		{"0: lines more", "", "MISSING_SOURCE_TOPICS: Source topics lines, more are missing."},
		{"0: e d c b a", "c=1", "MISSING_SOURCE_TOPICS: Source topics a, b, d and 1 additional topics are missing."},
		{"0: lines > words | 1: words* ~log", "lines=3", "0 has 3; 1 has 3; make log=3 words=3; MISSING_INTERNAL_TOPICS: Internal topics are missing: log, words"},
		{"0: lines > words | 1: words*7", "lines=3", "0 has 3; 1 has 7; make words=7; MISSING_INTERNAL_TOPICS: Internal topics are missing: words"},
		{"0: lines > words | 1: words*7", "lines=3 words=3", "INCORRECTLY_PARTITIONED_TOPICS: Existing topic words has different number of partitions: expected 7, found 3"},
		// The order of the parts does not matter, and who writes it may read what is not decided yet.
		{"0: b* > a | 1: c* > b | 2: lines > c | 3: a*", "lines=4", "0 has 4; 1 has 4; 2 has 4; 3 has 4; make a=4 b=4 c=4; " +
			"MISSING_INTERNAL_TOPICS: Internal topics are missing: a, b, c"},
		{"0: lines > words | 1: more > words | 2: words*", "lines=2 more=5 words=2", "0 has 2; 1 has 5; 2 has 2"},
		// Copartitioned with what somebody else made.
		{"0: lines > words | 1: words* more; words+more", "lines=3 more=5", "0 has 3; 1 has 5; make words=5; MISSING_INTERNAL_TOPICS: Internal topics are missing: words"},
		{"0: lines > words | 1: words*3 more; words+more", "lines=3 more=5", "INCORRECTLY_PARTITIONED_TOPICS: " +
			"Number of partitions [3] of repartition topic [words] doesn't match number of partitions [5] of the source topic."},
		{"0: lines more; lines+more", "lines=3 more=5", "INCORRECTLY_PARTITIONED_TOPICS: " +
			"Following topics do not have the same number of partitions: [{lines=3, more=5}]"},
		{"0: lines more; lines+more", "lines=5 more=5", "0 has 5"},
		{"0: lines more; lines more", "lines=3 more=5", "0 has 5"},
		// Copartitioned among themselves.
		{"0: lines > a | 1: more > b | 2: a* b*; a+b", "lines=3 more=5", "0 has 3; 1 has 5; 2 has 5; make a=5 b=5; " +
			"MISSING_INTERNAL_TOPICS: Internal topics are missing: a, b"},
		{"0: lines > a | 1: more > b | 2: a* b*2; a+b", "lines=3 more=5", "0 has 3; 1 has 5; 2 has 2; make a=2 b=2; " +
			"MISSING_INTERNAL_TOPICS: Internal topics are missing: a, b"},
		{"0: lines > a b | 2: a*3 b*2; a+b", "lines=3", "INCORRECTLY_PARTITIONED_TOPICS: " +
			"Following topics do not have the same number of partitions: [{a=3, b=2}]"},
		// What is copartitioned elsewhere does not matter, though it asks for another number.
		{"0: lines > a b c | 1: a*2 | 2: b*4 c*; b+c", "lines=3", "0 has 3; 1 has 2; 2 has 4; make a=2 b=4 c=4; " +
			"MISSING_INTERNAL_TOPICS: Internal topics are missing: a, b, c"},
		// What there is cannot be changed.
		{"0: lines > words | 1: words* more; words+more", "lines=3 more=5 words=3", "INCORRECTLY_PARTITIONED_TOPICS: " +
			"Existing topic words has different number of partitions: expected 5, found 3"},
	} {
		topology, err := readTopology(c.topology).Normal()
		if err != nil {
			t.Fatalf("%s: %v", c.topology, err)
		}
		got, err := Configure(&topology, readTopics(c.topics))
		if err != nil || tellConfigured(got) != c.want {
			t.Errorf("%s with %s:\ngot  %s, %v\nwant %s", c.topology, c.topics, tellConfigured(got), err, c.want)
		}
	}
}

func TestConfigureWhatCannotBe(t *testing.T) {
	for text, want := range map[string]string{
		"0: a* > b | 1: b* > a": "depend on each other",
		"0: lines | 1: words*":  "nobody writes repartition topic words",
	} {
		topology := readTopology(text)
		c, err := Configure(&topology, readTopics("lines=3"))
		if !errors.Is(err, log.ErrInvalidTopology) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %s, %v, want %s", text, tellConfigured(c), err, want)
		}
	}
}

func TestTopologiesThatCannotBe(t *testing.T) {
	lines := Subtopology{ID: "0", Sources: []string{"lines"}}
	with := func(change func(*Subtopology)) []Subtopology {
		s := lines
		change(&s)
		return []Subtopology{s}
	}
	for want, topology := range map[string]Topology{
		"epoch -1":                {Epoch: -1},
		`two subtopologies`:       {Subtopologies: []Subtopology{lines, {ID: "1", Sources: []string{"a"}}, lines}},
		`"1" reads no topic`:      {Subtopologies: []Subtopology{lines, {ID: "1", Sinks: []string{"a"}}}},
		"log of subtopology":      {Subtopologies: with(func(s *Subtopology) { s.Changelogs = []InternalTopic{{Name: "log", Partitions: 1}} })},
		"words of subtopology":    {Subtopologies: with(func(s *Subtopology) { s.Repartition = []InternalTopic{{Name: "words", Partitions: -1}} })},
		"does not read topic for": {Subtopologies: with(func(s *Subtopology) { s.Copartition = [][]string{{"lines", "for"}} })},
	} {
		if _, err := topology.Normal(); !errors.Is(err, log.ErrInvalidTopology) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	a, _ := readTopology("b: x | a: y*").Normal()
	b, _ := readTopology("a: y* | b: x").Normal()
	if !a.equal(&b) || a.Subtopologies[0].ID != "a" {
		t.Errorf("the order of what is said matters: %v", a)
	}
	if want := []string{"x", "y"}; !slices.Equal(a.required(), want) {
		t.Errorf("required are %v, want %v", a.required(), want)
	}
	if _, ok := a.reader("z"); ok {
		t.Error("nobody reads z")
	}
	if id, _ := a.reader("y"); id != "a" {
		t.Errorf("%q reads y", id)
	}
}
