package store

import "fmt"

// The kinds of keys of prefixSecurity.
const (
	securityACL   = 'a'
	securityQuota = 'q'
)

// ACLKeyHash is how many bytes the hash in the key of an ACL has.
const ACLKeyHash = 16

// ACLKey is the key of an ACL whose value has that hash.
func ACLKey(hash [ACLKeyHash]byte) []byte {
	return append([]byte{prefixSecurity, securityACL}, hash[:]...)
}

// ACLRange covers all ACLs.
func ACLRange() Range { return prefixRange([]byte{prefixSecurity, securityACL}) }

// QuotaKey is the key of the quotas of an entity, of at most MaxQuotaEntity bytes.
func QuotaKey(entity string) []byte { return append([]byte{prefixSecurity, securityQuota}, entity...) }

// MaxQuotaEntity is the longest entity that has quotas, in bytes.
const MaxQuotaEntity = maxKeySize - 2

// QuotaRange covers the quotas of all entities.
func QuotaRange() Range { return prefixRange([]byte{prefixSecurity, securityQuota}) }

// ParseSecurityKey returns what the key of an ACL or of quotas is about: the kind, and the hash or the entity.
func ParseSecurityKey(key []byte) (kind, name string, err error) {
	switch {
	case len(key) == 2+ACLKeyHash && key[0] == prefixSecurity && key[1] == securityACL:
		return "ACL", fmt.Sprintf("%x", key[2:]), nil
	case len(key) > 2 && key[0] == prefixSecurity && key[1] == securityQuota:
		return "quotas of", string(key[2:]), nil
	}
	return "", "", fmt.Errorf("%w: key of ACLs or quotas %x", errBadKey, key)
}
