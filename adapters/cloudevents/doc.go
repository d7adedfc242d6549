// Package cloudevents is a protocol of the CloudEvents SDK (github.com/cloudevents/sdk-go/v2) on topics and queues of a broker,
// without a server.
//
//	sender, err := client.New(cloudevents.NewSender(producer, "orders"))
//	receiver, err := client.New(cloudevents.NewReceiver(queue))
//
// Records are those of the Kafka protocol binding for CloudEvents, in binary and structured mode: attributes in headers ce_*,
// the extension partitionkey as the key. So Kafka clients read and write the same events.
//
// What a receiver gets is acknowledged when it was processed, and comes again when that failed. Each event is for one of
// those that receive from the group of the queue.
package cloudevents
