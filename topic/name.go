package topic

import (
	"fmt"
	"strings"

	"github.com/samsa-go/samsa/log"
)

// MaxNameLength is the longest topic name, in bytes, as in Kafka.
const MaxNameLength = 249

// CheckName applies Kafka's rules: 1 to 249 of the characters a-z, A-Z, 0-9, '.', '_'
// and '-', and neither "." nor "..".
func CheckName(name string) error {
	switch {
	case name == "":
		return fmt.Errorf("%w: it is empty", log.ErrInvalidTopic)
	case name == "." || name == "..":
		return fmt.Errorf("%w: %q", log.ErrInvalidTopic, name)
	case len(name) > MaxNameLength:
		return fmt.Errorf("%w: %q... has %d characters, at most %d are allowed",
			log.ErrInvalidTopic, name[:32], len(name), MaxNameLength)
	}
	for _, r := range name {
		if !legal(r) {
			return fmt.Errorf("%w: %q contains %q, only a-z, A-Z, 0-9, '.', '_' and '-' are allowed",
				log.ErrInvalidTopic, name, r)
		}
	}
	return nil
}

func legal(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '.' || r == '_' || r == '-'
}

// collisionKey is equal for names that Kafka does not allow beside each other because
// its metrics cannot tell them apart: '.' and '_' count as the same.
func collisionKey(name string) string { return strings.ReplaceAll(name, ".", "_") }
