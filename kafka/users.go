package kafka

import (
	"context"
	"errors"
	"fmt"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/users"
)

// Users are the users of a broker, and their passwords: who may log in to servers with Security.SASL, by PLAIN and by SCRAM alike, and to the
// console of `samsa serve`. They are kept in the broker's store, which has no passwords, but what it takes to know them again (RFC 5802). Kafka's
// tools change them too: kafka-configs.sh --entity-type users. Its methods may be called by anybody at any time.
type Users struct{ s *users.Store }

// UsersOf returns the users of b. A broker that is a Kafka cluster is samsa.ErrUnsupported: what a cluster knows of a password nobody is told, so Check
// cannot be; its users are changed by AlterUserScramCredentials, as `samsa users -b` does.
func UsersOf(b *samsa.Broker) (Users, error) {
	in, err := local(b, "users")
	if err != nil {
		return Users{}, fmt.Errorf("kafka: %w", err)
	}
	return Users{in.Users}, nil
}

// Set gives a user a password, in place of the one that he may have. When it returns nil that is stored, and counts from the next login
// on. Names have 1 to 255 bytes, and no password is empty: samsa.ErrInvalidOption. Other errors are those of the store.
func (u Users) Set(ctx context.Context, name, password string) error {
	changes, err := users.Set(name, password)
	if err == nil {
		err = errors.Join(u.s.Alter(ctx, changes)...)
	}
	if err != nil {
		return fmt.Errorf("kafka: set the password of user %q: %w", name, err)
	}
	return nil
}

// Delete removes a user; one who does not exist is samsa.ErrUnknown. Connections that he has stay.
func (u Users) Delete(ctx context.Context, name string) error {
	changes, err := u.s.Delete(name)
	if err == nil {
		err = errors.Join(u.s.Alter(ctx, changes)...)
	}
	if err != nil {
		return fmt.Errorf("kafka: delete user %q: %w", name, err)
	}
	return nil
}

// List returns the names of all users, sorted.
func (u Users) List() []string {
	var names []string
	for _, user := range u.s.List() {
		names = append(names, user.Name)
	}
	return names
}

// Check reports whether a password is that of a user, in a time that does not tell whether he exists. It hashes, beside few others: Kafka clients
// that log in by PLAIN, and callers of Check. Who waits for that does so beside others from the same address, "" for a program's own, so that
// a flood of logins from one holds up nobody from another. When ctx ends before it is false.
func (u Users) Check(ctx context.Context, from, name, password string) bool {
	return u.s.Password(ctx, from, name, password)
}
