package from

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/samsatest"
)

func samsaStart(t *testing.T) (b *samsa.Broker, seed string) {
	b = samsatest.New(t)
	return b, samsatest.Kafka(t, b) // for programs that are Kafka clients
}

func samsaOptions(t *testing.T) *samsa.Broker {
	return samsatest.New(t, samsatest.Options(samsa.Options{Groups: samsa.GroupOptions{MaxSize: 2}}))
}

func samsaTopic(t *testing.T) *samsa.Broker {
	return samsatest.New(t, samsatest.Topic("orders", 3))
}

func samsaFill(t *testing.T, b *samsa.Broker) {
	samsatest.Produce(t, b, "orders", "7=tea", "8=milk")
}

func samsaLook(t *testing.T, b *samsa.Broker) {
	samsatest.Equal(t, b, "receipts", []string{"7=thanks", "8=thanks"})
}

func samsaCases(t *testing.T, prepared *samsa.Broker, orders []string, test func(t *testing.T, b *samsa.Broker)) {
	for _, o := range orders {
		t.Run(o, func(t *testing.T) { test(t, samsatest.Fork(t, prepared)) }) // with all that is in it
	}
}

func samsaRefuse(t *testing.T, b *samsa.Broker) error {
	samsatest.Appends(b, "orders").Next(1).FailWith(samsatest.Code(19)) // NOT_ENOUGH_REPLICAS
	_, err := b.Produce(t.Context(), samsa.Record{Topic: "orders", Value: []byte("tea")})
	if err == nil {
		return errors.New("it was not refused")
	}
	return nil
}

func samsaDie(t *testing.T, b *samsa.Broker) *samsa.Broker {
	samsatest.Crash(t, b) // or CutPower
	return samsatest.Restart(t, b)
}

func samsaWait(t *testing.T, b *samsa.Broker) {
	samsatest.WaitCommitted(t, b, "billing", "orders", 2)
}

func samsaRetention(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := samsatest.New(t, samsatest.Topic("orders", 1))
		samsatest.Produce(t, b, "orders", "7=tea")
		time.Sleep(8 * 24 * time.Hour) // milliseconds, in a bubble
		samsatest.Equal(t, b, "orders", nil)
	})
}
