// Package cluster opens a Kafka cluster as a broker of Samsa: the same API, and programs that use it stay as they are but for
// where they open.
//
//	b, err := cluster.Open(ctx, cluster.Options{
//		Seeds: []string{"kafka1:9092", "kafka2:9092"},
//		TLS:   &tls.Config{},
//		SASL:  []sasl.Mechanism{scram.Auth{User: "billing", Pass: os.Getenv(cluster.PasswordVariable)}.AsSha512Mechanism()},
//		Name:  "billing",
//	})
//
// What a cluster has not is samsa.ErrUnsupported, before anything is done: the application's keys, in Update and View, without Options.Keys; what share groups
// have not of queues; Sync, Snapshot, Import, Sweep and RetentionStats; CleanupConsumed. So are
// kafka.Listen and backups of such a broker.
//
// A queue is a member of a share group (KIP-932), of Kafka 4.2 or later. Its options are configs of the group, which NewQueue sets where they are
// others and nobody is in the group, and which stay. What is in a group with members has to be the same, or it is ErrInvalidOption. Its records
// come at once when they are released, so Retry is without a wait where QueueOptions.Retry is not given; waits, OrderByKey, Unlimited deliveries, and
// acknowledgements in an Update are ErrUnsupported. NotBefore is for brokers of Samsa. A queue reads the partitions that the cluster has assigned to
// it: what is in these waits for it, so a queue that nobody receives from is to be closed, and one whose process has died holds them until its session has run
// out (45 s). Dead letters come from the cluster, without the reason of Reject, and into topics that let them in (TopicConfig.DeadLetters) and whose names begin
// as errors.deadletterqueue.topic.name.prefix says, with "dlq." as a rule. Statistics are of this process, but for Lag.
//
// Topics are made by Topics().Create and Ensure, the one of Options.Keys by Open, and with Options.AutoCreateTopics when they are used: none is made because
// somebody asks for it, whatever auto.create.topics.enable says.
//
// A record that its topic does not take, for its size, its timestamp or a key that is missing, is refused before it is sent, by the configs of the topic;
// where these may not be read the cluster refuses it. A batch is no larger than max.message.bytes, nor than 1 MiB.
//
// Broker.Produce of one record is an idempotent append with acks=all, and so are the batches of a Producer. Of a partition up to five batches
// are under way, in order. BatchBytes is from where on one goes at once while none is under way; beside others it grows, for some milliseconds, or to the
// limit. When one fails those behind it go again, behind it. What the cluster does not answer is sent
// again, until it does or the broker is closed: then of what was sent it is samsa.ErrOutcomeUnknown whether it is stored. So is the record of a call whose context has
// ended: it may be stored later still. Later calls of the same broker wait for that.
//
// ProducerOptions.ID is a transactional id, and shares these names with all programs on the cluster: that of an Options.Name is Name-0, and with Options.Keys it is Keys-keys. What a producer of an
// ID has at a time is stored by one transaction, with its counts, which are committed offsets of a group, ID-stored:
// the program has to be allowed both, and the group is in lists. A cluster forgets offsets for which nothing was committed for long (offsets.retention.minutes, a week by
// default): a producer stores all its counts again when it begins to store, and once an hour while it does; after a week without one Stored is 0, and Replay stores all anew. What the end of a transaction has left open it finds out by the
// counts, so that the outcome is unknown only when somebody else has the ID by then, or the broker is closed.
//
// Produce of several, and Update, are a transaction of Kafka, and
// return when the last stable offset has passed it. Updates that wait are stored by one transaction together, and each alone when
// that fails. A view reads committed offsets as they are when it is asked, not as of one moment. A call whose context ends before anything was sent, or before the
// end of its transaction is asked for, has stored nothing; afterwards it is samsa.ErrOutcomeUnknown whether it has.
//
// With Options.Keys the application's keys are records of a compacted topic, and a store of this process has a copy, from which Get and Scan are served. An Update is a transaction
// with its records and offsets; Updates that do not meet, in what they read and write, are stored by one together. When the outcome of one is unknown, the
// next Update and View wait until the topic is read to its end. A value is at most as large as max.message.bytes of the topic, 1 MiB by default.
//
// Stats counts what this broker has stored.
package cluster
