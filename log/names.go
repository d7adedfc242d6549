package log

import "errors"

// Named is an error that a caller can act on, with its name.
type Named struct {
	Name string // as "ErrClosed"
	Err  error
}

// Errors is all errors that a caller can act on, and then the families, but for ErrOutcomeUnknown, which others are besides.
// It is not to be changed.
var Errors = []Named{
	{"ErrClosed", ErrClosed},
	{"ErrInCallback", ErrInCallback},
	{"ErrCutOff", ErrCutOff},
	{"ErrFailed", ErrFailed},
	{"ErrDiskFull", ErrDiskFull},
	{"ErrStorage", ErrStorage},
	{"ErrCorruptRecord", ErrCorruptRecord},
	{"ErrCorruptValue", ErrCorruptValue},
	{"ErrRecordTooLarge", ErrRecordTooLarge},
	{"ErrTxTooLarge", ErrTxTooLarge},
	{"ErrOffsetOutOfRange", ErrOffsetOutOfRange},
	{"ErrUnknownTopic", ErrUnknownTopic},
	{"ErrUnknownPartition", ErrUnknownPartition},
	{"ErrTopicExists", ErrTopicExists},
	{"ErrInvalidTopic", ErrInvalidTopic},
	{"ErrInvalidConfig", ErrInvalidConfig},
	{"ErrInvalidPartitions", ErrInvalidPartitions},
	{"ErrInvalidTimestamp", ErrInvalidTimestamp},
	{"ErrInvalidOption", ErrInvalidOption},
	{"ErrLocked", ErrLocked},
	{"ErrNotDirectory", ErrNotDirectory},
	{"ErrNotExist", ErrNotExist},
	{"ErrReadOnly", ErrReadOnly},
	{"ErrOldFormat", ErrOldFormat},
	{"ErrNewerFormat", ErrNewerFormat},
	{"ErrInvalidRecord", ErrInvalidRecord},
	{"ErrOutOfOrderSequence", ErrOutOfOrderSequence},
	{"ErrProducerFenced", ErrProducerFenced},
	{"ErrInvalidTxnState", ErrInvalidTxnState},
	{"ErrConflict", ErrConflict},
	{"ErrKeyNotFound", ErrKeyNotFound},
	{"ErrInvalidKey", ErrInvalidKey},
	{"ErrInvalidSnapshot", ErrInvalidSnapshot},
	{"ErrUnsupportedCodec", ErrUnsupportedCodec},
	{"ErrUnknownMember", ErrUnknownMember},
	{"ErrIllegalGeneration", ErrIllegalGeneration},
	{"ErrRebalanceInProgress", ErrRebalanceInProgress},
	{"ErrFencedInstance", ErrFencedInstance},
	{"ErrMemberIDRequired", ErrMemberIDRequired},
	{"ErrInconsistentProtocol", ErrInconsistentProtocol},
	{"ErrInvalidSessionTimeout", ErrInvalidSessionTimeout},
	{"ErrGroupFull", ErrGroupFull},
	{"ErrInvalidGroup", ErrInvalidGroup},
	{"ErrUnknownGroup", ErrUnknownGroup},
	{"ErrGroupKind", ErrGroupKind},
	{"ErrGroupNotEmpty", ErrGroupNotEmpty},
	{"ErrGroupSubscribed", ErrGroupSubscribed},
	{"ErrMetadataTooLarge", ErrMetadataTooLarge},
	{"ErrFencedMemberEpoch", ErrFencedMemberEpoch},
	{"ErrStaleMemberEpoch", ErrStaleMemberEpoch},
	{"ErrUnsupportedAssignor", ErrUnsupportedAssignor},
	{"ErrInvalidRegex", ErrInvalidRegex},
	{"ErrUnreleasedInstance", ErrUnreleasedInstance},
	{"ErrInvalidTopology", ErrInvalidTopology},
	{"ErrInvalidHeartbeat", ErrInvalidHeartbeat},
	{"ErrNoOffset", ErrNoOffset},
	{"ErrInvalidRecordState", ErrInvalidRecordState},
	{"ErrNotAcquired", ErrNotAcquired},
	{"ErrInvalidTransactionalID", ErrInvalidTransactionalID},
	{"ErrInvalidTxnTimeout", ErrInvalidTxnTimeout},
	{"ErrUnknownTransactionalID", ErrUnknownTransactionalID},
	{"ErrInvalidProducerID", ErrInvalidProducerID},
	{"ErrNotInTransaction", ErrNotInTransaction},

	{"ErrInvalid", ErrInvalid},
	{"ErrUnknown", ErrUnknown},
	{"ErrFenced", ErrFenced},
	{"ErrTooLarge", ErrTooLarge},
	{"ErrUnavailable", ErrUnavailable},
	{"ErrUnsupported", ErrUnsupported},
}

// Name returns the name of the error that err is, or of its family, and "" for others and for nil.
func Name(err error) string {
	for i := range Errors {
		if errors.Is(err, Errors[i].Err) {
			return Errors[i].Name
		}
	}
	return ""
}
