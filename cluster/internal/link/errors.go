package link

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/samsa-go/samsa/internal/family"
	"github.com/samsa-go/samsa/kafka"
	"github.com/samsa-go/samsa/log"
)

// Explain returns err, of a request, as one of the library; what is what it concerns. A code of the cluster is a
// kafka.Code, which is the error of the library that means the same, if there is one. A cluster that does not answer is
// ErrUnavailable. The errors of contexts stay. That a connection was not made in time is both, as net says the same whether its own time is over or
// that of the context.
func Explain(what string, err error) error {
	var k *kerr.Error
	var op *net.OpError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &k):
		return fmt.Errorf("%s: %w", what, kafka.Code(k.Code))
	case errors.Is(err, kgo.ErrClientClosed):
		return fmt.Errorf("%s: %w", what, log.ErrClosed)
	case errors.As(err, &op) && op.Timeout():
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%s: %w", what, err)
	case errors.Is(err, log.ErrUnavailable), errors.Is(err, log.ErrClosed):
		return fmt.Errorf("%s: %w", what, err)
	}
	return fmt.Errorf("%s: %w: the cluster does not answer: %w", what, log.ErrUnavailable, err)
}

// Code returns an error code of an answer as Explain does, nil for 0, with what the cluster says to it, if anything.
func Code(what string, code int16, message *string) error {
	switch {
	case code == 0:
		return nil
	case message != nil && *message != "":
		return fmt.Errorf("%s: %w: %s", what, kafka.Code(code), *message)
	}
	return fmt.Errorf("%s: %w", what, kafka.Code(code))
}

// Passing reports whether a code says that something is on its way to be well: another broker leads or coordinates now, or
// somebody does not know it yet.
func Passing(code int16) bool {
	err := kerr.ErrorForCode(code)
	return kerr.IsRetriable(err) && !errors.Is(err, kerr.CorruptMessage)
}

// PassingError is Passing of the code that err, of Explain, is.
func PassingError(err error) bool {
	var code kafka.Code
	return errors.As(err, &code) && Passing(int16(code))
}

// Refused reports whether err says that the cluster does not let us in, or that we do not trust it: to try again is of no use.
func Refused(err error) bool {
	for _, e := range []*kerr.Error{kerr.SaslAuthenticationFailed, kerr.UnsupportedSaslMechanism, kerr.IllegalSaslState, kerr.ClusterAuthorizationFailed} {
		if errors.Is(err, e) || errors.Is(err, kafka.Code(e.Code)) {
			return true
		}
	}
	var untrusted *tls.CertificateVerificationError
	var noTLS tls.RecordHeaderError
	var op *net.OpError
	return errors.As(err, &untrusted) || errors.As(err, &noTLS) ||
		errors.As(err, &op) && op.Op == "remote error" || // so crypto/tls tells an alert
		err != nil && strings.Contains(err.Error(), "tls alert record") // and so franz-go, of one that came where no TLS was
}

// HungUp reports whether a broker has hung up before a word, of a client of Probe. It does so when one of both sides wants TLS and the
// other does not, or for a password that is missing; and when it ends.
func HungUp(err error) bool {
	var e *kgo.ErrFirstReadEOF
	return errors.As(err, &e)
}

// Unknown returns err, of a request that changes something, as one that is ErrOutcomeUnknown too, unless the cluster has said
// that it is not done.
func Unknown(err error) error {
	var code kafka.Code
	if err == nil || errors.As(err, &code) {
		return err
	}
	return family.Of(log.ErrOutcomeUnknown, err)
}
