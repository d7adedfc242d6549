package api

import (
	"testing"
	"time"

	"github.com/samsa-go/samsa"
)

// A list of topics counts, if it is asked to, what a broker that has just been opened does not know.
func TestSizes(t *testing.T) {
	ctx, dir := t.Context(), t.TempDir()
	b, err := samsa.Open(dir, samsa.Options{})
	must(t, err)
	must(t, b.Topics().Create(ctx, "hour", samsa.TopicConfig{Partitions: 2, Retention: time.Hour}))
	must(t, b.Topics().Create(ctx, "table", samsa.TopicConfig{CleanupPolicy: samsa.CleanupCompact}))
	at := time.Now().Add(-time.Minute).Truncate(time.Millisecond)
	for p := range int32(2) {
		_, err := b.ProduceWith(ctx, samsa.ProduceOptions{Partitioner: samsa.ManualPartitioner()},
			samsa.Record{Topic: "hour", Partition: p, Timestamp: at.Add(-time.Duration(p) * time.Second), Value: []byte("tea")},
			samsa.Record{Topic: "table", Timestamp: at, Key: []byte("tea"), Value: []byte("4")})
		must(t, err)
	}
	stored, err := b.Stats(ctx)
	must(t, err)
	must(t, b.Close())

	b, err = samsa.Open(dir, samsa.Options{ReadOnly: true})
	must(t, err)
	defer func() { must(t, b.Close()) }()
	c := Direct(Handler(b, Options{}))
	list := func(sizes bool) (hour, table TopicSummary) {
		p, err := c.Topics(ctx, TopicsRequest{Sizes: sizes})
		must(t, err)
		return p.Topics[0], p.Topics[1]
	}
	if hour, _ := list(false); hour.Bytes != -1 || !hour.Due.IsZero() {
		t.Errorf("nobody has counted, and it is %+v", hour)
	}
	hour, table := list(true)
	oldest := at.Add(-time.Second)
	if due := oldest.Add(time.Hour + time.Millisecond); !hour.Due.Equal(due) || !table.Due.IsZero() {
		t.Errorf("due at %v and %v, want %v and never", hour.Due, table.Due, due)
	}
	if hour.Bytes <= 0 || table.Bytes <= 0 || hour.Bytes+table.Bytes != stored.Bytes || hour.Appended != 0 {
		t.Errorf("%d and %d bytes, %d since it was opened; %d were stored", hour.Bytes, table.Bytes, hour.Appended, stored.Bytes)
	}
	if again, _ := list(false); again.Bytes != hour.Bytes {
		t.Errorf("once counted it is %+v", again)
	}
}
