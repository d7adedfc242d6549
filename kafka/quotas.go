package kafka

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/quota"
)

// Quota is how much some clients may take, all of them together: those of a user, of a client id, of a user that have a client id, or of an
// address.
type Quota struct {
	User     string // that has logged in; without SASL and TLS all are "ANONYMOUS"
	ClientID string // that clients say; with a User, those of the user
	Address  string // an IP address, and neither of the above

	// In place of a name: each user, client id or address that has no quota of its own, Kafka's defaults.
	OtherUsers, OtherClientIDs, OtherAddresses bool

	// Limits are by Kafka's names: producer_byte_rate, consumer_byte_rate, request_percentage and controller_mutation_rate of users and client
	// ids, connection_creation_rate of addresses. Each is more than 0.
	Limits map[string]float64
}

// String returns the quota in words.
func (q Quota) String() string {
	var who, limits []string
	part := func(kind, others, name string, isDefault bool) {
		if isDefault {
			who = append(who, others)
		} else if name != "" {
			who = append(who, kind+" "+strconv.Quote(name))
		}
	}
	part("address", "other addresses", q.Address, q.OtherAddresses)
	part("client-id", "other client-ids", q.ClientID, q.OtherClientIDs)
	part("user", "other users", q.User, q.OtherUsers)
	for _, name := range slices.Sorted(maps.Keys(q.Limits)) {
		limits = append(limits, name+"="+strconv.FormatFloat(q.Limits[name], 'f', -1, 64))
	}
	return strings.Join(who, " of ") + ": " + strings.Join(limits, " ")
}

// edit is the quota as it is kept, or ErrInvalid.
func (q Quota) edit() (quota.Edit, error) {
	var parts []quota.Part
	for _, p := range []quota.Part{{Type: quota.User, Name: q.User, Default: q.OtherUsers}, {Type: quota.ClientID, Name: q.ClientID, Default: q.OtherClientIDs}, {Type: quota.IP, Name: q.Address, Default: q.OtherAddresses}} {
		if p.Default && p.Name != "" {
			return quota.Edit{}, fmt.Errorf("%w quota entity: %s %q, and all others", samsa.ErrInvalid, p.Type, p.Name)
		}
		if p.Default || p.Name != "" {
			parts = append(parts, p)
		}
	}
	entity, err := quota.NewEntity(parts...)
	if err != nil {
		return quota.Edit{}, err
	}
	e := quota.Edit{Entity: entity, All: true, Limits: make(map[string]*float64)}
	for name, value := range q.Limits {
		e.Limits[name] = &value
	}
	return e, e.Check()
}

// QuotaSet is the quotas that a broker keeps. They count on all its servers, each of which counts for itself. Its methods may be called by
// anybody at any time.
type QuotaSet struct{ kept *quota.Kept }

// QuotasOf returns the quotas of b, whether it is served or not; ErrUnsupported of a broker that is not of this process.
func QuotasOf(b *samsa.Broker) (*QuotaSet, error) {
	in, err := local(b, "quotas")
	if err != nil {
		return nil, fmt.Errorf("kafka: %w", err)
	}
	return &QuotaSet{in.Quotas}, nil
}

// List returns all quotas, whoever has set them, in the order of whose they are.
func (s *QuotaSet) List() []Quota {
	var all []Quota
	for _, e := range s.kept.Now().Entries() {
		q := Quota{Limits: maps.Clone(e.Limits)}
		for _, p := range e.Entity {
			switch p.Type {
			case quota.User:
				q.User, q.OtherUsers = p.Name, p.Default
			case quota.ClientID:
				q.ClientID, q.OtherClientIDs = p.Name, p.Default
			case quota.IP:
				q.Address, q.OtherAddresses = p.Name, p.Default
			}
		}
		all = append(all, q)
	}
	return all
}

// Set gives clients these quotas, all or none of them, each in place of the one that the same clients have; one without Limits takes it away. When it returns
// they are stored, and in force. Errors are ErrInvalid, and those of writing.
func (s *QuotaSet) Set(ctx context.Context, quotas ...Quota) error {
	edits := make([]quota.Edit, len(quotas))
	for i, q := range quotas {
		var err error
		if edits[i], err = q.edit(); err != nil {
			return err
		}
	}
	return s.kept.Change(ctx, edits...)
}
