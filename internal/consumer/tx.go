package consumer

import (
	"github.com/samsa-go/samsa/group"
	"github.com/samsa-go/samsa/log"
)

// What a transaction needs that commits the offsets of a consumer's group with the rest: it asks for the
// Request, commits that itself, and tells Saved or asks whether it was but Refused.

// Group returns the name of the consumer's group, "" without one.
func (c *Consumer) Group() string { return c.opts.Group }

// ManualCommit reports whether all commits are the program's.
func (c *Consumer) ManualCommit() bool { return c.opts.Member.AutoCommitInterval == 0 }

// Request returns the commit of offsets, which belong to it then, in the name of the member as it is now.
func (c *Consumer) Request(offsets map[log.TopicPartition]group.Offset) (group.CommitRequest, error) {
	return c.member.request(func() (map[log.TopicPartition]group.Offset, error) { return c.owned(offsets) })
}

// Saved notes that a Request was committed.
func (c *Consumer) Saved(req group.CommitRequest) { c.saved(req.Offsets) }

// Refused reports whether a Request that the group has refused with err may be taken when it is made anew: at
// once, or once after is closed.
func (c *Consumer) Refused(req group.CommitRequest, err error) (again bool, after <-chan struct{}) {
	again, round := c.member.refused(req, err)
	if round != nil {
		after = round.done
	}
	return again, after
}
