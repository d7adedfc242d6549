// Package gocloud is a driver of the Go CDK's pubsub (gocloud.dev/pubsub) on topics and queues of a broker, without a server.
//
//	topic := gocloud.OpenTopic(b, "orders", nil)
//	sub, err := gocloud.OpenSubscription(ctx, b, samsa.QueueOptions{Group: "billing", Topics: []string{"orders"}})
//
// A message is a record: the body its value, the metadata its headers. A subscription is a queue: each message is for one of
// those that receive from the group, and comes again when it is nacked or its lock ends.
package gocloud
