package sasl

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"hash"
)

// Iterations is how often passwords are hashed that are set here, as by Kafka's tools; MinIterations and MaxIterations bound what others
// may set, as in Kafka.
const (
	Iterations    = 4096
	MinIterations = 4096
	MaxIterations = 16384
)

// Credential is what is stored of a password: enough to know it again, and to prove to its owner that one does, and not enough to log in
// elsewhere (RFC 5802, 3). Its fields are secret all the same: who has them can try passwords as fast as he can hash.
type Credential struct {
	Iterations           int
	Salt                 []byte
	StoredKey, ServerKey []byte
}

// String hides it from whoever prints it.
func (Credential) String() string { return "[hidden]" }

// GoString does so too.
func (c Credential) GoString() string { return c.String() }

// hashOf returns the hash of a mechanism of SCRAM.
func hashOf(mechanism string) func() hash.Hash {
	if mechanism == ScramSHA512 {
		return sha512.New
	}
	return sha256.New
}

// HashSize is the length of the keys of a mechanism of SCRAM, in bytes.
func HashSize(mechanism string) int { return hashOf(mechanism)().Size() }

// Derive makes the credential of a password.
func Derive(mechanism, password string, salt []byte, iterations int) Credential {
	return derive(hashOf(mechanism), password, salt, iterations)
}

func derive(h func() hash.Hash, password string, salt []byte, iterations int) Credential {
	salted, err := pbkdf2.Key(h, password, salt, iterations, h().Size())
	if err != nil {
		panic("sasl: " + err.Error()) // for a key that is too long, or hashes that FIPS forbids: these are neither
	}
	return fromSalted(h, salted, salt, iterations)
}

// FromSalted makes the credential of a password that was hashed before, so often with that salt.
func FromSalted(mechanism string, salted, salt []byte, iterations int) Credential {
	return fromSalted(hashOf(mechanism), salted, salt, iterations)
}

func fromSalted(h func() hash.Hash, salted, salt []byte, iterations int) Credential {
	clientKey := sum(h, salted, "Client Key")
	stored := h()
	stored.Write(clientKey)
	return Credential{Iterations: iterations, Salt: salt, StoredKey: stored.Sum(nil), ServerKey: sum(h, salted, "Server Key")}
}

// Fits reports whether c is that of a password.
func (c Credential) Fits(mechanism, password string) bool {
	return subtle.ConstantTimeCompare(Derive(mechanism, password, c.Salt, c.Iterations).StoredKey, c.StoredKey) == 1
}

// sum returns the HMAC of text.
func sum(h func() hash.Hash, key []byte, text string) []byte {
	m := hmac.New(h, key)
	m.Write([]byte(text))
	return m.Sum(nil)
}
