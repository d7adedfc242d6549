package kafka

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/samsa-go/samsa/log"
)

// kafkaCode is a line of testdata/error_codes.txt.
type kafkaCode struct {
	name      string
	retriable bool
}

// kafkaCodes reads Kafka's own table.
func kafkaCodes(t *testing.T) map[Code]kafkaCode {
	t.Helper()
	table, err := os.ReadFile("testdata/error_codes.txt")
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[Code]kafkaCode)
	for line := range strings.Lines(string(table)) {
		var code Code
		var name, retriable string
		if strings.HasPrefix(line, "#") {
			continue
		}
		if _, err := fmt.Sscan(line, &code, &name, &retriable); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		all[code] = kafkaCode{name, retriable == "retriable"}
	}
	if len(all) != 138 {
		t.Fatalf("Kafka has %d codes", len(all))
	}
	return all
}

// Each code means what it means to Kafka's own clients: it is retriable if it is there, but for what no
// caller in this process can wait for.
func TestEveryCodeHasItsFamily(t *testing.T) {
	known := kafkaCodes(t)
	inOneProcess := map[Code]string{
		2:   "it was not damaged on its way",
		3:   "there is no metadata that may be old",
		100: "there is no metadata that may be old",
	}
	families := []error{log.ErrInvalid, log.ErrUnknown, log.ErrFenced, log.ErrTooLarge, log.ErrUnavailable, log.ErrUnsupported}
	for code, kafkas := range known {
		if code == 0 {
			continue
		}
		err := fmt.Errorf("orders/1: %w", code)
		if m := meanings[code]; m.name != kafkas.name || !strings.Contains(err.Error(), kafkas.name) {
			t.Errorf("%v is %q in Kafka", err, kafkas.name)
		}
		if got := log.Retriable(err); got != (kafkas.retriable && inOneProcess[code] == "") {
			t.Errorf("%v: retriable %t, in Kafka %t", err, got, kafkas.retriable)
		}
		n := 0
		for _, f := range families {
			if errors.Is(err, f) {
				n++
			}
		}
		if n > 1 {
			t.Errorf("%v is of %d families", err, n)
		}
		if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v looks as if the caller's context had ended", err)
		}
		if got, ok := chosenCode(err); !ok || got != int16(code) {
			t.Errorf("clients get %d for %v", got, err)
		}
	}
	for code := range meanings {
		if _, ok := known[code]; !ok {
			t.Errorf("Kafka has no code %d", code)
		}
	}
}

func TestCodesThatKafkaDoesNotHave(t *testing.T) {
	if got, _ := chosenCode(Code(0)); got != codeUnknownServerError || Code(0).Error() != Code(-1).Error() || !errors.Is(Code(0), log.ErrOutcomeUnknown) {
		t.Errorf("0 is %d, %v", got, Code(0))
	}
	if c := Code(999); log.Retriable(c) || c.Unwrap() != nil || c.Error() != "Kafka error code 999" {
		t.Errorf("got %v, which is %v", c, c.Unwrap())
	}
}

// What a client is told of an error means the error again, where one code has one meaning.
func TestCodesMeanWhatTheyAreGivenFor(t *testing.T) {
	several := map[Code]string{
		-1: "is for what clients are not to try again",
		3:  "is for topics and their partitions",
		7:  "means to others that their own context has ended",
		13: "is for what ends a connection",
		44: "is what comes nearest to a broker that is read only",
		56: "is for all that is wrong with the store",
		69: "is for a group of another kind too: none of the kind that was asked for has the name",
		78: "is what comes nearest to an offset that is not there",
	}
	for _, c := range codes {
		code := Code(c.code)
		if meant := code.Unwrap(); several[code] == "" && !errors.Is(c.err, meant) && !errors.Is(meant, c.err) {
			t.Errorf("%v is answered with %v, which means %v", c.err, code, meant)
		}
	}
}
