package api

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/samsa-go/samsa"
)

// Error is an error of the API. As an answer it is {"error":{"name":"ErrUnknownTopic","message":"..."}}.
//
// Its name is that of an error of package samsa, or one of ErrCanceled and ErrTimeout, for the end of a context; "" says that it is none
// of them. errors.Is finds the error of that name, its family, and those of Also.
type Error struct {
	Name    string   `json:"name,omitempty"`
	Also    []string `json:"also,omitempty"` // families that it has besides: ErrOutcomeUnknown
	Message string   `json:"message"`
	Status  int      `json:"-"` // of HTTP
}

// Error returns the message.
func (e *Error) Error() string { return e.Message }

// Unwrap returns the errors of these names.
func (e *Error) Unwrap() []error {
	var all []error
	for _, name := range append([]string{e.Name}, e.Also...) {
		if s := find(name); s != nil {
			all = append(all, s.err)
		}
	}
	return all
}

// sentinel is an error that has a name, and the status of an answer with it.
type sentinel struct {
	name   string
	err    error
	status int
}

// sentinels are the errors that have names: the children of a family come before it, as the first that fits is the name.
var sentinels = []sentinel{
	{"ErrClosed", samsa.ErrClosed, http.StatusServiceUnavailable},
	{"ErrFailed", samsa.ErrFailed, http.StatusServiceUnavailable},
	{"ErrInCallback", samsa.ErrInCallback, http.StatusConflict},
	{"ErrCutOff", samsa.ErrCutOff, http.StatusServiceUnavailable},
	{"ErrDiskFull", samsa.ErrDiskFull, http.StatusInsufficientStorage},
	{"ErrStorage", samsa.ErrStorage, http.StatusInternalServerError},
	{"ErrCorruptRecord", samsa.ErrCorruptRecord, http.StatusInternalServerError},
	{"ErrCorruptValue", samsa.ErrCorruptValue, http.StatusInternalServerError},
	{"ErrRecordTooLarge", samsa.ErrRecordTooLarge, http.StatusRequestEntityTooLarge},
	{"ErrTxTooLarge", samsa.ErrTxTooLarge, http.StatusRequestEntityTooLarge},
	{"ErrOffsetOutOfRange", samsa.ErrOffsetOutOfRange, http.StatusRequestedRangeNotSatisfiable},
	{"ErrOutOfOrderSequence", samsa.ErrOutOfOrderSequence, http.StatusConflict},
	{"ErrProducerFenced", samsa.ErrProducerFenced, http.StatusConflict},
	{"ErrInvalidTxnState", samsa.ErrInvalidTxnState, http.StatusConflict},
	{"ErrInvalidTransactionalID", samsa.ErrInvalidTransactionalID, http.StatusBadRequest},
	{"ErrUnknownTransactionalID", samsa.ErrUnknownTransactionalID, http.StatusNotFound},
	{"ErrConflict", samsa.ErrConflict, http.StatusConflict},
	{"ErrKeyNotFound", samsa.ErrKeyNotFound, http.StatusNotFound},
	{"ErrInvalidKey", samsa.ErrInvalidKey, http.StatusBadRequest},
	{"ErrUnknownTopic", samsa.ErrUnknownTopic, http.StatusNotFound},
	{"ErrUnknownPartition", samsa.ErrUnknownPartition, http.StatusNotFound},
	{"ErrTopicExists", samsa.ErrTopicExists, http.StatusConflict},
	{"ErrInvalidTopic", samsa.ErrInvalidTopic, http.StatusBadRequest},
	{"ErrInvalidConfig", samsa.ErrInvalidConfig, http.StatusBadRequest},
	{"ErrInvalidPartitions", samsa.ErrInvalidPartitions, http.StatusBadRequest},
	{"ErrInvalidTimestamp", samsa.ErrInvalidTimestamp, http.StatusBadRequest},
	{"ErrInvalidRecord", samsa.ErrInvalidRecord, http.StatusBadRequest},
	{"ErrInvalidOption", samsa.ErrInvalidOption, http.StatusBadRequest},
	{"ErrLocked", samsa.ErrLocked, http.StatusConflict},
	{"ErrNotDirectory", samsa.ErrNotDirectory, http.StatusBadRequest},
	{"ErrNotExist", samsa.ErrNotExist, http.StatusNotFound},
	{"ErrReadOnly", samsa.ErrReadOnly, http.StatusForbidden},
	{"ErrOldFormat", samsa.ErrOldFormat, http.StatusConflict},
	{"ErrNewerFormat", samsa.ErrNewerFormat, http.StatusConflict},
	{"ErrInvalidSnapshot", samsa.ErrInvalidSnapshot, http.StatusBadRequest},
	{"ErrUnknownMember", samsa.ErrUnknownMember, http.StatusNotFound},
	{"ErrIllegalGeneration", samsa.ErrIllegalGeneration, http.StatusConflict},
	{"ErrRebalanceInProgress", samsa.ErrRebalanceInProgress, http.StatusConflict},
	{"ErrFencedInstance", samsa.ErrFencedInstance, http.StatusConflict},
	{"ErrInconsistentProtocol", samsa.ErrInconsistentProtocol, http.StatusConflict},
	{"ErrInvalidSessionTimeout", samsa.ErrInvalidSessionTimeout, http.StatusBadRequest},
	{"ErrGroupFull", samsa.ErrGroupFull, http.StatusConflict},
	{"ErrInvalidGroup", samsa.ErrInvalidGroup, http.StatusBadRequest},
	{"ErrUnknownGroup", samsa.ErrUnknownGroup, http.StatusNotFound},
	{"ErrGroupKind", samsa.ErrGroupKind, http.StatusConflict},
	{"ErrGroupNotEmpty", samsa.ErrGroupNotEmpty, http.StatusConflict},
	{"ErrGroupSubscribed", samsa.ErrGroupSubscribed, http.StatusConflict},
	{"ErrMetadataTooLarge", samsa.ErrMetadataTooLarge, http.StatusRequestEntityTooLarge},
	{"ErrNoOffset", samsa.ErrNoOffset, http.StatusNotFound},
	{"ErrInvalidRecordState", samsa.ErrInvalidRecordState, http.StatusConflict},
	{"ErrNotAcquired", samsa.ErrNotAcquired, http.StatusConflict},

	{"ErrInvalid", samsa.ErrInvalid, http.StatusBadRequest},
	{"ErrUnknown", samsa.ErrUnknown, http.StatusNotFound},
	{"ErrFenced", samsa.ErrFenced, http.StatusConflict},
	{"ErrTooLarge", samsa.ErrTooLarge, http.StatusRequestEntityTooLarge},
	{"ErrUnsupported", samsa.ErrUnsupported, http.StatusNotImplemented},
	{"ErrUnavailable", samsa.ErrUnavailable, http.StatusServiceUnavailable},
	{"ErrTimeout", context.DeadlineExceeded, http.StatusGatewayTimeout},
	{"ErrCanceled", context.Canceled, statusCanceled},
	{"ErrOutcomeUnknown", samsa.ErrOutcomeUnknown, http.StatusInternalServerError},
}

// statusCanceled is the status of what was given up by who has asked, and so is seen by nobody.
const statusCanceled = 499

// find returns the error of that name, or nil.
func find(name string) *sentinel {
	for i := range sentinels {
		if sentinels[i].name == name {
			return &sentinels[i]
		}
	}
	return nil
}

// asError returns err as the API tells it.
func asError(err error) *Error {
	var e *Error
	if errors.As(err, &e) && e.Message == err.Error() { // one that is wrapped has more to say
		return e
	}
	e = &Error{Message: strings.ToValidUTF8(err.Error(), "�"), Status: http.StatusInternalServerError}
	for i := range sentinels {
		if errors.Is(err, sentinels[i].err) {
			e.Name, e.Status = sentinels[i].name, sentinels[i].status
			break
		}
	}
	if errors.Is(err, samsa.ErrOutcomeUnknown) && e.Name != "ErrOutcomeUnknown" {
		e.Also = []string{"ErrOutcomeUnknown"}
	}
	return e
}
