package kafka

import (
	"context"
	"errors"
	"strings"

	"go.uber.org/zap"

	"github.com/samsa-go/samsa/log"
)

// Kafka's error codes (https://kafka.apache.org/protocol#protocol_error_codes), those that
// are answered.
const (
	codeNone                               int16 = 0
	codeUnknownServerError                 int16 = -1
	codeOffsetOutOfRange                   int16 = 1
	codeCorruptMessage                     int16 = 2
	codeUnknownTopicOrPartition            int16 = 3
	codeLeaderNotAvailable                 int16 = 5
	codeNotLeaderOrFollower                int16 = 6
	codeRequestTimedOut                    int16 = 7
	codeMessageTooLarge                    int16 = 10
	codeOffsetMetadataTooLarge             int16 = 12
	codeNetworkException                   int16 = 13
	codeCoordinatorLoadInProgress          int16 = 14
	codeCoordinatorNotAvailable            int16 = 15
	codeNotCoordinator                     int16 = 16
	codeReplicaNotAvailable                int16 = 9
	codeInvalidTopic                       int16 = 17
	codeRecordListTooLarge                 int16 = 18
	codeInvalidRequiredAcks                int16 = 21
	codeIllegalGeneration                  int16 = 22
	codeInconsistentGroupProtocol          int16 = 23
	codeInvalidGroupID                     int16 = 24
	codeUnknownMemberID                    int16 = 25
	codeInvalidSessionTimeout              int16 = 26
	codeRebalanceInProgress                int16 = 27
	codeTopicAuthorizationFailed           int16 = 29
	codeGroupAuthorizationFailed           int16 = 30
	codeClusterAuthorizationFailed         int16 = 31
	codeInvalidTimestamp                   int16 = 32
	codeUnsupportedSASLMechanism           int16 = 33
	codeIllegalSASLState                   int16 = 34
	codeUnsupportedVersion                 int16 = 35
	codeTopicAlreadyExists                 int16 = 36
	codeInvalidPartitions                  int16 = 37
	codeInvalidReplicationFactor           int16 = 38
	codeInvalidReplicaAssignment           int16 = 39
	codeInvalidConfig                      int16 = 40
	codeNotController                      int16 = 41
	codeInvalidRequest                     int16 = 42
	codePolicyViolation                    int16 = 44
	codeOutOfOrderSequenceNumber           int16 = 45
	codeInvalidProducerEpoch               int16 = 47
	codeInvalidTxnState                    int16 = 48
	codeInvalidProducerIDMapping           int16 = 49
	codeInvalidTransactionTimeout          int16 = 50
	codeConcurrentTransactions             int16 = 51
	codeTransactionalIDAuthorizationFailed int16 = 53
	codeSecurityDisabled                   int16 = 54
	codeOperationNotAttempted              int16 = 55
	codeStorageError                       int16 = 56
	codeSASLAuthenticationFailed           int16 = 58
	codeDelegationTokenAuthDisabled        int16 = 61
	codeDelegationTokenRequestNotAllowed   int16 = 64
	codeNonEmptyGroup                      int16 = 68
	codeGroupIDNotFound                    int16 = 69
	codeFetchSessionIDNotFound             int16 = 70
	codeInvalidFetchSessionEpoch           int16 = 71
	codeFencedLeaderEpoch                  int16 = 74
	codeUnknownLeaderEpoch                 int16 = 75
	codeUnsupportedCompressionType         int16 = 76
	codeOffsetNotAvailable                 int16 = 78
	codeMemberIDRequired                   int16 = 79
	codePreferredLeaderNotAvailable        int16 = 80
	codeGroupMaxSizeReached                int16 = 81
	codeFencedInstanceID                   int16 = 82
	codeEligibleLeadersNotAvailable        int16 = 83
	codeElectionNotNeeded                  int16 = 84
	codeNoReassignmentInProgress           int16 = 85
	codeGroupSubscribedToTopic             int16 = 86
	codeInvalidRecord                      int16 = 87
	codeUnstableOffsetCommit               int16 = 88
	codeThrottlingQuotaExceeded            int16 = 89
	codeProducerFenced                     int16 = 90
	codeResourceNotFound                   int16 = 91
	codeDuplicateResource                  int16 = 92
	codeUnacceptableCredential             int16 = 93
	codeInvalidUpdateVersion               int16 = 95
	codeUnknownTopicID                     int16 = 100
	codeBrokerIDNotRegistered              int16 = 102
	codeTransactionalIDNotFound            int16 = 105
	codeFencedMemberEpoch                  int16 = 110
	codeUnreleasedInstanceID               int16 = 111
	codeUnsupportedAssignor                int16 = 112
	codeStaleMemberEpoch                   int16 = 113
	codeMismatchedEndpointType             int16 = 114
	codeUnsupportedEndpointType            int16 = 115
	codeTransactionAbortable               int16 = 120
	codeInvalidRecordState                 int16 = 121
	codeShareSessionNotFound               int16 = 122
	codeInvalidShareSessionEpoch           int16 = 123
	codeInvalidRegularExpression           int16 = 128
	codeRebootstrapRequired                int16 = 129
	codeStreamsInvalidTopology             int16 = 130
	codeShareSessionLimitReached           int16 = 133
)

// codes is the error code of every error that a caller of the broker can act on. Those that
// only Open returns are there too, so that none can be forgotten. The families stand behind their errors.
var codes = []struct {
	err  error
	code int16
}{
	{log.ErrClosed, codeNetworkException}, // clients try again, elsewhere or later
	{log.ErrInCallback, codeUnknownServerError},
	{log.ErrCutOff, codeUnknownServerError},
	{log.ErrFailed, codeStorageError},
	{log.ErrDiskFull, codeStorageError}, // clients try again
	{log.ErrStorage, codeStorageError},
	{log.ErrCorruptRecord, codeCorruptMessage},
	{log.ErrCorruptValue, codeUnknownServerError}, // clients are not to try again
	{log.ErrRecordTooLarge, codeMessageTooLarge},
	{log.ErrTxTooLarge, codeRecordListTooLarge},
	{log.ErrOffsetOutOfRange, codeOffsetOutOfRange},
	{log.ErrUnknownTopic, codeUnknownTopicOrPartition},
	{log.ErrUnknownPartition, codeUnknownTopicOrPartition},
	{log.ErrTopicExists, codeTopicAlreadyExists},
	{log.ErrInvalidTopic, codeInvalidTopic},
	{log.ErrInvalidConfig, codeInvalidConfig},
	{log.ErrInvalidPartitions, codeInvalidPartitions},
	{log.ErrInvalidTimestamp, codeInvalidTimestamp},
	{log.ErrInvalidOption, codeInvalidRequest},
	{log.ErrLocked, codeStorageError},
	{log.ErrNotDirectory, codeStorageError},
	{log.ErrNotExist, codeStorageError},
	{log.ErrReadOnly, codePolicyViolation}, // of a broker that is read only; clients are not to try again
	{log.ErrOldFormat, codeStorageError},
	{log.ErrNewerFormat, codeStorageError},
	{log.ErrInvalidSnapshot, codeInvalidRequest},
	{log.ErrInvalidRecord, codeInvalidRecord},
	{log.ErrOutOfOrderSequence, codeOutOfOrderSequenceNumber},
	{log.ErrProducerFenced, codeInvalidProducerEpoch},
	{log.ErrInvalidTxnState, codeInvalidTxnState},
	{log.ErrConflict, codeConcurrentTransactions},
	{log.ErrKeyNotFound, codeResourceNotFound},
	{log.ErrInvalidKey, codeInvalidRequest},
	{log.ErrUnsupportedCodec, codeUnsupportedCompressionType},

	{log.ErrUnknownMember, codeUnknownMemberID},
	{log.ErrIllegalGeneration, codeIllegalGeneration},
	{log.ErrRebalanceInProgress, codeRebalanceInProgress},
	{log.ErrFencedInstance, codeFencedInstanceID},
	{log.ErrMemberIDRequired, codeMemberIDRequired},
	{log.ErrInconsistentProtocol, codeInconsistentGroupProtocol},
	{log.ErrInvalidSessionTimeout, codeInvalidSessionTimeout},
	{log.ErrGroupFull, codeGroupMaxSizeReached},
	{log.ErrInvalidGroup, codeInvalidGroupID},
	{log.ErrUnknownGroup, codeGroupIDNotFound},
	{log.ErrGroupKind, codeGroupIDNotFound},
	{log.ErrFencedMemberEpoch, codeFencedMemberEpoch},
	{log.ErrStaleMemberEpoch, codeStaleMemberEpoch},
	{log.ErrUnreleasedInstance, codeUnreleasedInstanceID},
	{log.ErrUnsupportedAssignor, codeUnsupportedAssignor},
	{log.ErrInvalidRegex, codeInvalidRegularExpression},
	{log.ErrInvalidTopology, codeStreamsInvalidTopology},
	{log.ErrInvalidHeartbeat, codeInvalidRequest},
	{log.ErrGroupNotEmpty, codeNonEmptyGroup},
	{log.ErrGroupSubscribed, codeGroupSubscribedToTopic},
	{log.ErrMetadataTooLarge, codeOffsetMetadataTooLarge},
	{log.ErrNoOffset, codeOffsetNotAvailable},

	{log.ErrInvalidRecordState, codeInvalidRecordState},
	{log.ErrNotAcquired, codeInvalidRequest},

	{log.ErrInvalidTransactionalID, codeInvalidRequest},
	{log.ErrInvalidTxnTimeout, codeInvalidTransactionTimeout},
	{log.ErrUnknownTransactionalID, codeTransactionalIDNotFound},
	{log.ErrInvalidProducerID, codeInvalidProducerIDMapping},
	{log.ErrNotInTransaction, codeTransactionAbortable},

	{context.DeadlineExceeded, codeRequestTimedOut},
	{context.Canceled, codeNetworkException},

	{log.ErrUnavailable, codeStorageError}, // clients try again
	{log.ErrInvalid, codeInvalidRequest},
	{log.ErrUnknown, codeResourceNotFound},
	{log.ErrFenced, codeInvalidProducerEpoch},
	{log.ErrTooLarge, codeMessageTooLarge},
	{log.ErrUnsupported, codeUnsupportedVersion},
	{log.ErrOutcomeUnknown, codeRequestTimedOut},
}

// protocolError is an error that exists on the wire only: the broker's own errors are in the
// table.
type protocolError struct {
	code int16
	text string
}

// Error returns the text that clients see where an answer has room for one.
func (e protocolError) Error() string { return e.text }

// codeOf returns the error code of err, 0 for nil. Errors that nobody has thought of become
// UNKNOWN_SERVER_ERROR, and are logged, as nobody else sees them.
func (s *Server) codeOf(err error) int16 {
	if err == nil {
		return codeNone
	}
	if code, ok := chosenCode(err); ok {
		return code
	}
	var pe protocolError
	if errors.As(err, &pe) {
		return s.released(pe.code)
	}
	for _, c := range codes {
		if errors.Is(err, c.err) {
			return s.released(c.code)
		}
	}
	s.logger.Error("a request failed with an error that has no code", zap.Error(err))
	return codeUnknownServerError
}

// Errors quote what was wrong, which may be as long as a request. Answers say as much of that as
// helps: there may be a message for each thing that a request names, thousands.
const (
	maxMessageBytes          = 1 << 10
	maxPartitionMessageBytes = 256 // of a partition, of which a small request may name most
)

// message is what answers say about err: nil for nil.
func message(err error) *string { return messageOf(err, maxMessageBytes) }

// messageOf is message, of at most so many bytes.
func messageOf(err error, most int) *string {
	if err == nil {
		return nil
	}
	text := err.Error()
	if len(text) > most {
		const cut = "..."
		text = strings.ToValidUTF8(text[:most-len(cut)], "") + cut // a copy: the rest is garbage
	}
	return &text
}

func kmsgString(s string) *string { return &s }
