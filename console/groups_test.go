package console_test

import (
	"fmt"
	"html"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/console"
	"github.com/samsa-go/samsa/samsatest"
)

var space = regexp.MustCompile(`\s+`)

// reads checks what people read on a page, in one line.
func (s site) reads(path string, texts ...string) {
	s.Helper()
	text := space.ReplaceAllString(s.text(path), " ")
	for _, want := range texts {
		if !strings.Contains(text, want) {
			s.Errorf("%s has no %q:\n%s", path, want, text)
		}
	}
}

// A group's page says how far it is in each partition, who is in it, and who has what; a topic's page says who reads it.
func TestGroupIsShown(t *testing.T) {
	b := samsatest.New(t, samsatest.Topic("orders", 2), samsatest.Topic("mails", 1))
	s := site{t, b, console.Handler(b, console.Options{})}
	c, err := b.NewConsumer(t.Context(), samsa.ConsumerOptions{
		Group: "shippers", ClientID: "shipper-7", Topics: []string{"orders", "mails"}, Start: samsa.Earliest(),
	})
	s.no(err)
	defer func() { s.no(c.Close()) }()
	for range 5 {
		s.put(samsa.Record{Topic: "mails"})
	}
	_, err = c.PollRecords(t.Context(), 2)
	s.no(err)
	s.no(c.Commit(t.Context()))
	s.reads("/group?name=shippers", "Lag3", "StateStable", "Members1", "shipper-7", "mails, orders", "mails 0, orders 0-1", "mails0253shipper-7")
	s.reads("/groups", "shippersclassicStable13mails, orders")
	s.reads("/topic?name=mails", "shippersclassicStable13mails")
	s.reads("/", "Groups furthest behind", "shippersclassicStable13")
}

// A queue's page says what its members have, what waits for its time, and what is dead.
func TestQueueIsShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := samsatest.New(t, samsatest.Topic("mails", 1), samsatest.TopicWith("dead", samsa.TopicConfig{DeadLetters: true}))
		s := site{t, b, console.Handler(b, console.Options{})}
		q, err := b.NewQueue(t.Context(), samsa.QueueOptions{Group: "mailer", ClientID: "mailer-1", Topics: []string{"mails"}, DeadLetter: "dead", Lock: time.Minute, Retry: samsa.Retry{Min: time.Hour, Max: time.Hour}})
		s.no(err)
		for range 6 {
			s.put(samsa.Record{Topic: "mails"})
		}
		for n := 0; n < 5; {
			ds, err := q.Receive(t.Context(), 5-n)
			s.no(err)
			for _, d := range ds {
				switch n++; n {
				case 1:
					s.no(d.Ack())
				case 2:
					s.no(d.Reject("no such mailbox"))
				case 3:
					s.no(d.Retry())
				}
			}
		}
		at := time.Now().UTC().Format("2006-01-02 15:04:05")
		s.reads("/queues", "mailerStable1", "mails")
		s.reads("/group?name=mailer", "In flight2", "1 wait for their time", "Dead letters1", "of 5 deliveries", "no such mailbox", at)
		time.Sleep(2 * time.Minute) // what was received is given up
		s.reads("/group?name=mailer", "In flight0")
		s.no(q.Close())
	})
}

// The rows of tables are shown, of those that are open and of those that are kept, page by page.
func TestTablesAreShown(t *testing.T) {
	b := samsatest.New(t, samsatest.Topic("accounts", 2))
	s := site{t, b, console.Handler(b, console.Options{})}
	s.want("/tables", "no table is open here")
	for i := range 150 {
		s.put(samsa.Record{Topic: "accounts", Key: fmt.Appendf(nil, "\xff<%03d>", i), Value: []byte("<b>7</b>")})
	}
	kept, err := b.NewTable(t.Context(), samsa.TableOptions{Topic: "accounts", Name: "balances"})
	s.no(err)
	s.no(kept.Close())
	open, err := b.NewTable(t.Context(), samsa.TableOptions{Topic: "accounts"})
	s.no(err)
	s.want("/tables", "in memory", "balances", `<td class="n">150</td>`)
	for _, name := range []string{"", "balances"} {
		first := "/table?topic=accounts&name=" + name
		s.want(first, "ff 3c 30 30 30 3e", "ff 3c 30 39 39 3e", "&lt;b&gt;7")
		page := next.FindStringSubmatch(s.page(first))
		if page == nil {
			t.Fatal("no next page")
		}
		s.want("/"+html.UnescapeString(page[1]), "ff 3c 31 30 30 3e", "ff 3c 31 34 39 3e", `rel="prev"`)
		s.want("/table?topic=accounts&prefix=none&name="+name, "No rows here.")
	}
	s.no(open.Close())
}

// Rows of a table that is not open are shown behind one that compaction has replaced, which is told.
func TestRowThatWasReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := samsatest.New(t)
		s := site{t, b, console.Handler(b, console.Options{})}
		s.no(b.Topics().Create(t.Context(), "accounts", samsa.TopicConfig{CleanupPolicy: samsa.CleanupCompact, MaxMessageBytes: 16 << 20}))
		s.put(samsa.Record{Topic: "accounts", Key: []byte("large"), Value: make([]byte, 9<<20)})
		s.put(samsa.Record{Topic: "accounts", Key: []byte("small"), Value: []byte("seven")})
		kept, err := b.NewTable(t.Context(), samsa.TableOptions{Topic: "accounts", Name: "balances"})
		s.no(err)
		s.no(kept.WaitFor(t.Context()))
		s.no(kept.Close())
		for range 3 {
			s.put(samsa.Record{Topic: "accounts", Key: []byte("large"), Value: []byte("later")})
			_, err := b.Sweep(t.Context())
			s.no(err)
			time.Sleep(time.Hour)
		}
		s.want("/table?topic=accounts&name=balances", "seven", "offset out of range", "large")
	})
}

var next = regexp.MustCompile(`rel="next" href="([^"]*)"`)

// A page reads no more than 8 MiB, however many records it is asked for, and leads on to the others, both ways.
func TestPageHasLimits(t *testing.T) {
	b := samsatest.New(t, samsatest.Topic("t", 1))
	s := site{t, b, console.Handler(b, console.Options{})}
	for range 20 {
		s.put(samsa.Record{Topic: "t", Value: make([]byte, 1<<20-1000)})
	}
	for _, from := range []string{"oldest", "newest"} {
		n, pages := 0, 0
		for path := "records?topic=t&n=500&from=" + from; path != ""; pages++ {
			at, older, newer := s.rows(path)
			if len(at) > 9 {
				t.Errorf("%s: %d MiB on a page", path, len(at))
			}
			n += len(at)
			if path = newer; from == "newest" {
				path = older
			}
		}
		if n != 20 || pages < 3 {
			t.Errorf("from %s: %d records on %d pages", from, n, pages)
		}
	}
}
