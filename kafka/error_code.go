package kafka

import (
	"errors"
	"fmt"

	"github.com/samsa-go/samsa/log"
)

// Code is an error code of Kafka's protocol as an error: whoever fails with it, a fault of the test kit
// above all, has clients get that very code. It is, for package errors, the error of package samsa that
// the wire door gives this code to, or ErrUnavailable when there is none. 0 stands for no error and
// becomes UNKNOWN_SERVER_ERROR.
type Code int16

// Error names the code by its number: there are some 130.
func (c Code) Error() string { return fmt.Sprintf("Kafka error code %d", int16(c)) }

// Unwrap returns the error of package samsa that c stands for.
func (c Code) Unwrap() error {
	switch int16(c) {
	case codeStorageError, codeNetworkException, codeUnknownServerError: // of several errors the one after which all is well again
		return log.ErrUnavailable
	}
	for _, known := range codes {
		if known.code == int16(c) {
			return known.err
		}
	}
	return log.ErrUnavailable
}

// chosenCode returns the code that err asks for, if it is a Code.
func chosenCode(err error) (int16, bool) {
	var c Code
	if !errors.As(err, &c) {
		return codeNone, false
	}
	if int16(c) == codeNone {
		return codeUnknownServerError, true
	}
	return int16(c), true
}

// groupCodeOf is codeOf for requests about groups.
func (s *Server) groupCodeOf(err error) int16 { return coordinatorCode(err, s.codeOf(err)) }

// coordinatorCode is what a coordinator calls an error that has a code. What is wrong with the partition
// that it writes has other names there, after which clients look for the coordinator and try again, as in
// Kafka (CoordinatorOperationExceptionHelper); so has a broker that is closing.
func coordinatorCode(err error, code int16) int16 {
	if _, chosen := chosenCode(err); chosen {
		return code
	}
	switch code {
	case codeStorageError:
		return codeNotCoordinator
	case codeNetworkException, codeRequestTimedOut:
		return codeCoordinatorNotAvailable
	}
	return code
}
