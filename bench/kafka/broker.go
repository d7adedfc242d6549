// Package kafka runs an Apache Kafka for the benchmark: one broker on loopback, as package kafkatest starts it.
package kafka

import (
	"context"

	"github.com/samsa-go/samsa/cluster/kafkatest"
)

// Version of Kafka.
const Version = kafkatest.Version

// Broker is a running one.
type Broker struct {
	*kafkatest.Cluster
	Addr string // host:port
}

// Start runs a broker with its data in a new directory below dir, and returns when it answers: see kafkatest.Start. Heap and collector
// are those of Kafka's start script.
func Start(ctx context.Context, dir string) (*Broker, error) {
	c, err := kafkatest.Start(ctx, kafkatest.Options{
		Dir: dir,
		Java: []string{
			"-Xms1G", "-Xmx1G", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20", "-XX:InitiatingHeapOccupancyPercent=35", "-XX:+ExplicitGCInvokesConcurrent",
		},
	})
	if err != nil {
		return nil, err
	}
	return &Broker{c, c.Seeds()[0]}, nil
}
