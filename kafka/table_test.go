package kafka

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa"
)

// Every request is answered in every version that is advertised, with something that the
// client can read.
func TestEveryVersionIsAnswered(t *testing.T) {
	k := start(t, samsa.Options{}, Options{})
	k.create("web_log", samsa.TopicConfig{Partitions: 2})
	for _, e := range table {
		for version := e.min; version <= e.max; version++ {
			t.Run(fmt.Sprintf("%s/%d", e.key.Name(), version), func(t *testing.T) {
				c := k.dial()
				c.t = t
				req := e.key.Request()
				if d, ok := req.(interface{ Default() }); ok {
					d.Default()
				}
				if p, ok := req.(*kmsg.ProduceRequest); ok {
					p.Acks = 1 // without it there would be no answer
				}
				c.send(version, req)
				c.receive()
			})
		}
	}
}

// docs/kafka-clients.md says what is served, in which versions.
func TestPageNamesTheTable(t *testing.T) {
	page, err := os.ReadFile("../docs/kafka-clients.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range table {
		want := fmt.Sprintf("%s %d-%d", e.key.Name(), e.min, e.max)
		if e.min == e.max {
			want = fmt.Sprintf("%s %d", e.key.Name(), e.min)
		}
		if !regexp.MustCompile(`(^|[ ,|])` + want + `[ ,|]`).Match(page) {
			t.Errorf("docs/kafka-clients.md does not say %s", want)
		}
	}
}

func TestTable(t *testing.T) {
	if !slices.IsSortedFunc(table, func(a, b entry) int { return int(a.key - b.key) }) {
		t.Error("the table is not sorted by key")
	}
	for _, e := range table {
		if e.max > e.key.Request().MaxVersion() || e.min > e.max || e.min < 0 {
			t.Errorf("%s: versions %d to %d, the codec knows up to %d", e.key.Name(), e.min, e.max, e.key.Request().MaxVersion())
		}
		if (e.answer == nil) == (e.begin == nil) {
			t.Errorf("%s: needs one of answer and begin", e.key.Name())
		}
	}
}

// The answer to ApiVersions is the table, whatever the version; one that is not known gets
// version 0 and is told which are.
func TestApiVersions(t *testing.T) {
	k := start(t, samsa.Options{}, Options{})
	c := k.dial()
	for version := int16(0); version <= 5; version++ {
		resp := ask[*kmsg.ApiVersionsResponse](c, version, kmsg.NewPtrApiVersionsRequest())
		if resp.ErrorCode != 0 || len(resp.ApiKeys) != len(table) {
			t.Fatalf("version %d: error %d, %d keys", version, resp.ErrorCode, len(resp.ApiKeys))
		}
		for i, got := range resp.ApiKeys {
			if want := table[i]; got.ApiKey != want.key.Int16() || got.MinVersion != want.min || got.MaxVersion != want.max {
				t.Errorf("version %d: got %+v, want %s %d to %d", version, got, want.key.Name(), want.min, want.max)
			}
		}
	}
	c.write([]byte{0, 0, 0, 12, 0, 18, 0x7f, 0xff, 0, 0, 0, 99, 0, 0, 0xde, 0xad}) // version 32767, body unknown
	var resp kmsg.ApiVersionsResponse
	if err := resp.ReadFrom(c.receiveFrame(99)); err != nil {
		t.Fatal(err)
	}
	if resp.ErrorCode != codeUnsupportedVersion || len(resp.ApiKeys) != 1 || resp.ApiKeys[0].ApiKey != 18 || resp.ApiKeys[0].MaxVersion != 5 {
		t.Errorf("got %+v", resp)
	}
	ask[*kmsg.ApiVersionsResponse](c, 3, kmsg.NewPtrApiVersionsRequest()) // the client tries again
}
