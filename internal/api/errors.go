package api

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/backup"
	"github.com/samsa-go/samsa/log"
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
		if err := find(name); err != nil {
			all = append(all, err)
		}
	}
	return all
}

// Names of errors of a context, which the library does not name.
const (
	nameTimeout  = "ErrTimeout"
	nameCanceled = "ErrCanceled"
	nameUnclear  = "ErrOutcomeUnknown" // which others are besides
	nameGap      = "ErrGap"            // of package backup
)

// statuses are the statuses of errors that have none by their family: the first that fits counts.
var statuses = []struct {
	err    error
	status int
}{
	{samsa.ErrClosed, http.StatusServiceUnavailable}, {samsa.ErrFailed, http.StatusServiceUnavailable}, {samsa.ErrCutOff, http.StatusServiceUnavailable},
	{samsa.ErrDiskFull, http.StatusInsufficientStorage}, {samsa.ErrReadOnly, http.StatusForbidden},
	{samsa.ErrStorage, http.StatusInternalServerError}, {samsa.ErrCorruptRecord, http.StatusInternalServerError},
	{samsa.ErrCorruptValue, http.StatusInternalServerError}, {samsa.ErrOffsetOutOfRange, http.StatusRequestedRangeNotSatisfiable},
	{samsa.ErrNoOffset, http.StatusNotFound}, {samsa.ErrGroupKind, http.StatusConflict},
	{samsa.ErrConflict, http.StatusConflict}, {samsa.ErrLocked, http.StatusConflict},
	{samsa.ErrInvalidTxnState, http.StatusConflict}, {samsa.ErrInvalidRecordState, http.StatusConflict}, {samsa.ErrNotAcquired, http.StatusConflict},

	{samsa.ErrInvalid, http.StatusBadRequest}, {samsa.ErrUnknown, http.StatusNotFound}, {samsa.ErrTooLarge, http.StatusRequestEntityTooLarge},
	{samsa.ErrUnsupported, http.StatusNotImplemented}, {samsa.ErrUnavailable, http.StatusServiceUnavailable},
	{context.DeadlineExceeded, http.StatusGatewayTimeout}, {context.Canceled, statusCanceled},
	{samsa.ErrOutcomeUnknown, http.StatusInternalServerError},
}

// statusCanceled is the status of what was given up by who has asked, and so is seen by nobody.
const statusCanceled = 499

// find returns the error of that name, or nil.
func find(name string) error {
	switch name {
	case nameTimeout:
		return context.DeadlineExceeded
	case nameCanceled:
		return context.Canceled
	case nameUnclear:
		return samsa.ErrOutcomeUnknown
	case nameGap:
		return backup.ErrGap
	}
	for _, e := range log.Errors {
		if e.Name == name {
			return e.Err
		}
	}
	return nil
}

// nameOf returns the name of err, "" for none.
func nameOf(err error) string {
	name := log.Name(err)
	switch {
	case errors.Is(err, backup.ErrGap):
		return nameGap
	case name != "":
		return name
	case errors.Is(err, context.DeadlineExceeded):
		return nameTimeout
	case errors.Is(err, context.Canceled):
		return nameCanceled
	case errors.Is(err, samsa.ErrOutcomeUnknown):
		return nameUnclear
	}
	return ""
}

// asError returns err as the API tells it.
func asError(err error) *Error {
	var e *Error
	if errors.As(err, &e) && e.Message == err.Error() { // one that is wrapped has more to say
		return e
	}
	e = &Error{Name: nameOf(err), Message: strings.ToValidUTF8(err.Error(), "\ufffd"), Status: http.StatusConflict}
	if e.Name == "" {
		e.Status = http.StatusInternalServerError
	}
	for _, s := range statuses {
		if errors.Is(err, s.err) {
			e.Status = s.status
			break
		}
	}
	if errors.Is(err, samsa.ErrOutcomeUnknown) && e.Name != nameUnclear {
		e.Also = []string{nameUnclear}
	}
	return e
}
