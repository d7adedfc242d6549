// Package users keeps the users of a broker and what is known of their passwords, in its store. Users of the library import package kafka.
package users

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"sync"

	"go.uber.org/zap"

	"github.com/samsa-go/samsa/internal/sasl"
	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/internal/turns"
	"github.com/samsa-go/samsa/internal/writer"
	"github.com/samsa-go/samsa/log"
)

// Limits.
const (
	MaxName  = 255     // bytes of a user's name
	MaxUsers = 100_000 // whom a process can know all of: each takes about 500 bytes
	SaltSize = 24      // bytes, of passwords that are set here
	maxSalt  = 1 << 10 // and by others
)

// What is wrong with a change.
var (
	ErrUnknown  = fmt.Errorf("%w user, or none with that mechanism", log.ErrUnknown)
	ErrName     = fmt.Errorf("%w: the name of a user has 1 to %d bytes", log.ErrInvalidOption, MaxName)
	ErrTooMany  = fmt.Errorf("%w: there are %d users, more there cannot be", log.ErrInvalidOption, MaxUsers)
	ErrSalt     = fmt.Errorf("%w: a salt has at most %d bytes", log.ErrInvalidOption, maxSalt)
	ErrPassword = fmt.Errorf("%w: a password is not empty", log.ErrInvalidOption)
)

// Store is the users. Its methods may be called by anybody at any time.
type Store struct {
	c       *writer.Committer
	Hashing *Turns // one for each password that is hashed: others want to be served meanwhile

	change turns.Turn // held by who changes them

	mu     sync.Mutex // guards what follows
	users  map[string]credentials
	secret []byte // makes salts of who does not exist
	stored bool   // the secret is
}

// credentials are a user's, by the mechanism. The map does not change.
type credentials map[string]sasl.Credential

// saved is how a user is stored, JSON.
type saved struct {
	Version int                        `json:"version"`
	Scram   map[string]savedCredential `json:"scram"`
}

type savedCredential struct {
	Iterations int    `json:"iterations"`
	Salt       []byte `json:"salt"`
	StoredKey  []byte `json:"storedKey"`
	ServerKey  []byte `json:"serverKey"`
}

const savedVersion = 1

// A user is stored by "u" and his name; the secret, which has none, by "u" alone.
const prefix = "u"

func key(name string) []byte { return store.BrokerKey(prefix + name) }

// Secret reports whether what is stored by a key is for nobody's eyes: what a password is known again by, or the secret.
func Secret(key []byte) bool { return bytes.HasPrefix(key, store.BrokerKey(prefix)) }

// Open returns the users that are in st. One that is damaged cannot log in until he is given a password: the logger is told.
func Open(st store.Store, c *writer.Committer, logger *zap.Logger) (*Store, error) {
	s := &Store{c: c, change: turns.New(), Hashing: NewTurns(max(1, runtime.GOMAXPROCS(0)/2)), users: make(map[string]credentials)}
	err := st.Scan(store.BrokerRange(prefix), func(e store.Entry) (bool, error) {
		name := string(e.Key[len(key("")):])
		value, err := e.AppendValue(nil)
		if err == nil && name == "" {
			s.secret, s.stored = value, true
			return true, nil
		}
		var of credentials
		if err == nil {
			of, err = parse(value)
		}
		if err != nil && !store.Lost(err) {
			return false, err
		}
		if err != nil {
			logger.Warn("what is known of a user's password is damaged, he cannot log in", zap.String("user", name), zap.Error(err))
			return true, nil
		}
		s.users[name] = of
		return true, nil
	})
	if err != nil {
		return nil, fmt.Errorf("users: %w", err)
	}
	if s.secret == nil {
		s.secret = random(sha256.Size)
	}
	return s, nil
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return b
}

func parse(value []byte) (credentials, error) {
	var v saved
	if json.Unmarshal(value, &v) != nil || v.Version != savedVersion { // what json says could show a part of it
		return nil, fmt.Errorf("%w: a user", log.ErrCorruptValue)
	}
	of := make(credentials, len(v.Scram))
	for mechanism, c := range v.Scram {
		if !IsScram(mechanism) || c.Iterations < sasl.MinIterations || c.Iterations > sasl.MaxIterations || len(c.StoredKey) == 0 || len(c.ServerKey) == 0 {
			return nil, fmt.Errorf("%w: a user", log.ErrCorruptValue)
		}
		of[mechanism] = sasl.Credential(c)
	}
	return of, nil
}

func (of credentials) encode() ([]byte, error) {
	v := saved{Version: savedVersion, Scram: make(map[string]savedCredential, len(of))}
	for mechanism, c := range of {
		v.Scram[mechanism] = savedCredential(c)
	}
	return json.Marshal(v)
}

// IsScram reports whether a mechanism is one of which there are credentials.
func IsScram(mechanism string) bool {
	return mechanism == sasl.ScramSHA256 || mechanism == sasl.ScramSHA512
}

// User is a user, and how often his password is hashed for each mechanism that he has.
type User struct {
	Name       string
	Iterations map[string]int // by mechanism
}

// List returns all users, by name.
func (s *Store) List() []User {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]User, 0, len(s.users))
	for _, name := range slices.Sorted(maps.Keys(s.users)) {
		all = append(all, s.users[name].user(name))
	}
	return all
}

// Find returns a user, or ErrUnknown.
func (s *Store) Find(name string) (User, error) {
	of := s.of(name)
	if of == nil {
		return User{}, ErrUnknown
	}
	return of.user(name), nil
}

func (of credentials) user(name string) User {
	u := User{Name: name, Iterations: make(map[string]int, len(of))}
	for mechanism, c := range of {
		u.Iterations[mechanism] = c.Iterations
	}
	return u
}

func (s *Store) of(name string) credentials {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.users[name]
}

// Credential is that of sasl.Users.
func (s *Store) Credential(mechanism, name string) (sasl.Credential, bool) {
	c, ok := s.of(name)[mechanism]
	nobody := s.nobody(mechanism, name)
	if !ok {
		c = nobody
	}
	return c, ok
}

// nobody returns the credential of a user who does not exist: no password fits, as no hash is all zeros.
func (s *Store) nobody(mechanism, name string) sasl.Credential {
	s.mu.Lock()
	secret := s.secret
	s.mu.Unlock()
	m := hmac.New(sha256.New, secret)
	_, _ = fmt.Fprintf(m, "%s %s", mechanism, name)
	zeros := make([]byte, sasl.HashSize(mechanism))
	return sasl.Credential{Iterations: sasl.Iterations, Salt: m.Sum(nil)[:SaltSize], StoredKey: zeros, ServerKey: zeros}
}

// Password reports whether a password is that of a user. What a user has for SCRAM-SHA-256 counts before the other. Who asks from an address
// waits beside others from there; nobody is let in when ctx ends before.
func (s *Store) Password(ctx context.Context, from, name, password string) bool {
	mechanism := sasl.ScramSHA256
	c, ok := s.Credential(mechanism, name)
	if !ok {
		if other, has := s.of(name)[sasl.ScramSHA512]; has {
			mechanism, c, ok = sasl.ScramSHA512, other, true
		}
	}
	if s.Hashing.Take(ctx, from) != nil {
		return false
	}
	defer s.Hashing.Give()
	return c.Fits(mechanism, password) && ok
}

// For returns the users as who logs in from an address meets them, until ctx ends.
func (s *Store) For(ctx context.Context, from string) sasl.Users { return visited{s, ctx, from} }

type visited struct {
	*Store
	ctx  context.Context
	from string
}

// Password implements sasl.Users.
func (v visited) Password(name, password string) bool {
	return v.Store.Password(v.ctx, v.from, name, password)
}

// Change gives a user a credential, or takes it away.
type Change struct {
	Name, Mechanism string
	Delete          bool
	Credential      sasl.Credential // unless it is a Delete
}

// Set returns the changes that give a user a password, for all mechanisms.
func Set(name, password string) ([]Change, error) {
	if password == "" {
		return nil, ErrPassword
	}
	var all []Change
	for _, mechanism := range []string{sasl.ScramSHA256, sasl.ScramSHA512} {
		all = append(all, Change{Name: name, Mechanism: mechanism, Credential: sasl.Derive(mechanism, password, random(SaltSize), sasl.Iterations)})
	}
	return all, nil
}

// check returns what is wrong with a change, of the users there are.
func (s *Store) check(c Change) error {
	switch {
	case c.Name == "" || len(c.Name) > MaxName:
		return ErrName
	case len(c.Credential.Salt) > maxSalt:
		return ErrSalt
	case !c.Delete:
		return nil
	}
	if _, ok := s.of(c.Name)[c.Mechanism]; !ok {
		return ErrUnknown
	}
	return nil
}

// Alter makes changes, each of its own: what is wrong with one is at its place. When it returns nil at a place, that change is stored. An
// error of the store is that of all the others, and nothing is changed then. A change that is made counts from the next login on:
// connections stay. ctx counts until storing begins.
func (s *Store) Alter(ctx context.Context, changes []Change) []error {
	errs := make([]error, len(changes))
	if err := s.change.TakeUntil(ctx); err != nil {
		for i := range errs {
			errs[i] = err
		}
		return errs
	}
	defer s.change.Give()
	next := make(map[string]credentials)
	for i, c := range changes {
		if errs[i] = s.check(c); errs[i] == nil {
			errs[i] = s.apply(next, c)
		}
	}
	if len(next) == 0 {
		return errs
	}
	if err := s.store(ctx, next); err != nil {
		for i := range errs {
			if errs[i] == nil {
				errs[i] = err
			}
		}
	}
	return errs
}

// apply makes a change in next, which has the users that have changed.
func (s *Store) apply(next map[string]credentials, c Change) error {
	of, ok := next[c.Name]
	if !ok {
		if of = maps.Clone(s.of(c.Name)); of == nil {
			if s.count()+len(next) >= MaxUsers {
				return ErrTooMany
			}
			of = make(credentials)
		}
		next[c.Name] = of
	}
	if c.Delete {
		delete(of, c.Mechanism)
	} else {
		of[c.Mechanism] = c.Credential
	}
	return nil
}

func (s *Store) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.users)
}

// store stores the users in next, and puts them in force.
func (s *Store) store(ctx context.Context, next map[string]credentials) error {
	tx := &writer.Tx{Essential: true}
	for name, of := range next {
		if len(of) == 0 {
			tx.Writes.Delete(key(name))
			continue
		}
		value, err := of.encode()
		if err != nil {
			return fmt.Errorf("users: %w", err)
		}
		tx.Writes.Set(key(name), value)
	}
	s.mu.Lock()
	secret, stored := s.secret, s.stored
	s.mu.Unlock()
	if !stored {
		tx.Writes.Set(key(""), secret)
	}
	if err := s.c.DoUntil(ctx, tx); err != nil {
		return fmt.Errorf("users: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stored = true
	for name, of := range next {
		if len(of) == 0 {
			delete(s.users, name)
		} else {
			s.users[name] = of
		}
	}
	return nil
}

// Delete returns the changes that take everything from a user, or ErrUnknown.
func (s *Store) Delete(name string) ([]Change, error) {
	var all []Change
	for _, mechanism := range slices.Sorted(maps.Keys(s.of(name))) {
		all = append(all, Change{Name: name, Mechanism: mechanism, Delete: true})
	}
	if len(all) == 0 {
		return nil, ErrUnknown
	}
	return all, nil
}
