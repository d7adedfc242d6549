package kafka

import (
	"testing"

	"github.com/samsa-go/samsa"
	door "github.com/samsa-go/samsa/kafka"
)

// difference is an answer of Kafka's, ours, and why it is another one.
type difference struct{ theirs, ours, why string }

// round is some questions, and what comes before their names in the list of differences, if that is not the same in all rounds.
type round struct {
	name string
	ask  func(t *testing.T, addr string) []note
}

// asIn asks the Kafka at addr and us, and checks that the answers are the same but for those differences, each of which is there.
// is says whether an answer is what a difference says of it.
func asIn(t *testing.T, addr string, differences map[string]difference, is func(answer, said string) bool, rounds ...round) {
	t.Helper()
	asWith(t, addr, samsa.Options{}, differences, is, rounds...)
}

// asWith is asIn of a broker of ours with these options.
func asWith(t *testing.T, addr string, opts samsa.Options, differences map[string]difference, is func(answer, said string) bool, rounds ...round) {
	opts.InMemory = true
	b, err := samsa.Open("", opts)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := b.Close(); err != nil { // closes the door too
			t.Error(err)
		}
	}()
	srv, err := door.Listen(b, "127.0.0.1:0", door.Options{})
	if err != nil {
		t.Fatal(err)
	}
	left := make(map[string]bool)
	for what := range differences {
		left[what] = true
	}
	for _, r := range rounds {
		theirs, ours := r.ask(t, addr), r.ask(t, srv.Addr().String())
		if len(theirs) != len(ours) {
			t.Fatalf("Kafka was asked %d things, we %d", len(theirs), len(ours))
		}
		t.Logf("%s%d answers", r.name, len(ours))
		for i, n := range ours {
			if n.what != theirs[i].what {
				t.Fatalf("Kafka was asked %q, we %q", theirs[i].what, n.what)
			}
			if n.answer == theirs[i].answer {
				continue
			}
			what := r.name + n.what
			d, known := differences[what]
			if !known {
				d, known = differences[n.what]
				delete(left, n.what)
			}
			if !known || !is(theirs[i].answer, d.theirs) || !is(n.answer, d.ours) {
				t.Errorf("%s\n\tKafka answers %s\n\twe answer     %s", what, theirs[i].answer, n.answer)
			}
			delete(left, what)
		}
	}
	for what := range left {
		t.Errorf("%s: nothing differs any more", what)
	}
}

// whole is for differences that say the whole answer; others say a part, with strings.Contains.
func whole(answer, said string) bool { return answer == said }
