package e2e

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/samsatest"
)

// lines are the messages of a level and more, with the fields named.
func lines(logs *observer.ObservedLogs, fields ...string) string {
	var out []string
	for _, e := range logs.TakeAll() {
		line := e.Level.String() + " " + e.Message
		values := e.ContextMap()
		for _, f := range fields {
			if v, ok := values[f]; ok {
				line += fmt.Sprintf(" %s=%v", f, v)
			}
		}
		out = append(out, line)
	}
	return strings.Join(out, "\n")
}

// A broker in good health tells at info what an operator wants to know, and nothing else; at
// debug level there is nothing either.
func TestLogLines(t *testing.T) {
	core, logs := observer.New(zap.DebugLevel)
	opts := samsa.Options{Logger: zap.New(core), Groups: samsa.GroupOptions{InitialRebalanceDelay: -1}}
	dir := filepath.Join(t.TempDir(), "data")
	ctx := context.Background()
	want := func(when, want string, fields ...string) {
		t.Helper()
		if got := lines(logs, fields...); got != want {
			t.Errorf("%s:\n%s\nwant\n%s", when, got, want)
		}
	}
	b := mustOpen(t, dir, opts)
	if got := logs.All()[0].ContextMap(); got["took"] == nil {
		t.Errorf("opened: %v", got)
	}
	want("new", fmt.Sprintf("info broker opened data=%s format=2 topics=0 partitions=0 groups=0 damaged=0", dir),
		"data", "format", "topics", "partitions", "groups", "damaged")
	mustCreate(t, b, "orders", 1)
	if err := b.Topics().Alter(ctx, "orders", func(c *samsa.TopicConfig) error { return c.SetConfig("retention.ms", "5000") }); err != nil {
		t.Fatal(err)
	}
	mustCreate(t, b, "other", 1)
	if err := b.Topics().Delete(ctx, "other"); err != nil {
		t.Fatal(err)
	}
	want("topics", `info topic created topic=orders partitions=1 configs=[]
info topic altered topic=orders partitions=1 changed=[retention.ms=5000]
info topic created topic=other partitions=1 configs=[]
info topic deleted topic=other`, "topic", "partitions", "configs", "changed")

	c, err := b.NewConsumer(ctx, samsa.ConsumerOptions{Group: "billing", Topics: []string{"orders"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Produce(ctx, samsa.Record{Topic: "orders", Key: []byte("a"), Value: []byte("x")}); err != nil {
		t.Fatal(err)
	}
	records, err := c.Poll(patient(t))
	if err == nil {
		err = c.CommitRecords(ctx, records...)
	}
	if err != nil {
		t.Fatal(err)
	}
	mustClose(t, c)
	tp := samsa.TopicPartition{Topic: "orders"}
	if err := b.Groups().AlterOffsets(ctx, "billing", samsa.To(samsa.Earliest()), tp); err != nil {
		t.Fatal(err)
	}
	if err := b.Groups().Delete(ctx, "billing"); err != nil {
		t.Fatal(err)
	}
	mustClose(t, b)
	got := lines(logs, "group", "generation", "members", "reason", "offsets", "data")
	if want := `info group rebalanced group=billing generation=1 members=1 reason=member X joins
info group rebalanced group=billing generation=2 members=0 reason=member X leaves
info group offsets altered group=billing offsets=[orders/0: 1 to 0]
info group deleted group=billing
info broker closed data=` + dir; regexp.MustCompile(`member [^ ]+`).ReplaceAllString(got, "member X") != want {
		t.Errorf("a group, and the end:\n%s\nwant\n%s", got, want)
	}
}

// What nobody waits for and is lost is told with the name of who has produced it.
func TestLogNamesTheProducer(t *testing.T) {
	core, logs := observer.New(zap.InfoLevel)
	b := samsatest.New(t, samsatest.Topic("t", 1), samsatest.Options(samsa.Options{Logger: zap.New(core)}))
	logs.TakeAll()
	lost := samsatest.Appends(b, "t").By("import").Fail()
	for _, opts := range []samsa.ProducerOptions{{Acks: samsa.AckNone, ClientID: "import"}, {Acks: samsa.AckNone}} {
		p := newProducer(t, b, opts)
		p.Produce(t.Context(), samsatest.Record("t", "x"), nil)
		mustClose(t, p)
	}
	want := "warn records were lost that nobody waits for client=import partition=t/0 records=1"
	if got := lines(logs, "client", "partition", "records"); got != want || lost.Hits() != 1 {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}

// Who has no zap gets the same through slog, and both at once are a mistake.
func TestSlog(t *testing.T) {
	var out bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&out, nil))
	b := mustOpen(t, "", samsa.Options{InMemory: true, Slog: logger.With("service", "shop")})
	mustCreate(t, b, "orders", 1)
	mustClose(t, b)
	for _, want := range []string{
		`level=INFO msg="broker opened" service=shop data="in memory"`, `level=INFO msg="topic created" service=shop topic=orders`,
		"partitions=1", `msg="broker closed"`,
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %s in\n%s", want, &out)
		}
	}
	_, err := samsa.Open("", samsa.Options{InMemory: true, Slog: logger, Logger: zap.NewNop()})
	checkWrong(t, err, []string{"Options.Slog"})
}
