package samsatest_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/samsatest"
)

// TestOfTheReadme is the test that the README shows, word by word.
func TestOfTheReadme(t *testing.T) {
	cases := map[string]func(b *samsa.Broker) *samsatest.Fault{
		"the receipt is refused": func(b *samsa.Broker) *samsatest.Fault {
			return samsatest.Appends(b, "receipts").Next(1).Fail()
		},
		"the order cannot be read": func(b *samsa.Broker) *samsatest.Fault {
			return samsatest.Fetches(b, "orders").Next(1).Fail()
		},
	}
	b := samsatest.New(t, samsatest.Topic("orders", 3), samsatest.Topic("receipts", 1))
	samsatest.Produce(t, b, "orders", "7=tea") // key=value
	for name, disturb := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := samsatest.Fork(t, b)
			samsatest.Trace(t, b) // what happened, if the test fails
			fault := disturb(b)
			bill(t, b)
			fault.Wait(t)
			samsatest.WaitCommitted(t, b, "billing", "orders", 1) // no sleeps
			samsatest.Equal(t, b, "receipts", []string{"7=paid"})
		})
	}
}

// bill is the code under test: it begins anew when the broker is unavailable, until all is
// billed.
func bill(t *testing.T, b *samsa.Broker) {
	t.Helper()
	c := consumer(t, b, samsa.ConsumerOptions{
		Group: "billing", Topics: []string{"orders"}, Member: samsa.MemberOptions{ManualCommit: true},
	})
	var orders []samsa.Record
	err := samsa.ErrUnavailable
	for errors.Is(err, samsa.ErrUnavailable) {
		if len(orders) == 0 {
			if orders, err = c.Poll(ctx); err != nil {
				continue
			}
		}
		err = b.Update(ctx, func(tx *samsa.Tx) error {
			for _, order := range orders {
				receipt := samsa.Record{Topic: "receipts", Key: order.Key, Value: []byte("paid")}
				if err := tx.Produce(receipt); err != nil {
					return err
				}
			}
			return tx.CommitRecords(c, orders...)
		})
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestTheReadmeShowsThisTest(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile("readme_test.go")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(readme), "## Testing your code")
	_, snippet, _ := strings.Cut(section, "```go\n")
	snippet, _, found := strings.Cut(snippet, "```")
	if !found {
		t.Fatal(`README.md shows no test in "Testing your code"`)
	}
	_, body, _ := strings.Cut(string(source), "func TestOfTheReadme")
	body, _, _ = strings.Cut(body, "\n}\n")
	for line := range strings.Lines(snippet) {
		// The comments stand where gofmt wants them, which is not the same in both.
		want := words(line)
		if want == "..." || want == "" {
			continue
		}
		before := body
		for {
			var got string
			if got, body, found = strings.Cut(body, "\n"); !found && got == "" {
				t.Fatalf("README.md shows %q, which does not come in\n%s", want, before)
			}
			if words(got) == want {
				break
			}
		}
	}
}

// words is a line with a single space between its words.
func words(line string) string { return strings.Join(strings.Fields(line), " ") }
