package samsa

import (
	"context"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/samsa-go/samsa/group"
	"github.com/samsa-go/samsa/group/member"
	"github.com/samsa-go/samsa/internal/option"
)

// MemberOptions says how a consumer takes part in its group. The zero value is right for
// most: auto-commit, cooperative-sticky assignment, Kafka's timeouts.
type MemberOptions struct {
	// InstanceID makes a static member (KIP-345): it keeps its partitions while it is
	// away for less than SessionTimeout, and Close does not give them up.
	InstanceID string
	// Assignors that the member offers, the most wanted first; CooperativeStickyAssignor() by
	// default. The members of a group must have one in common.
	Assignors []Assignor
	// SessionTimeout is how long the group waits for a sign of life; 0 means 45 s. The broker's
	// Options.Groups bound it, by default to 6 s to 30 min.
	SessionTimeout time.Duration
	// HeartbeatInterval is how often the consumer gives one, by itself; 0 means 3 s.
	HeartbeatInterval time.Duration
	// MaxPollInterval is the longest time between two calls of Poll, or for a loop over Records
	// between two records. A consumer that takes longer leaves the group, with its next
	// heartbeat, and its partitions go to others; 0 means 5 min. Work polls all the while.
	MaxPollInterval time.Duration
	// ManualCommit leaves commits to Commit, CommitRecords and CommitOffsets. Else what is
	// processed, as Consumer says, is committed every AutoCommitInterval, before partitions are
	// revoked, and at Close. Work needs that.
	ManualCommit bool
	// AutoCommitInterval is 5 s if 0.
	AutoCommitInterval time.Duration
	// CommitAcks is what commits wait for: AckStored (the default) or AckSynced.
	CommitAcks Acks

	// The callbacks run inside Poll or Work, and OnRevoked and OnLost also inside Close, so that no
	// record is being processed meanwhile, in Work none of the partitions that it is about; Close waits for one that runs. They may use the
	// consumer, but its Poll, Close and Shutdown are ErrInCallback there, and so is Close of the broker.
	// What one panics with comes out of Poll, Close or Shutdown.
	//
	// OnAssigned gets the partitions that were added, before any record of them is
	// returned. It is called at the end of every rebalance, also when none were.
	OnAssigned func(ctx context.Context, c *Consumer, added []TopicPartition)
	// OnRevoked gets the partitions that the consumer is about to give up. Nobody else has
	// them until it returns: work may be finished and committed.
	OnRevoked func(ctx context.Context, c *Consumer, revoked []TopicPartition)
	// OnLost gets the partitions that the consumer has lost: others may have them already,
	// and commits for them fail.
	OnLost func(ctx context.Context, c *Consumer, lost []TopicPartition)
}

// Assignor divides partitions among members. Its values are stateless and safe for
// concurrent use.
//
//	type Assignor interface {
//		// Name is the name of the protocol in JoinGroup: range, roundrobin, sticky and
//		// cooperative-sticky are those that Kafka's clients know.
//		Name() string
//		// Cooperative tells whether members keep what they own over a rebalance (KIP-429).
//		// What moves is then first revoked by its old owner, and given to the new one by a
//		// further rebalance, which the old owner asks for when it has revoked.
//		Cooperative() bool
//		// Assign returns the partitions of each member, by member id; a member that gets
//		// nothing has an empty Assignment. Member ids are unique. partitions is the number
//		// of partitions of each known topic; topics that are not there are skipped. The
//		// result depends neither on the order of members and their topics nor on that of
//		// map iteration, and shares no memory with the arguments.
//		Assign(members []AssignMember, partitions map[string]int32) map[string]Assignment
//		// UserData returns what the subscription of a member carries for this assignor
//		// besides topics and owned partitions; owned and generation are its last assignment
//		// and when it got it (-1 for never). The eager sticky assignor puts the assignment
//		// there, which the member gives up before it joins; the cooperative one the
//		// generation; the others nil.
//		UserData(owned map[string][]int32, generation int32) []byte
//	}
type Assignor = group.Assignor

// RangeAssignor gives each member a run of neighbouring partitions of each topic.
func RangeAssignor() Assignor { return group.Range() }

// RoundRobinAssignor deals the partitions of all topics out in turn.
func RoundRobinAssignor() Assignor { return group.RoundRobin() }

// StickyAssignor balances, and moves as few partitions as possible; all stop during a rebalance.
func StickyAssignor() Assignor { return group.Sticky() }

// CooperativeStickyAssignor is StickyAssignor, but only partitions that move stop (KIP-429).
func CooperativeStickyAssignor() Assignor { return group.CooperativeSticky() }

// AssignMember is one member as an assignor sees it: who it is, and with Subscription the Topics
// that it wants ([]string), the partitions that it has Owned by topic (map[string][]int32) since
// the Generation (int32, -1 when unknown), its Rack (string), and UserData ([]byte), the assignor's own.
//
//	type AssignMember struct {
//		ID         string
//		InstanceID string // of a static member, "" otherwise
//		Subscription
//	}
type AssignMember = group.AssignMember

// Assignment maps topics to partitions. What the assignors here return has its partitions in
// ascending order, and no topic without partitions.
//
//	type Assignment map[string][]int32
type Assignment = group.Assignment

// AssignorFunc divides with f, which gets the members and the number of partitions of each
// topic and returns the partitions of each member by its id. All members have to name an
// assignor in the same way. When cooperative is true only partitions that move stop; f
// need not care: what another member still owns is withheld from its result.
func AssignorFunc(name string, cooperative bool, f func(members []AssignMember, partitions map[string]int32) map[string]Assignment) Assignor {
	return group.AssignorFunc(name, cooperative, f)
}

const (
	defaultSessionTimeout     = 45 * time.Second
	defaultHeartbeatInterval  = 3 * time.Second
	defaultMaxPollInterval    = 5 * time.Minute
	defaultAutoCommitInterval = 5 * time.Second
)

func (o MemberOptions) withDefaults() MemberOptions {
	or := func(d *time.Duration, def time.Duration) {
		if *d == 0 {
			*d = def
		}
	}
	or(&o.SessionTimeout, defaultSessionTimeout)
	or(&o.HeartbeatInterval, min(defaultHeartbeatInterval, o.SessionTimeout/3))
	or(&o.MaxPollInterval, defaultMaxPollInterval)
	or(&o.AutoCommitInterval, defaultAutoCommitInterval)
	if len(o.Assignors) == 0 {
		o.Assignors = []Assignor{CooperativeStickyAssignor()}
	}
	return o
}

// asMember returns what the state of a member has to know.
func (o MemberOptions) asMember(clientID string) member.Options {
	mo := member.Options{
		InstanceID: o.InstanceID, ClientID: clientID, Assignors: o.Assignors, SessionTimeout: o.SessionTimeout,
		HeartbeatInterval: o.HeartbeatInterval, MaxPollInterval: o.MaxPollInterval,
	}
	if !o.ManualCommit {
		mo.AutoCommitInterval = o.AutoCommitInterval
	}
	return mo
}

func (o MemberOptions) check(w *option.Mistakes, groupName string, rules group.Rules) {
	const where = "ConsumerOptions.Member."
	if groupName == "" {
		w.Check(o.InstanceID == "", where+"InstanceID", fmt.Sprintf("%q", o.InstanceID), "none without ConsumerOptions.Group")
		w.Check(o.OnAssigned == nil && o.OnRevoked == nil && o.OnLost == nil, where+"OnAssigned, OnRevoked, OnLost", "set", "none without ConsumerOptions.Group")
		return
	}
	w.Check(len(o.InstanceID) <= 249, where+"InstanceID", fmt.Sprintf("of %d bytes", len(o.InstanceID)), "at most 249")
	w.Check(utf8.ValidString(o.InstanceID), where+"InstanceID", fmt.Sprintf("%q", o.InstanceID), "UTF-8")
	w.Check(o.HeartbeatInterval >= 0, where+"HeartbeatInterval", o.HeartbeatInterval, "0 or more")
	d := o.withDefaults()
	w.Check(d.SessionTimeout >= rules.MinSessionTimeout && d.SessionTimeout <= rules.MaxSessionTimeout, where+"SessionTimeout", d.SessionTimeout,
		fmt.Sprintf("%s to %s, which Options.Groups allows", rules.MinSessionTimeout, rules.MaxSessionTimeout))
	w.Check(d.HeartbeatInterval < d.SessionTimeout || o.HeartbeatInterval < 0 || o.SessionTimeout < 0,
		where+"HeartbeatInterval", d.HeartbeatInterval, fmt.Sprintf("less than SessionTimeout, %s", d.SessionTimeout))
	w.Check(o.MaxPollInterval >= 0, where+"MaxPollInterval", o.MaxPollInterval, "0 or more")
	w.Check(o.AutoCommitInterval >= 0, where+"AutoCommitInterval", o.AutoCommitInterval, "0 or more")
	w.Check(o.CommitAcks == AckStored || o.CommitAcks == AckSynced, where+"CommitAcks", o.CommitAcks, "AckStored or AckSynced")
	names := make(map[string]bool)
	for i, a := range o.Assignors {
		field := fmt.Sprintf("%sAssignors[%d]", where, i)
		if a == nil {
			w.Check(false, field, "nil", "an assignor")
			continue
		}
		w.Check(a.Name() != "" && utf8.ValidString(a.Name()), field, fmt.Sprintf("named %q", a.Name()), "a name in UTF-8")
		w.Check(!names[a.Name()], field, a.Name(), "names that differ")
		names[a.Name()] = true
	}
}
