package samsatest

import (
	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/kafka"
)

// Kafka serves b to Kafka clients until the end of the test and returns the address, a host
// and a port of this machine that nobody else has. The clients see the topics, records and groups
// of b. The test fails if there is no port to be had, or b is closed.
func Kafka(t TB, b *samsa.Broker) string {
	t.Helper()
	srv, err := kafka.Listen(b, "127.0.0.1:0", kafka.Options{})
	if err != nil {
		t.Fatalf("samsatest: Kafka: %v", err)
		return ""
	}
	t.Cleanup(func() {
		t.Helper()
		if err := srv.Close(); err != nil {
			t.Errorf("samsatest: Kafka: %v", err)
		}
	})
	return srv.Addr().String()
}
