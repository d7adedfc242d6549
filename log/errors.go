package log

import (
	"errors"

	"github.com/samsa-go/samsa/internal/family"
	"github.com/samsa-go/samsa/internal/store"
)

// The families of the errors below, for callers who act on all of one alike. An error has one family
// or none, and says the same with it. No error is a family and nothing else, but for ErrUnavailable, and
// for error codes of Kafka (kafka.Code) that have no error here.
var (
	// ErrInvalid: what was asked for cannot be, now or later: a name, an option, a config, a record, a
	// key, a directory, a snapshot. The call has changed nothing.
	ErrInvalid = family.ErrInvalid
	// ErrUnknown: what was named is not there: a topic, a partition, a group, a member, a key, an offset.
	ErrUnknown = family.ErrUnknown
	// ErrFenced: a newer one of the same name has taken over; this one must stop.
	ErrFenced = family.ErrFenced
	// ErrTooLarge: what was given is larger than what is taken; the error says by how much.
	ErrTooLarge = family.ErrTooLarge
	// ErrUnavailable: it cannot be done now, and the same call may succeed later: see Retriable. Faults
	// of the test kit are this and nothing else.
	ErrUnavailable = family.ErrUnavailable
	// ErrUnsupported: this release does not do it, and another one may.
	ErrUnsupported = family.ErrUnsupported
	// ErrOutcomeUnknown: what was asked for may have been done, or may not, or in part: the error came when it
	// was on its way, from the store (ErrFailed), the end of the broker (ErrClosed) or of the caller's context. A
	// write that fails in another way has not been done. So the error of a context alone says of a write that
	// it had not begun; most calls wait for the outcome once it has.
	ErrOutcomeUnknown = family.ErrOutcomeUnknown
)

// Retriable reports whether err is of the family ErrUnavailable. See samsa.Retriable.
func Retriable(err error) bool { return errors.Is(err, ErrUnavailable) }

// The errors that a caller can act on. They reach users of the module root under the
// same names, wrapped once with the topic, partition or offset they concern: every error that
// leaves a public function wraps exactly one of them, but for those of the caller's own context
// and functions, and of package net where the wire door listens.
//
// Those that the store has already are its own values, so that nobody needs to translate.
var (
	// ErrClosed: the broker, producer or consumer was closed.
	ErrClosed = store.ErrClosed
	// ErrInCallback: the call would wait for the very function of the program's that makes it: a
	// promise, a callback of a group, a partitioner or an interceptor. Nothing was done.
	ErrInCallback = errors.New("called by a function that it would wait for")
	// ErrCutOff: a Close or Shutdown has waited long enough for a function of the program's, or for
	// the disk, and went on without it. The error says which.
	ErrCutOff = errors.New("cut off")
	// ErrFailed: a write to the store failed, and no more writes are taken until the
	// broker is opened again. What was acknowledged is safe; reads go on. The write that failed is
	// ErrOutcomeUnknown besides; of those that were not taken nothing is stored.
	ErrFailed = store.ErrFailed
	// ErrDiskFull: the append would leave too little room on the disk. Nothing was
	// written; appends resume by themselves once there is room.
	ErrDiskFull = store.ErrDiskFull
	// ErrStorage: the file system or the index failed, with the cause behind it. A failed write
	// is ErrFailed instead.
	ErrStorage = store.ErrIO
	// ErrCorruptRecord: a batch fails a check of its bytes.
	ErrCorruptRecord = errors.New("corrupt record")
	// ErrCorruptValue: something stored that is no batch is damaged: the entry of a topic, a
	// group, a committed offset or a producer's name, or a value of the application. What it
	// belongs to cannot be used, and stays as it is until it is deleted by name.
	ErrCorruptValue = store.ErrCorrupt
	// ErrRecordTooLarge: a record exceeds the topic's max.message.bytes.
	ErrRecordTooLarge = family.New(family.ErrTooLarge, "record too large")
	// ErrTxTooLarge: the records of one atomic call exceed what one store transaction holds.
	ErrTxTooLarge = store.ErrTooLarge
	// ErrOffsetOutOfRange: the offset is before the log start or after the log end.
	ErrOffsetOutOfRange = errors.New("offset out of range")
	// ErrUnknownTopic: there is no topic of that name, or it was deleted.
	ErrUnknownTopic = family.New(family.ErrUnknown, "unknown topic")
	// ErrUnknownPartition: the topic has no such partition.
	ErrUnknownPartition = family.New(family.ErrUnknown, "unknown partition")
	// ErrTopicExists: a topic of that name is there already.
	ErrTopicExists = errors.New("topic already exists")
	// ErrInvalidTopic: the name breaks Kafka's rules for topic names.
	ErrInvalidTopic = family.New(family.ErrInvalid, "invalid topic name")
	// ErrInvalidConfig: a config of a topic or the broker has an unknown name or a value out of its range.
	ErrInvalidConfig = family.New(family.ErrInvalid, "invalid config")
	// ErrInvalidPartitions: the number of partitions is not one that can be had.
	ErrInvalidPartitions = family.New(family.ErrInvalid, "invalid number of partitions")
	// ErrInvalidTimestamp: the record's timestamp cannot be stored.
	ErrInvalidTimestamp = family.New(family.ErrInvalid, "invalid timestamp")
	// ErrInvalidOption: an option is out of its range; the error names every wrong one.
	ErrInvalidOption = family.New(family.ErrInvalid, "invalid option")
	// ErrLocked: the directory is open already, in this process or another.
	ErrLocked = store.ErrLocked
	// ErrNotDirectory: the path is a file, or a directory that holds something else.
	ErrNotDirectory = store.ErrNotDirectory
	// ErrNotExist: the directory is missing or empty, and Options.MustExist wants a broker's data in it. It is
	// fs.ErrNotExist too.
	ErrNotExist = store.ErrNotExist
	// ErrReadOnly: the directory cannot be written, or the broker was opened with Options.ReadOnly.
	ErrReadOnly = store.ErrReadOnly
	// ErrOldFormat: the directory was written by a release whose format is not read any more. Take
	// a snapshot with that release, and restore it with this one.
	ErrOldFormat = store.ErrOldFormat
	// ErrNewerFormat: the directory was written by a newer version of this library.
	ErrNewerFormat = store.ErrNewerFormat
	// ErrInvalidRecord: the topic does not take such a record: one without a key in a
	// compacted topic.
	ErrInvalidRecord = family.New(family.ErrInvalid, "invalid record")
	// ErrOutOfOrderSequence: the batch of an idempotent producer does not follow its last one,
	// and is none of its last five.
	ErrOutOfOrderSequence = errors.New("out of order sequence number")
	// ErrProducerFenced: a newer producer of the same id has taken over; this one must stop.
	ErrProducerFenced = family.New(family.ErrFenced, "fenced by a newer producer of the same id")
	// ErrInvalidTxnState: the producer's transaction is not in a state that allows it: a batch without one while
	// one is open.
	ErrInvalidTxnState = family.New(family.ErrInvalid, "invalid state of a transaction")
	// ErrConflict: a transaction read keys that another one has written since.
	ErrConflict = family.New(family.ErrUnavailable, "conflicting transaction")
	// ErrKeyNotFound: the application has no value under the key, or a table no row.
	ErrKeyNotFound = family.New(family.ErrUnknown, "key not found")
	// ErrInvalidKey: a key of the application is empty or too long.
	ErrInvalidKey = family.New(family.ErrInvalid, "invalid key")
	// ErrInvalidSnapshot: what should be restored is no snapshot of a broker, or it is damaged or
	// not whole.
	ErrInvalidSnapshot = store.ErrBadStream
	// ErrUnsupportedCodec: the compression codec is not one of Kafka's five.
	ErrUnsupportedCodec = family.New(family.ErrUnsupported, "unsupported compression codec")
)

// The errors of groups, wrapped with the group and the member they concern.
var (
	// ErrUnknownMember: the group has no member of that id; the member joins anew, without one.
	ErrUnknownMember = family.New(family.ErrUnknown, "unknown member")
	// ErrIllegalGeneration: the generation is not the group's current one; the member rejoins.
	ErrIllegalGeneration = errors.New("illegal generation")
	// ErrRebalanceInProgress: the group is between two generations; the member rejoins.
	ErrRebalanceInProgress = errors.New("rebalance in progress")
	// ErrFencedInstance: the instance id belongs to another, newer member; this one must stop.
	ErrFencedInstance = family.New(family.ErrFenced, "fenced by a newer member of the same instance id")
	// ErrMemberIDRequired: the member was given an id, and joins again with it.
	ErrMemberIDRequired = errors.New("member id required")
	// ErrInconsistentProtocol: the member's protocols are not what the others of the group speak.
	ErrInconsistentProtocol = errors.New("inconsistent group protocol")
	// ErrInvalidSessionTimeout: the session timeout is out of the range that the broker allows.
	ErrInvalidSessionTimeout = family.New(family.ErrInvalid, "invalid session timeout")
	// ErrGroupFull: the group has as many members as the broker allows.
	ErrGroupFull = errors.New("group is full")
	// ErrInvalidGroup: the name cannot be one of a group.
	ErrInvalidGroup = family.New(family.ErrInvalid, "invalid group name")
	// ErrUnknownGroup: there is no group of that name, or it was deleted.
	ErrUnknownGroup = family.New(family.ErrUnknown, "unknown group")
	// ErrGroupKind: the group of that name is of another kind (classic, consumer, share, streams), and what was asked is
	// nothing for it.
	ErrGroupKind = family.New(family.ErrUnknown, "group of another kind")
	// ErrGroupNotEmpty: the group still has members, and what was asked needs that it has none.
	ErrGroupNotEmpty = errors.New("group is not empty")
	// ErrGroupSubscribed: consumers of the group subscribe to the topic, and go on from its offsets.
	ErrGroupSubscribed = errors.New("group is subscribed to the topic")
	// ErrMetadataTooLarge: the metadata of a committed offset is too long.
	ErrMetadataTooLarge = family.New(family.ErrTooLarge, "offset metadata too large")
	// ErrFencedMemberEpoch: the member's epoch is not the one that the group knows; it gives up what it has, and joins anew.
	ErrFencedMemberEpoch = errors.New("fenced by the epoch of the member")
	// ErrStaleMemberEpoch: the member has meanwhile another epoch; it asks again with that.
	ErrStaleMemberEpoch = errors.New("stale epoch of the member")
	// ErrUnsupportedAssignor: the broker has no assignor of that name.
	ErrUnsupportedAssignor = family.New(family.ErrUnsupported, "unsupported assignor")
	// ErrInvalidRegex: what is to be a regular expression of topics is none.
	ErrInvalidRegex = family.New(family.ErrInvalid, "invalid regular expression")
	// ErrUnreleasedInstance: the instance id belongs to a member that has not left.
	ErrUnreleasedInstance = errors.New("instance id is not released")
	// ErrInvalidTopology: the topology of a streams application cannot be.
	ErrInvalidTopology = family.New(family.ErrInvalid, "invalid topology")
	// ErrInvalidHeartbeat: what a member says of itself or of what it has cannot be.
	ErrInvalidHeartbeat = family.New(family.ErrInvalid, "invalid heartbeat")
	// ErrNoOffset: the group has no committed offset for the partition, and the consumer was
	// told not to begin elsewhere.
	ErrNoOffset = family.New(family.ErrUnknown, "no committed offset")
)

// The errors of queues and share groups, wrapped with the group and the partition they concern.
var (
	// ErrInvalidRecordState: the record cannot be acknowledged by who tries to: it was already, or its lock has run out, or
	// somebody else has it. The error says which.
	ErrInvalidRecordState = family.New(family.ErrInvalid, "invalid record state")
	// ErrNotAcquired: the record was never given to anybody of the group.
	ErrNotAcquired = family.New(family.ErrInvalid, "record was not acquired")
)

// The errors of transactions, wrapped with the transactional id they concern.
var (
	// ErrInvalidTransactionalID: the name cannot be a transactional id.
	ErrInvalidTransactionalID = family.New(family.ErrInvalid, "invalid transactional id")
	// ErrInvalidTxnTimeout: the time-out of transactions is out of the range that the broker allows.
	ErrInvalidTxnTimeout = family.New(family.ErrInvalid, "invalid transaction timeout")
	// ErrUnknownTransactionalID: no producer has begun with that transactional id, or it was not used for long.
	ErrUnknownTransactionalID = family.New(family.ErrUnknown, "unknown transactional id")
	// ErrInvalidProducerID: the producer id is not the one that belongs to the transactional id.
	ErrInvalidProducerID = family.New(family.ErrInvalid, "not the producer id of the transactional id")
	// ErrNotInTransaction: the partition or the group was not added to the transaction, which can only be aborted now.
	ErrNotInTransaction = errors.New("not added to the transaction")
)
