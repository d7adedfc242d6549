// Package samsa gives a Go program what Kafka gives a data centre: durable topics split
// into partitions, consumers that pull and remember offsets, retention. There is no
// server and no second process: Open a directory, or memory, and use it.
//
//	b, err := samsa.Open("data", samsa.Options{})
//	defer b.Close()
//	err = b.Topics().Create(ctx, "web_log", samsa.TopicConfig{Partitions: 3})
//	_, err = b.Produce(ctx, samsa.Record{Topic: "web_log", Key: k, Value: v})
//
//	c, err := b.NewConsumer(ctx, samsa.ConsumerOptions{Topics: []string{"web_log"}})
//	for rec, err := range c.Records(ctx) { ... }
//
// # Promises
//
// A record is visible to consumers only once it is stored. A record acknowledged with
// AckStored, the default, survives the death of the process at any instant; with
// AckSynced it survives power loss. Records of one partition are read in the order of
// their offsets. A consumer group gets each record at least once (see Consumer), and exactly
// once with Broker.Update. A full disk is ErrDiskFull, and not a crash.
//
// # Where to look
//
// Broker.Produce stores a few records and returns their offsets; a Producer batches many in the
// background. A Consumer reads topics, and with ConsumerOptions.Group it shares them with others of its
// group. A Queue shares them one by one, with retries, delays and dead letters. A Table has the latest record of
// each key. Broker.Update stores
// records, consumed offsets and keys of the application's own in one transaction. Topics, Groups and
// Transactions administer. Package samsatest is a fake broker for tests, and package kafka serves a
// broker to Kafka clients.
//
// The pages in docs of the repository say more, each with code that runs. The words are Kafka's
// (https://kafka.apache.org/documentation/#intro_concepts_and_terms), and the stored batches are Kafka's,
// bit for bit.
package samsa
