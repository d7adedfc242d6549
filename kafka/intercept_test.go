package kafka

import (
	"context"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/log"
)

// Kafka clients produce and fetch what is stored: no interceptor of the program's sees their records.
func TestDoorDoesNotIntercept(t *testing.T) {
	mark := func(by string) func(context.Context, []samsa.Record) (int, error) {
		return func(_ context.Context, records []samsa.Record) (int, error) {
			for i := range records {
				records[i].Value = append(records[i].Value, by...)
			}
			return len(records), nil
		}
	}
	k := start(t, samsa.Options{Hooks: []samsa.Hook{{BeforeProduce: mark("+stored"), BeforeDeliver: mark("+given")}}}, Options{})
	k.create("orders", samsa.TopicConfig{})
	c := k.dial()
	if code := ask[*kmsg.ProduceResponse](c, 9, produceRequest(1, "orders", batch(t, log.CodecNone, record{1, "", "wire"}))).Topics[0].Partitions[0].ErrorCode; code != 0 {
		t.Fatalf("code %d", code)
	}
	if _, err := k.Produce(k.ctx, samsa.Record{Topic: "orders", Value: []byte("go")}); err != nil {
		t.Fatal(err)
	}
	var wire []string
	for _, r := range fetched(t, ask[*kmsg.FetchResponse](c, 12, fetchRequest("orders", 0))) {
		wire = append(wire, string(r.Value))
	}
	if got := strings.Join(append(wire, k.values("orders", 2)...), " "); got != "wire go+stored wire+given go+stored+given" {
		t.Errorf("fetched and polled: %s", got)
	}
}
