package streams

import (
	"fmt"
	"strings"
)

// Status is what a member is told beside its tasks: what keeps the group from them, or what it is to do.
type Status struct {
	Code   StatusCode
	Detail string
}

// StatusCode is Kafka's number of a status.
type StatusCode int8

// The statuses (KIP-1071).
const (
	StaleTopology          StatusCode = iota // the member's topology is older than that of the group
	MissingSourceTopics                      // topics that the application reads are not there
	IncorrectlyPartitioned                   // topics do not have the partitions that they must have
	MissingInternalTopics                    // internal topics are not there yet
	ShutdownApplication                      // a member has asked all to end
	AssignmentDelayed                        // tasks come later: the group waits for more members, or has just been given some
	MissingClientTags                        // the member has not all tags that the group's config asks for
)

// String is the status's name.
func (c StatusCode) String() string {
	return [...]string{"STALE_TOPOLOGY", "MISSING_SOURCE_TOPICS", "INCORRECTLY_PARTITIONED_TOPICS", "MISSING_INTERNAL_TOPICS",
		"SHUTDOWN_APPLICATION", "ASSIGNMENT_DELAYED", "MISSING_CLIENT_TAGS"}[c]
}

// String is for people.
func (s Status) String() string { return fmt.Sprintf("%s: %s", s.Code, s.Detail) }

// some names at most three of what may be many.
func some(names []string) string {
	const most = 3
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d additional topics", strings.Join(names[:most], ", "), len(names)-most)
}
