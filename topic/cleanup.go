package topic

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/samsa-go/samsa/log"
)

// CleanupPolicy says by which rules records go; policies are combined with |.
type CleanupPolicy uint8

const (
	// Delete removes the oldest batches, by time (Retention) and size (RetentionBytes).
	Delete CleanupPolicy = 1 << iota
	// Compact keeps the latest record of each key, and removes the key with a tombstone. The
	// newest batch of a partition is left as it is until there is another behind it.
	Compact
	// Consumed removes a batch once every group that has committed offsets in the topic has
	// passed it: taken, done, gone. Without such a group nothing goes. Not Kafka's.
	Consumed
)

var policyNames = []struct {
	policy CleanupPolicy
	name   string
}{{Compact, "compact"}, {Consumed, "consumed"}, {Delete, "delete"}}

// String returns the policy as Kafka writes it: compact,delete; and default for the zero value.
func (p CleanupPolicy) String() string {
	if p == 0 {
		return "default"
	}
	var names []string
	for _, pn := range policyNames {
		if p&pn.policy != 0 {
			names = append(names, pn.name)
		}
	}
	if unknown := p &^ (Delete | Compact | Consumed); unknown != 0 {
		names = append(names, fmt.Sprintf("policy(%d)", uint8(unknown)))
	}
	return strings.Join(names, ",")
}

// MarshalText returns the policy as Kafka writes it, and nothing for the zero value.
func (p CleanupPolicy) MarshalText() ([]byte, error) {
	switch {
	case p == 0:
		return nil, nil
	case !p.valid():
		return nil, fmt.Errorf("%w: cleanup policy %s", log.ErrInvalidConfig, p)
	}
	return []byte(p.String()), nil
}

// UnmarshalText takes what MarshalText returns.
func (p *CleanupPolicy) UnmarshalText(text []byte) (err error) {
	var parsed CleanupPolicy
	if len(text) > 0 {
		parsed, err = parseCleanupPolicy(string(text))
	}
	if err != nil {
		return fmt.Errorf("%w: cleanup policy %q: %w", log.ErrInvalidConfig, text, err)
	}
	*p = parsed
	return nil
}

func (p CleanupPolicy) valid() bool {
	return p != 0 && p&^(Delete|Compact|Consumed) == 0 && p&(Compact|Consumed) != Compact|Consumed
}

func parseCleanupPolicy(value string) (CleanupPolicy, error) {
	var p CleanupPolicy
	for _, name := range strings.Split(value, ",") {
		i := slices.IndexFunc(policyNames, func(pn struct {
			policy CleanupPolicy
			name   string
		}) bool {
			return pn.name == strings.TrimSpace(name)
		})
		if i < 0 {
			return 0, errors.New("want delete, compact, both, consumed, or consumed,delete")
		}
		p |= policyNames[i].policy
	}
	if !p.valid() {
		return 0, errors.New("compact and consumed exclude each other")
	}
	return p, nil
}
