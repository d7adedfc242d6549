// Package samsatest is a test kit for code that produces and consumes: brokers in memory that
// cost microseconds, copies of them for each case, faults by meaning, and waiting without
// sleeping. It works with any broker of package samsa, and with any test framework (see TB).
//
//	b := samsatest.New(t, samsatest.Topic("orders", 3))
//	samsatest.Produce(t, b, "orders", "7=paid")
//	...
//	samsatest.Equal(t, b, "receipts", []string{"7=thanks"})
//
// # Cases
//
// Fork copies a broker with everything that is stored in it, a million records or none, in the
// same few microseconds. So a test prepares one broker and gives every case its own:
//
//	for _, tc := range cases {
//		t.Run(tc.name, func(t *testing.T) {
//			t.Parallel()
//			b := samsatest.Fork(t, b)
//			...
//
// # Time
//
// Everything in the library that depends on time uses package time, and nothing polls. In a
// bubble of testing/synctest a session of 45 seconds or a week of retention passes as soon as
// nothing else is left to do. Make the broker inside the bubble. The year is 2000 there: a record
// with today's date is one from the future, which topics refuse unless TimestampAfterMax says else.
//
// Kafka clients of this process can be in the bubble too, by way of KafkaPipe, which stands in for the
// network (kafka/clienttest/bubble_test.go has a week of each):
//
//	pipe := samsatest.KafkaPipe(t, b)
//	cl, err := kgo.NewClient(kgo.SeedBrokers(pipe.Addr().String()), kgo.Dialer(pipe.DialContext))
//
// franz-go works as it is, and kafka-go: Dialer.DialFunc and Transport.Dial. Of sarama
// (Net.Proxy.Dialer) producers, consumers of partitions and admins do, if metrics.UseNilMetrics is
// true and Metadata.RefreshFrequency 0, and the bubble sleeps for a second after they are closed. Who
// waits with a mutex stops the time of a bubble: consumer groups of sarama do, whose heartbeats wait for
// fetches, and franz-go where Metadata has an error for a partition. Close every client before the
// bubble ends. A wait without end is no deadlock beside such clients, whose timers go on for ever, in no time: give it a
// context that ends. A client that asks every few seconds does it some 200,000 times a week: a week of
// franz-go takes 15 s, and half a second with kgo.SessionTimeout(30*time.Minute), HeartbeatInterval
// and FetchMaxWait to match.
//
// # Faults
//
// What to hit comes first, what happens to it last:
//
//	samsatest.Appends(b, "orders", 1).Next(2).Fail()          // not stored
//	samsatest.Appends(b, "orders").Stored().Next(1).Fail()    // stored, but the answer is lost
//	held := samsatest.Fetches(b, "orders").Hold()             // until held.Release or held.Remove
//	samsatest.Commits(b, "billing").Delay(time.Second)
//	samsatest.Joins(b, "billing").FailWith(samsa.ErrGroupFull)
//
// They act below the Go API, so that Kafka clients (see Kafka) meet them too, as the error codes
// that fit, or as any Code. Requests act on what such clients ask, whatever it is:
//
//	samsatest.Appends(b, "orders", 1).Next(2).FailWith(samsatest.Code(kerr.NotLeaderForPartition.Code))
//	samsatest.Requests(b, kmsg.OffsetCommit.Int16()).Of("orders", 1).FailWith(samsatest.Code(kerr.NotCoordinator.Code))
//	samsatest.Requests(b, kmsg.Heartbeat.Int16()).OfGroup("billing").FailWith(samsatest.Code(kerr.UnknownMemberID.Code))
//	samsatest.Requests(b).By("shop").Hold()                   // a black hole
//	samsatest.Requests(b, kmsg.EndTxn.Int16()).Answers().Next(1).Fail() // done, but the answer is lost
//
// There are FillDisk, Crash, CutPower, Restart, Expire and Corrupt besides. Closing a broker ends
// its faults.
//
// # Clients that do not wait
//
// Kafka clients wait before they try again, and for more to come, as is right with a cluster. A record
// produced by a new client and read by a new group, and both closed, takes with the options that
// clients have by default, and with these (BenchmarkFirstRecord of kafka/clienttest; in brackets when an
// append, a fetch and a join fail first):
//
//	franz-go   24 ms (500 ms)   14 ms (29 ms)     MetadataMinAge, RetryBackoffFn, FetchMaxWait
//	sarama     605 ms (4.8 s)   130 ms (270 ms)   Metadata., Producer. and Consumer.Retry.Backoff,
//	                                              Consumer.Group.Rebalance.Retry.Backoff, Consumer.MaxWaitTime
//	kafka-go   10 s (15 s)      22 ms (44 ms)     Writer: BatchTimeout, WriteBackoffMin, WriteBackoffMax; Reader:
//	                                              MaxWait, JoinGroupBackoff, ReadBackoffMin, ReadBackoffMax
//
// The same options of others, not measured: retry.backoff.ms, reconnect.backoff.ms and linger.ms of
// Java and librdkafka, fetch.max.wait.ms of Java; fetch.wait.max.ms, fetch.error.backoff.ms and
// topic.metadata.refresh.fast.interval.ms of librdkafka. In a bubble none of it matters.
package samsatest
