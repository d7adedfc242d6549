package cli

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"syscall"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/cmd/samsa/internal/schema"
	"github.com/samsa-go/samsa/internal/api"
	"github.com/samsa-go/samsa/log"
)

// What the process ends with. The help topic exit-codes says the same.
const (
	exitOK          = 0
	exitFailed      = 1   // it could not be done
	exitUsage       = 2   // the command line is wrong, or a name or a setting in it
	exitNotFound    = 3   // what was named is not there
	exitExists      = 4   // what was to be made is there already
	exitRefused     = 5   // it may not be done: it was not confirmed, writing is not allowed, or of a mirror some topics are not copied
	exitUnavailable = 6   // not now: the same command may succeed later
	exitDamaged     = 7   // something stored is damaged
	exitPipe        = 141 // nobody reads what is printed any more; as of a process that SIGPIPE has ended
)

// usageError is a mistake in the command line.
type usageError struct{ err error }

// Error says what is wrong.
func (u usageError) Error() string { return u.err.Error() }

// Unwrap returns the cause.
func (u usageError) Unwrap() error { return u.err }

// Errors of this program that have an exit code.
var (
	errNotFound = errors.New("not found")
	errRefused  = errors.New("refused")
)

// pipeBroken reports whether err is that nobody reads what is printed. main has SIGPIPE ignored, which would end the process in the middle
// of what it does.
func pipeBroken(err error) bool {
	var failed *fs.PathError
	return errors.As(err, &failed) && failed.Path == os.Stdout.Name() && errors.Is(failed.Err, syscall.EPIPE)
}

// code returns the exit code for an error.
func code(err error) int {
	var usage usageError
	var network *net.OpError
	var answered *api.Error
	switch is := func(target error) bool { return errors.Is(err, target) }; {
	case err == nil:
		return exitOK
	case errors.As(err, &usage):
		return exitUsage
	case is(errNotFound), is(samsa.ErrUnknown), is(samsa.ErrKeyNotFound), is(samsa.ErrOffsetOutOfRange), is(samsa.ErrNotExist), is(fs.ErrNotExist), is(schema.ErrNotFound):
		return exitNotFound
	case is(samsa.ErrTopicExists), is(fs.ErrExist):
		return exitExists
	case is(errRefused), is(samsa.ErrReadOnly), is(fs.ErrPermission), is(syscall.EROFS):
		return exitRefused
	case is(samsa.ErrCorruptRecord), is(samsa.ErrCorruptValue), is(samsa.ErrInvalidSnapshot):
		return exitDamaged
	case is(samsa.ErrUnavailable), errors.As(err, &network), is(syscall.ECONNREFUSED), is(syscall.ENOSPC), is(schema.ErrUnavailable), is(context.DeadlineExceeded):
		return exitUnavailable
	case is(samsa.ErrInvalidOption), is(samsa.ErrInvalidTopic), is(samsa.ErrInvalidConfig), is(samsa.ErrInvalidPartitions),
		is(samsa.ErrInvalidGroup), is(samsa.ErrInvalidKey), is(samsa.ErrNotDirectory), errors.As(err, &answered) && answered.Name == log.Name(samsa.ErrInvalid):
		return exitUsage
	}
	return exitFailed
}
