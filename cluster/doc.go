// Package cluster opens a Kafka cluster as a broker of Samsa: the same API, and programs that use it stay as they are but for
// where they open.
//
// What a cluster has not is samsa.ErrUnsupported, before anything is done: the application's keys, in Update and View; queues, and their
// acknowledgements in transactions; ProducerOptions.ID, with Stored and Replay; Sync, Snapshot, Import, Sweep and RetentionStats; CleanupConsumed. So are
// kafka.Listen and backups of such a broker.
//
// Topics are made by Topics().Create and Ensure alone: none is made because somebody asks for it, whatever auto.create.topics.enable says.
//
// A record that its topic does not take, for its size, its timestamp or a key that is missing, is refused by a Producer before it is sent, by the configs
// of the topic; where these may not be read the cluster refuses it. With LogAppendTime the promise of a Producer has the time of the
// program, and Produce and Update return that of the broker. Stats does not count what is stored. These two are faults, to be mended.
//
// Broker.Produce of one record is an idempotent append with acks=all. Produce of several, and Update, are a transaction of Kafka, and
// return when the last stable offset has passed it. Updates that wait are stored by one transaction together, and each alone when
// that fails. A view reads committed offsets as they are when it is asked, not as of one moment. What may be stored or not, as when a call's context
// ends while it is under way, is samsa.ErrOutcomeUnknown.
package cluster
