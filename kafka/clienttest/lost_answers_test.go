package clienttest

import (
	"fmt"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/samsatest"
)

// A client asks again when an answer is lost with its connection though the request was carried out: that to the end of
// a transaction, and to each other request of its producer. What it has done is there once. kafkajs, which is left out, tells
// the program that the connection was closed.
func TestLostAnswersOfTransactions(t *testing.T) {
	keys := []kmsg.Key{kmsg.InitProducerID, kmsg.Produce, kmsg.AddPartitionsToTxn, kmsg.AddOffsetsToTxn, kmsg.TxnOffsetCommit, kmsg.EndTxn}
	for _, c := range transactional() {
		if c.transact == nil || c.name == kafkaJSClient().name {
			continue
		}
		for _, level := range []int16{2, 0} {
			t.Run(fmt.Sprintf("%s, version %d", c.name, level), func(t *testing.T) {
				needs(t, c)
				t.Parallel() // clients wait before they ask again
				k, s := inMemory(t, samsa.Options{}), transactionStory("story")
				k.transactionVersion(level)
				k.create("input", 1)
				k.write("input", s.records(true))
				k.create("story", 1)
				var lost []*samsatest.Fault
				for _, key := range keys {
					lost = append(lost, samsatest.Requests(k.Broker, key.Int16()).OfTransaction("story").Answers().Next(1).Fail())
				}
				c.transact(k, s)
				if got := plain(k.read("story", len(s.records(false)))); !slices.Equal(got, s.records(false)) {
					t.Errorf("committed are %v, want %v", got, s.records(false))
				}
				offsets, err := k.Groups().Committed(k.ctx, s.Group)
				if got := offsets[samsa.TopicPartition{Topic: "input"}].Offset; err != nil || got != 5 {
					t.Errorf("committed is offset %d, %v, want 5", got, err)
				}
				for i, f := range lost {
					implicit := level == 2 && (keys[i] == kmsg.AddPartitionsToTxn || keys[i] == kmsg.AddOffsetsToTxn)
					if f.Hits() != 1 && !implicit {
						t.Errorf("%d answers to %s were lost", f.Hits(), keys[i].Name())
					}
				}
			})
		}
	}
}
