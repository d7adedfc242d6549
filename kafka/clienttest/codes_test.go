package clienttest

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa/samsatest"
)

// A client that meets errors after which it is to try again does, and ends with what it would have
// without; in a bubble it takes no time. What it is not to try again it says.
func TestFranzMeetsCodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := samsatest.New(t, samsatest.Topic("orders", 1))
		pipe := samsatest.KafkaPipe(t, b)
		code := func(err *kerr.Error) error { return samsatest.Code(err.Code) }
		faults := []*samsatest.Fault{
			samsatest.Appends(b, "orders", 0).Next(2).FailWith(code(kerr.NotLeaderForPartition)),
			samsatest.Fetches(b, "orders", 0).Next(2).FailWith(code(kerr.ReplicaNotAvailable)),
			samsatest.Joins(b, "billing").Next(2).Fail(), // NOT_COORDINATOR
			samsatest.Commits(b, "billing").Next(2).Fail(),
			samsatest.Requests(b, kmsg.SyncGroup.Int16()).OfGroup("billing").Next(1).FailWith(code(kerr.RebalanceInProgress)),
			samsatest.Requests(b, kmsg.Heartbeat.Int16()).OfGroup("billing").Next(1).FailWith(code(kerr.UnknownMemberID)),
			samsatest.Requests(b, kmsg.InitProducerID.Int16()).Next(1).FailWith(code(kerr.CoordinatorLoadInProgress)),
			samsatest.Requests(b, kmsg.ListOffsets.Int16()).Of("orders").Next(1).FailWith(code(kerr.LeaderNotAvailable)),
			samsatest.Requests(b, kmsg.Fetch.Int16()).Of("orders", 0).Next(2).FailWith(code(kerr.NotLeaderForPartition)),
			samsatest.Requests(b, kmsg.OffsetCommit.Int16()).Of("orders", 0).Next(1).FailWith(code(kerr.NotCoordinator)),
			samsatest.Requests(b, kmsg.OffsetFetch.Int16()).Next(1).FailWith(code(kerr.NotCoordinator)),
			samsatest.Requests(b, kmsg.FindCoordinator.Int16()).Next(1).FailWith(code(kerr.CoordinatorNotAvailable)),
			samsatest.Requests(b, kmsg.Metadata.Int16()).Of("orders").Next(1).FailWith(code(kerr.LeaderNotAvailable)),
		}
		cl, err := kgo.NewClient(kgo.SeedBrokers(pipe.Addr().String()), kgo.Dialer(pipe.DialContext),
			kgo.ConsumerGroup("billing"), kgo.ConsumeTopics("orders"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.DisableAutoCommit())
		if err != nil {
			t.Fatal(err)
		}
		defer cl.Close()
		ctx := context.Background()
		if err := cl.ProduceSync(ctx, &kgo.Record{Topic: "orders", Value: []byte("tea")}).FirstErr(); err != nil {
			t.Fatal(err)
		}
		var records []*kgo.Record
		for len(records) == 0 {
			records = cl.PollFetches(ctx).Records() // errors of a group that begins anew are told
		}
		if err := cl.CommitRecords(ctx, records...); err != nil {
			t.Fatal(err)
		}
		samsatest.WaitCommitted(t, b, "billing", "orders", 1)
		time.Sleep(time.Minute) // for heartbeats
		for _, f := range faults {
			f.Wait(t)
		}
		samsatest.WaitStable(t, b, "billing", 1)
		samsatest.Equal(t, b, "orders", []string{"tea"})

		samsatest.Appends(b, "orders").FailWith(code(kerr.TopicAuthorizationFailed))
		if err := cl.ProduceSync(ctx, &kgo.Record{Topic: "orders"}).FirstErr(); !errors.Is(err, kerr.TopicAuthorizationFailed) {
			t.Errorf("got error %v", err)
		}
	})
}
