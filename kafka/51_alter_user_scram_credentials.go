package kafka

import (
	"errors"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa/internal/sasl"
	"github.com/samsa-go/samsa/internal/users"
)

// AlterUserScramCredentials: gives users passwords, and takes them away.
//
// Version 0. The client has hashed the password: it is never sent. A user who is named twice is DUPLICATE_RESOURCE, unless the first time
// is an error of its own; no name, a name that is too
// long, too few iterations or too many are UNACCEPTABLE_CREDENTIAL; a mechanism that is none of SCRAM is UNSUPPORTED_SASL_MECHANISM; to take
// away what is not there RESOURCE_NOT_FOUND. The others are stored together. Who is connected stays so.
func (c *call) alterUserSCRAMCredentials(req *kmsg.AlterUserSCRAMCredentialsRequest) kmsg.Response {
	resp := kmsg.NewPtrAlterUserSCRAMCredentialsResponse()
	var changes []users.Change
	var names []string // in the order in which they came
	errs, times := make(map[string]error), make(map[string]int)
	add := func(name string, change users.Change, err error) {
		if times[name]++; times[name] == 1 {
			names = append(names, name)
			changes = append(changes, change)
			errs[name] = err
		} else if errs[name] == nil {
			errs[name] = errUserTwice
		}
	}
	for _, d := range req.Deletions {
		mechanism, err := scramOf(d.Name, d.Mechanism)
		if u, unknown := c.s.in.Users.Find(d.Name); err == nil && (unknown != nil || u.Iterations[mechanism] == 0) {
			err = credentialError(users.ErrUnknown)
		}
		add(d.Name, users.Change{Name: d.Name, Mechanism: mechanism, Delete: true}, err)
	}
	for i := range req.Upsertions {
		change, err := upsertion(&req.Upsertions[i])
		add(change.Name, change, err)
	}
	var good []users.Change
	for i, name := range names {
		if errs[name] == nil {
			good = append(good, changes[i])
		}
	}
	for i, err := range c.s.in.Users.Alter(c.s.ctx, good) {
		errs[good[i].Name] = credentialError(err)
	}
	for _, name := range names {
		r := kmsg.NewAlterUserSCRAMCredentialsResponseResult()
		r.User, r.ErrorCode, r.ErrorMessage = name, c.s.codeOf(errs[name]), message(errs[name])
		resp.Results = append(resp.Results, r)
	}
	return resp
}

var (
	errUserTwice  = protocolError{codeDuplicateResource, "A user credential cannot be altered twice in the same request"}
	errNoUserName = protocolError{codeUnacceptableCredential, "Username must not be empty"}
)

// scramOf returns the mechanism of a number.
func scramOf(user string, number int8) (string, error) {
	if user == "" {
		return "", errNoUserName
	}
	for mechanism, n := range scramNumbers {
		if n == number {
			return mechanism, nil
		}
	}
	return "", protocolError{codeUnsupportedSASLMechanism, "Unknown SCRAM mechanism"}
}

// upsertion returns a change that gives a user a password. It has memory of its own.
func upsertion(u *kmsg.AlterUserSCRAMCredentialsRequestUpsertion) (users.Change, error) {
	mechanism, err := scramOf(u.Name, u.Mechanism)
	change := users.Change{Name: u.Name, Mechanism: mechanism}
	switch {
	case err != nil:
	case u.Iterations < sasl.MinIterations:
		err = protocolError{codeUnacceptableCredential, "Too few iterations"}
	case u.Iterations > sasl.MaxIterations:
		err = protocolError{codeUnacceptableCredential, "Too many iterations"}
	case len(u.SaltedPassword) == 0:
		err = protocolError{codeUnacceptableCredential, "Empty salted password"}
	default:
		change.Credential = sasl.FromSalted(mechanism, u.SaltedPassword, append([]byte(nil), u.Salt...), int(u.Iterations))
	}
	return change, err
}

// credentialError returns what a change of a user fails with, as Kafka calls it.
func credentialError(err error) error {
	switch {
	case errors.Is(err, users.ErrUnknown):
		return protocolError{codeResourceNotFound, "Attempt to delete a user credential that does not exist"}
	case errors.Is(err, users.ErrName), errors.Is(err, users.ErrSalt), errors.Is(err, users.ErrTooMany):
		return protocolError{codeUnacceptableCredential, err.Error()}
	}
	return err
}

// failedUsers answers each user of a request with a code.
func failedUsers(req *kmsg.AlterUserSCRAMCredentialsRequest, code int16) kmsg.Response {
	resp := kmsg.NewPtrAlterUserSCRAMCredentialsResponse()
	answered := make(map[string]bool)
	add := func(name string) {
		if !answered[name] {
			answered[name] = true
			r := kmsg.NewAlterUserSCRAMCredentialsResponseResult()
			r.User, r.ErrorCode = name, code
			resp.Results = append(resp.Results, r)
		}
	}
	for i := range req.Deletions {
		add(req.Deletions[i].Name)
	}
	for i := range req.Upsertions {
		add(req.Upsertions[i].Name)
	}
	return resp
}
