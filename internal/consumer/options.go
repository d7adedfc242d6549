package consumer

import (
	"context"
	"regexp"

	"github.com/samsa-go/samsa/group/member"
	"github.com/samsa-go/samsa/internal/engine"
	"github.com/samsa-go/samsa/log"
)

// Options say what a consumer reads and how, as the root's ConsumerOptions do. They are valid, and
// nothing in them stands for a default.
type Options struct {
	Group        string // "" for none
	Topics       []string
	TopicPattern *regexp.Regexp
	Partitions   map[string][]int32
	Start        engine.Start
	Isolation    log.Isolation
	OutOfRange   ResetPolicy
	OnReset      func(ctx context.Context, r Reset) // nil if nobody wants to know

	MaxPollRecords int
	MaxPollBytes   int
	OrderByKey     bool // of Work

	Member        member.Options // its ClientID counts without a group too
	SyncedCommits bool
	// The callbacks of a member, nil if nobody wants to know.
	OnAssigned, OnRevoked, OnLost func(ctx context.Context, tps []log.TopicPartition)
}
