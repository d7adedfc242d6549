package console_test

import (
	"fmt"
	"html"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/console"
	"github.com/samsa-go/samsa/samsatest"
)

var (
	rowAt = regexp.MustCompile(`<tr data-at="([^"]*)"`)
	turn  = regexp.MustCompile(`<a rel="(?:prev|next)" href="([^"]*)">(?:← )?(Older|Newer)`)
)

// rows returns which records a page shows, and the addresses of its neighbours.
func (s site) rows(path string) (at []string, older, newer string) {
	s.Helper()
	body := s.page("/" + path)
	for _, m := range rowAt.FindAllStringSubmatch(body, -1) {
		at = append(at, m[1])
	}
	for _, m := range turn.FindAllStringSubmatch(body, -1) {
		if link := html.UnescapeString(m[1]); m[2] == "Older" {
			older = link
		} else {
			newer = link
		}
	}
	return at, older, newer
}

// Whichever way one pages, and however many partitions are on a page, each record is there once, those of a partition
// in their order, and the way back shows the same.
func TestPagingBothWays(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	b := samsatest.New(t, samsatest.Topic("t", 4))
	s := site{t, b, console.Handler(b, console.Options{})}
	var all []string
	for range 137 {
		r := s.put(samsa.Record{Topic: "t", Timestamp: time.UnixMilli(1_700_000_000_000 + random.Int64N(5000)), Value: []byte("v")})[0]
		all = append(all, fmt.Sprintf("%d:%d", r.Partition, r.Offset))
	}
	for _, partition := range []string{"all", "2"} {
		want := slices.DeleteFunc(slices.Clone(all), func(at string) bool { return partition != "all" && !strings.HasPrefix(at, partition+":") })
		slices.Sort(want)
		for _, back := range []bool{true, false} {
			path := "records?n=10&from=oldest&topic=t&partition=" + partition
			if back {
				path = "records?n=10&from=newest&topic=t&partition=" + partition
			}
			var pages [][]string
			var seen []string
			for next := path; next != ""; {
				at, older, newer := s.rows(next)
				pages, seen = append(pages, at), append(seen, at...)
				path, next = next, newer
				if back {
					next = older
				}
			}
			checkOrder(t, seen, back)
			slices.Sort(seen)
			if !slices.Equal(seen, want) {
				t.Errorf("partition %s, back %t: %d records on %d pages, want %d", partition, back, len(seen), len(pages), len(want))
			}
			for i := len(pages) - 2; i >= 0; i-- { // and the way back
				_, older, newer := s.rows(path)
				if path = older; back {
					path = newer
				}
				at, _, _ := s.rows(path)
				if i > 0 && partition != "all" && !slices.Equal(at, pages[i]) {
					t.Errorf("partition %s, back %t: page %d is %v on the way back, and was %v", partition, back, i, at, pages[i])
				}
				if len(at) == 0 {
					t.Fatalf("partition %s, back %t: page %d is empty on the way back", partition, back, i)
				}
			}
		}
	}
}

// checkOrder checks that the records of each partition come in their order, or with back in the other one.
func checkOrder(t *testing.T, seen []string, back bool) {
	t.Helper()
	last := make(map[int]int)
	for _, at := range seen {
		var partition, offset int
		if _, err := fmt.Sscanf(at, "%d:%d", &partition, &offset); err != nil {
			t.Fatal(err)
		}
		if before, ok := last[partition]; ok && (offset > before) == back {
			t.Errorf("%s comes behind %d", at, before)
		}
		last[partition] = offset
	}
}

func TestSeeks(t *testing.T) {
	b := samsatest.New(t, samsatest.Topic("t", 1), samsatest.Topic("empty", 2))
	s := site{t, b, console.Handler(b, console.Options{})}
	noon := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	for i := range 20 {
		s.put(samsa.Record{Topic: "t", Timestamp: noon.Add(time.Duration(i) * time.Minute)})
	}
	s.no(b.Topics().DeleteRecords(t.Context(), "t", map[int32]int64{0: 3}))
	for from, want := range map[string]string{
		"0": "0:3", "5": "0:5", "19": "0:19", "20": "", "1000": "", "oldest": "0:3", "newest": "0:19",
		"2026-11-29 12:07": "0:7", "2026-11-29T12:07:30": "0:8", "2026-11-29T13:07:00%2B01:00": "0:7", "2026-11-29": "0:3", "2027-01-01": "",
		"@1795953600000": "0:3", "-999999h": "0:3", "-200000d": "0:3",
	} {
		at, _, _ := s.rows("records?topic=t&from=" + strings.ReplaceAll(from, " ", "+"))
		if first := append(at, "")[0]; first != want {
			t.Errorf("from %s: %v, want %s first", from, at, want)
		}
	}
	if at, older, newer := s.rows("records?topic=empty"); len(at) > 0 || older+newer != "" {
		t.Errorf("of an empty topic: %v, %q, %q", at, older, newer)
	}
	s.want("/records?topic=empty", "No records here.")
}

// Numbers of JSON are shown digit by digit, and what is no text is shown in hex. What hides is seen.
func TestRecordIsShownAsItIs(t *testing.T) {
	b := samsatest.New(t, samsatest.Topic("t", 1))
	s := site{t, b, console.Handler(b, console.Options{})}
	s.put(
		samsa.Record{Topic: "t", Key: []byte{}, Value: []byte(`{"id":9007199254740993,"x":1.0000000000000000001,"a":[1,{"b":null}]}`)},
		samsa.Record{Topic: "t", Key: []byte{0xff, 0}, Value: []byte{0, 1, 0xfe}},
		samsa.Record{Topic: "t", Value: []byte("a\u202eb\x1b[31m\r\n\tc"), Headers: []samsa.Header{{Key: "h"}, {Key: "h", Value: []byte("v")}}},
		samsa.Record{Topic: "t", Value: []byte(strings.Repeat("[", 60000))},
		samsa.Record{Topic: "t", Value: []byte(strings.Repeat("é", 100_000))},
	)
	record := func(offset int) string { return fmt.Sprintf("/record?topic=t&partition=0&offset=%d", offset) }
	s.want(record(0), "&#34;id&#34;: 9007199254740993,\n", "1.0000000000000000001", "empty, 0 bytes", "    {\n      &#34;b&#34;: null\n    }")
	s.want(record(0)+"&as=text", "&#34;id&#34;:9007199254740993,&#34;x&#34;")
	s.want(record(0)+"&as=hex", "00000000  7b 22 69 64")
	s.want(record(1), "00000000  00 01 fe", "ff 00")
	s.want(record(2), `a\u202eb\u001b[31m\r`+"\n\tc", `<p class="null">null</p>`, `<i class="null">null</i>`)
	if body := s.page(record(3)); len(body) > 200_000 {
		t.Errorf("%d bytes of page for 60 kB of brackets", len(body))
	}
	s.want(record(4), "The first 64 KiB of 195 KiB.")
	status, header, body := s.ask("GET", "/bytes?topic=t&partition=0&offset=4&part=value")
	if status != 200 || body != strings.Repeat("é", 100_000) || !strings.HasPrefix(header.Get("Content-Disposition"), "attachment") {
		t.Errorf("all bytes of it: status %d, %d bytes, %v", status, len(body), header)
	}
	if _, _, body := s.ask("GET", "/bytes?topic=t&partition=0&offset=2&part=1"); body != "v" {
		t.Errorf("a header: %q", body)
	}
}

// What is damaged is told of, and what is around it shown.
func TestDamageIsTold(t *testing.T) {
	b := samsatest.New(t, samsatest.Topic("t", 1))
	s := site{t, b, console.Handler(b, console.Options{})}
	for _, v := range []string{"a", "b", "c"} {
		s.put(samsa.Record{Topic: "t", Value: []byte(v)})
	}
	samsatest.Corrupt(t, b, "t", 0, 1)
	for _, from := range []string{"newest", "oldest"} {
		path := "records?topic=t&from=" + from
		if at, _, _ := s.rows(path); len(at) != 2 {
			t.Errorf("from %s: %v", from, at)
		}
		s.want("/"+path, "corrupt record")
	}
}

// A console moves no group and leaves nothing behind: no client, no reset, no position.
func TestConsoleLeavesNothing(t *testing.T) {
	s := newSite(t, console.Options{})
	before, err := s.Stats(t.Context())
	s.no(err)
	group, err := s.Groups().Describe(t.Context(), hostile)
	s.no(err)
	s.crawl("")
	after, err := s.Stats(t.Context())
	s.no(err)
	if after.Commits != before.Commits || after.Resets != before.Resets {
		t.Errorf("%+v before, %+v after", before, after)
	}
	again, err := s.Groups().Describe(t.Context(), hostile)
	s.no(err)
	if fmt.Sprint(again) != fmt.Sprint(group) {
		t.Errorf("%+v before, %+v after", group, again)
	}
}

// Ten thousand topics are a page after the other.
func TestTenThousandTopics(t *testing.T) {
	b := samsatest.New(t)
	s := site{t, b, console.Handler(b, console.Options{})}
	n := 10_000
	if testing.Short() {
		n = 200
	}
	for i := range n {
		s.no(b.Topics().Create(t.Context(), fmt.Sprintf("topic-%05d", i), samsa.TopicConfig{}))
	}
	body := s.page("/topics")
	if !strings.Contains(body, fmt.Sprintf("1–50 of %s", map[bool]string{true: "200", false: "10,000"}[testing.Short()])) || strings.Contains(body, "topic-00050") {
		t.Errorf("the first page:\n%s", body)
	}
	s.want(fmt.Sprintf("/topics?page=%d", n/50), fmt.Sprintf("topic-%05d", n-1))
	s.want("/topics?q=PIC-0013", "topic-00130", "topic-00139")
	if body := s.page("/topics?q=PIC-0013"); strings.Contains(body, "topic-00140") {
		t.Error("the filter lets others through")
	}
}
