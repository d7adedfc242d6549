package e2e

import (
	"errors"
	"maps"
	"testing"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/samsatest"
)

// What is planned is what SetOffsets does, of classic and share groups alike.
func TestPlanOffsets(t *testing.T) {
	b := samsatest.New(t, samsatest.Topic("t", 2))
	samsatest.Produce(t, b, "t", "a=1", "b=2", "c=3", "d=4", "e=5", "f=6", "g=7", "h=8")
	q, err := b.NewQueue(t.Context(), samsa.QueueOptions{Group: "shared", Topics: []string{"t"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
	tps := []samsa.TopicPartition{{Topic: "t", Partition: 0}, {Topic: "t", Partition: 1}}
	for _, group := range []string{"classic", "shared"} {
		t.Run(group, func(t *testing.T) {
			ctx, groups := t.Context(), b.Groups()
			latest, err := groups.PlanOffsets(ctx, group, samsa.To(samsa.Latest()), tps...)
			if err != nil {
				t.Fatal(err)
			}
			if got := latest[tps[0]].Offset + latest[tps[1]].Offset; got != 8 {
				t.Fatalf("the ends are %v", latest)
			}
			if err := groups.SetOffsets(ctx, group, latest); err != nil {
				t.Fatal(err)
			}
			back, err := groups.PlanOffsets(ctx, group, samsa.Shift(-1))
			if err != nil {
				t.Fatal(err)
			}
			want := maps.Clone(latest)
			for tp, o := range want {
				o.Offset--
				want[tp] = o
			}
			if !maps.Equal(back, want) {
				t.Fatalf("a shift by -1 is %v, want %v", back, want)
			}
			info, err := groups.Describe(ctx, group)
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range info.Partitions {
				if at := latest[samsa.TopicPartition{Topic: p.Topic, Partition: p.Partition}].Offset; p.Committed != at {
					t.Errorf("the group is at %d, want %d", p.Committed, at)
				}
			}
			err = groups.SetOffsets(ctx, group, map[samsa.TopicPartition]samsa.CommittedOffset{tps[0]: {Offset: 100}})
			if !errors.Is(err, samsa.ErrOffsetOutOfRange) {
				t.Errorf("an offset behind the end: %v", err)
			}
		})
	}
}
