package kafka

import (
	"errors"
	"fmt"
)

// Code is an error code of Kafka's protocol as an error: whoever fails with it, a fault of the test kit
// above all, has clients get that very code. It is, for package errors, the error of package samsa that
// means the same, or else its family. What no family means, authorization above all, is nothing but a Code,
// and so is a code that Kafka does not have. samsa.Retriable is true of those that Kafka's own clients try
// again, but for CORRUPT_MESSAGE, UNKNOWN_TOPIC_OR_PARTITION and UNKNOWN_TOPIC_ID: to a Go program these are
// final. 0 stands for no error and becomes UNKNOWN_SERVER_ERROR.
type Code int16

// Error names the code as Kafka does.
func (c Code) Error() string {
	if m, ok := meanings[c.orUnknown()]; ok {
		return fmt.Sprintf("Kafka error %s (%d)", m.name, int16(c.orUnknown()))
	}
	return fmt.Sprintf("Kafka error code %d", int16(c))
}

// Unwrap returns the error of package samsa that c stands for, or its family, or nil.
func (c Code) Unwrap() error { return meanings[c.orUnknown()].err }

// orUnknown returns what clients get for c.
func (c Code) orUnknown() Code {
	if c == Code(codeNone) {
		return Code(codeUnknownServerError)
	}
	return c
}

// chosenCode returns the code that err asks for, if it is a Code.
func chosenCode(err error) (int16, bool) {
	var c Code
	if !errors.As(err, &c) {
		return codeNone, false
	}
	return int16(c.orUnknown()), true
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
