package clienttest

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"testing"

	"github.com/samsa-go/samsa"
)

// javaShares are the stories that Shares.java tells, as it tells them with Kafka 4.4.0.
var javaShares = map[string][]string{
	"implicit":     {"ax1 bx1 cx1 dx1 ex1", "nothing", "later nothing", "fx1", "later fx2"},
	"explicit":     {"ax1 bx1 cx1 dx1", "poll: IllegalStateException", "{explicit-0=done}", "bx2", "twice", "{explicit-0=done}", "nothing"},
	"limit":        {"ax1", "{limit-0=done}", "ax2", "{limit-0=done}", "ax3", "{limit-0=done}", "nothing"},
	"lock":         {"ax1", "lock of 2000", "ax2", "late {lock-0=InvalidRecordStateException}", "{lock-0=done}"},
	"renew":        {"other nothing", "renew {renew-0=done}", "again a", "renew {renew-0=done}", "again a", "renew {renew-0=done}", "again a", "other nothing", "{renew-0=done}"},
	"close":        {"ax1 bx1", "ax2 bx2", "{close-0=done}"},
	"several":      {"300 seen, twice []"},
	"latest":       {"nothing", "nothing", "afterx1"},
	"record-limit": {"ax1 bx1", "other cx1 dx1 ex1", "nothing"},
	"committed":    {"ax1 bx1", "nothing", "openx1"},
	"letters":      {"{letters-0=done}", "bx2", "{letters-0=done}", "a=a {__dlq.errors.delivery.count=1, __dlq.errors.group=letters, __dlq.errors.offset=0, __dlq.errors.partition=0, __dlq.errors.topic=letters}", "b=b {__dlq.errors.delivery.count=2, __dlq.errors.group=letters, __dlq.errors.offset=1, __dlq.errors.partition=0, __dlq.errors.topic=letters}"},
	"admin":        {"ax1 bx1 cx1", "nothing", "Stable, members 1, reader at /127.0.0.1 has [admin-0]", "alter: GroupNotEmptyException", "delete offsets: GroupNotEmptyException", "delete: GroupNotEmptyException", "Empty", "alter: done", "offsets {admin-0=1 lag 2}", "bx1 cx1", "listed [Optional[Share] Empty]", "delete offsets: done", "offsets {}", "delete: done", "describe: GroupIdNotFoundException", "delete again: GroupIdNotFoundException", "describe as a classic group: GroupIdNotFoundException"},
}

// KafkaShareConsumer and the admin of share groups tell what they tell with Kafka 4.4.0.
func TestJavaShares(t *testing.T) {
	javaStreams.needs(t, "kafka-clients")
	t.Parallel() // it waits much of the time
	k := inMemory(t, samsa.Options{Groups: samsa.GroupOptions{Configs: map[string]string{"group.share.min.record.lock.duration.ms": "1000"}}}).within(t, javaPatience)
	var told map[string][]string
	if err := json.Unmarshal([]byte(k.run(javaStreams.command(k.ctx, filepath.Join("testdata", "java", "Shares.java"), k.addr))), &told); err != nil {
		t.Fatal(err)
	}
	for name, got := range told {
		if want := javaShares[name]; !slices.Equal(got, want) {
			t.Errorf("%s: told is\n%q, want\n%q", name, got, want)
		}
	}
	if len(told) != len(javaShares) {
		t.Errorf("%d stories, want %d", len(told), len(javaShares))
	}
}
