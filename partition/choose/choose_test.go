package choose

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/samsa-go/samsa/log"
)

// The vectors of org.apache.kafka.common.utils.UtilsTest.testMurmur2.
func TestMurmur2Vectors(t *testing.T) {
	for key, want := range map[string]int32{
		"21":                         -973932308,
		"foobar":                     -790332482,
		"a-little-bit-long-string":   -985981536,
		"a-little-bit-longer-string": -1486304829,
		"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
		"abc": 479470107,
	} {
		if got := int32(murmur2([]byte(key))); got != want {
			t.Errorf("%q: got %d, want %d", key, got, want)
		}
	}
}

func keyRecord(key string) *log.Record { return &log.Record{Topic: "t", Key: []byte(key)} }

func TestMurmur2Partition(t *testing.T) {
	p := Murmur2().ForTopic("t")
	for _, tt := range []struct {
		key  string
		n    int
		want int
	}{
		{"foobar", 10, (-790332482 & 0x7fffffff) % 10}, // the sign bit is cleared, not negated
		{"21", 7, (-973932308 & 0x7fffffff) % 7},
		{"abc", 1000, 479470107 % 1000},
		{"foobar", 1, 0},
		{"", 5, 275646681 % 5}, // an empty key is a key
	} {
		if got := p.Partition(keyRecord(tt.key), tt.n); got != tt.want {
			t.Errorf("%q of %d: got %d, want %d", tt.key, tt.n, got, tt.want)
		}
	}
}

func TestKeysStayAndSpread(t *testing.T) {
	const n, keys = 10, 10_000
	for name, partitioner := range map[string]Partitioner{"Hash": Hash(), "Murmur2": Murmur2()} {
		one, other := partitioner.ForTopic("t"), partitioner.ForTopic("u")
		var counts [n]int
		for i := range keys {
			r := keyRecord(fmt.Sprintf("user-%d", i))
			at := one.Partition(r, n)
			one.OnNewBatch()
			if again, elsewhere := one.Partition(r, n), other.Partition(r, n); again != at || elsewhere != at {
				t.Fatalf("%s: %s went to %d, %d and %d", name, r.Key, at, again, elsewhere)
			}
			counts[at]++
		}
		for i, count := range counts {
			if count < keys/n*8/10 || count > keys/n*12/10 {
				t.Errorf("%s: partition %d got %d of %d keys", name, i, count, keys)
			}
		}
	}
}

func TestRecordsWithoutKeyStick(t *testing.T) {
	const n = 8
	for name, partitioner := range map[string]Partitioner{"Hash": Hash(), "Murmur2": Murmur2()} {
		p := partitioner.ForTopic("t")
		seen := make(map[int]bool)
		last := -1
		for range 300 {
			at := p.Partition(&log.Record{}, n)
			p.Partition(keyRecord("k"), n) // records with a key change nothing
			for range 5 {
				if again := p.Partition(&log.Record{}, n); again != at {
					t.Fatalf("%s: moved from %d to %d within a batch", name, at, again)
				}
			}
			if at == last || at < 0 || at >= n {
				t.Fatalf("%s: %d after %d", name, at, last)
			}
			seen[at], last = true, at
			p.OnNewBatch()
		}
		if len(seen) != n {
			t.Errorf("%s: only %d of %d partitions", name, len(seen), n)
		}
	}
}

func TestStickyWithChangingPartitions(t *testing.T) {
	p := Hash().ForTopic("t")
	for _, n := range []int{1, 1, 5, 2, 1, 3} {
		for range 20 {
			if at := p.Partition(&log.Record{}, n); at < 0 || at >= n {
				t.Fatalf("%d of %d", at, n)
			}
			p.OnNewBatch()
		}
	}
}

func TestRoundRobin(t *testing.T) {
	p := RoundRobin().ForTopic("t")
	var got []string
	for i := range 7 {
		if i == 4 {
			p.OnNewBatch() // means nothing to it
		}
		got = append(got, fmt.Sprint(p.Partition(keyRecord("same"), 3)))
	}
	got = append(got, fmt.Sprint(p.Partition(keyRecord("same"), 1))) // whatever n is now
	if s := strings.Join(got, " "); s != "0 1 2 0 1 2 0 0" {
		t.Errorf("got %s", s)
	}
}

func TestRandomReachesAll(t *testing.T) {
	p := Random().ForTopic("t")
	seen := make(map[int]bool)
	for range 1000 {
		seen[p.Partition(keyRecord("same"), 4)] = true
	}
	if len(seen) != 4 || !seen[0] || !seen[3] {
		t.Errorf("got %v", seen)
	}
}

func TestByTopic(t *testing.T) {
	of := map[string]Partitioner{"orders": Manual(), "clicks": RoundRobin()}
	p := ByTopic(of, Func(func(_ *log.Record, n int) int { return n - 1 }))
	clear(of) // is the caller's
	var got []int
	for _, topic := range []string{"orders", "clicks", "other"} {
		got = append(got, p.ForTopic(topic).Partition(&log.Record{Partition: 2}, 5))
	}
	if want := []int{2, 0, 4}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	r := keyRecord("a")
	if at, want := ByTopic(nil, nil).ForTopic("t").Partition(r, 7), Hash().ForTopic("t").Partition(r, 7); at != want {
		t.Errorf("by default %d, and the hash %d", at, want)
	}
	for _, bad := range []Partitioner{nil, Func(nil), ByTopic(map[string]Partitioner{"t": nil}, nil), ByTopic(nil, Func(nil))} {
		if Usable(bad) {
			t.Errorf("%v is usable", bad)
		}
	}
	if !Usable(p) || !Usable(ByTopic(nil, nil)) {
		t.Error("it is not usable")
	}
}

func TestPartition(t *testing.T) {
	r := &log.Record{Topic: "orders", Partition: 2}
	for _, tt := range []struct {
		name string
		p    Partitioner
		n    int
		want int // -1 for an error
	}{
		{"manual", Manual(), 3, 2},
		{"manual beyond the end", Manual(), 2, -1},
		{"func", Func(func(_ *log.Record, n int) int { return n - 1 }), 5, 4},
		{"func one too many", Func(func(_ *log.Record, n int) int { return n }), 5, -1},
		{"func negative", Func(func(*log.Record, int) int { return -1 }), 5, -1},
	} {
		p := tt.p.ForTopic("orders")
		p.OnNewBatch()
		got, err := Partition(p, r, tt.n)
		if tt.want < 0 {
			if !errors.Is(err, log.ErrUnknownPartition) || !strings.HasPrefix(err.Error(), "orders: ") {
				t.Errorf("%s: got %d, error %v", tt.name, got, err)
			}
			continue
		}
		if err != nil || got != tt.want {
			t.Errorf("%s: got %d, error %v", tt.name, got, err)
		}
	}
}
