package group

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/samsa-go/samsa/log"
)

// Kind is the protocol by which the members of a group share what they read. A group has one at a time.
type Kind uint8

// The kinds of groups.
const (
	Classic  Kind = iota // the members agree among themselves: JoinGroup and SyncGroup
	Consumer             // the broker assigns partitions (KIP-848)
	Share                // members share partitions, and acknowledge records (KIP-932)
	Streams              // the broker assigns tasks of Kafka Streams (KIP-1071)
)

var kinds = []string{"classic", "consumer", "share", "streams"}

// String returns Kafka's name of the kind.
func (k Kind) String() string {
	if int(k) < len(kinds) {
		return kinds[k]
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

// MarshalText returns Kafka's name of the kind.
func (k Kind) MarshalText() ([]byte, error) {
	if int(k) >= len(kinds) {
		return nil, fmt.Errorf("%w: group of %s", log.ErrInvalidOption, k)
	}
	return []byte(k.String()), nil
}

// UnmarshalText takes what MarshalText returns, in whatever case.
func (k *Kind) UnmarshalText(text []byte) error {
	i := slices.Index(kinds, strings.ToLower(string(text)))
	if i < 0 {
		return fmt.Errorf("%w: there is no kind of groups %q", log.ErrInvalidOption, text)
	}
	*k = Kind(i)
	return nil
}

// Keeper keeps the groups of some kinds, as Names.Keep is told. Its methods may be called by anybody at any time, and
// call nothing of a Coordinator or of Names.
type Keeper interface {
	// List returns the groups, in any order. A group that has only been asked for is none.
	List() []Listing
	// Describe returns a group as it is now, or ErrUnknownGroup.
	Describe(name string) (Description, error)
	// Delete removes a group without members and all that is stored of it, but for committed offsets; one that has
	// members is ErrGroupNotEmpty. ctx counts until storing begins.
	Delete(ctx context.Context, name string) error
	// Yield gives a group up because another kind wants its name, as far as Kafka lets that be: groups without members
	// that are classic become consumer or streams groups, and these classic ones; share groups become nothing else. It
	// reports whether the name is free; that of no group at all is. See Names.Claim.
	Yield(name string, to Kind) bool
}

// Names says of which kind the groups of a broker are. The zero value has no names. Its methods may be called by anybody
// at any time.
type Names struct {
	claiming sync.Mutex // held while a name goes from one keeper to another; before the locks of keepers

	mu      sync.Mutex // guards what follows
	byName  map[string]Kind
	moving  string // the name whose keeper is being asked, "" for none
	keepers map[Kind]Keeper
}

// Keep says who keeps the groups of these kinds.
func (n *Names) Keep(k Keeper, of ...Kind) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.keepers == nil {
		n.keepers = make(map[Kind]Keeper)
	}
	for _, kind := range of {
		n.keepers[kind] = k
	}
}

// Of returns the kind of the group of that name; false when the name is free, or about to go from one kind to another.
func (n *Names) Of(name string) (Kind, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	kind, ok := n.byName[name]
	return kind, ok && name != n.moving
}

// Claim makes the name that of a group of a kind, or fails with ErrGroupKind: it is that of a group of another kind, which
// does not yield.
//
// The caller holds no lock that its own Yield takes, and makes the group afterwards. Until the group is there, Yield may
// give the name away again. So who makes a group asks Of once more, under the lock that Yield takes, and claims anew if
// the name is not, or no more, of its kind.
func (n *Names) Claim(name string, kind Kind) error {
	if n.claimFree(name, kind) {
		return nil
	}
	n.claiming.Lock()
	defer n.claiming.Unlock()
	if n.claimFree(name, kind) {
		return nil
	}
	n.mu.Lock()
	had := n.byName[name]
	keeper := n.keepers[had]
	n.moving = name
	n.mu.Unlock()
	yields := keeper != nil && keeper.Yield(name, kind)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.moving = ""
	if !yields {
		return fmt.Errorf("group %s: %w: it is a %s group, not a %s group", name, log.ErrGroupKind, had, kind)
	}
	n.byName[name] = kind
	return nil
}

// claimFree is Claim as long as no keeper has to be asked.
func (n *Names) claimFree(name string, kind Kind) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	had, taken := n.byName[name]
	if name != "" && name == n.moving || taken && had != kind && (n.keepers[had] == nil || n.keepers[had] != n.keepers[kind]) {
		return false
	}
	if n.byName == nil {
		n.byName = make(map[string]Kind)
	}
	n.byName[name] = kind
	return true
}

// become changes the kind of a group that stays with its keeper.
func (n *Names) become(name string, kind Kind) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if _, ok := n.byName[name]; ok {
		n.byName[name] = kind
	}
}

// Release frees the name of a group of that kind that is gone. A name of another kind stays.
func (n *Names) Release(name string, kind Kind) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.byName[name] == kind {
		delete(n.byName, name)
	}
}

// ReleaseUnless is Release, unless kept says that there still is a group of that name. It must not block, and calls
// nothing of Names. Who makes a group has kept say so before it claims the name.
func (n *Names) ReleaseUnless(name string, kind Kind, kept func(name string) bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.byName[name] == kind && !kept(name) {
		delete(n.byName, name)
	}
}

// keeper returns who keeps a group, if that is not besides; nil for nobody.
func (n *Names) keeper(name string, besides Keeper) (Keeper, Kind) {
	n.mu.Lock()
	defer n.mu.Unlock()
	kind, ok := n.byName[name]
	if k := n.keepers[kind]; ok && k != nil && k != besides {
		return k, kind
	}
	return nil, kind
}

// others returns the keepers besides one, each once.
func (n *Names) others(besides Keeper) []Keeper {
	n.mu.Lock()
	defer n.mu.Unlock()
	var all []Keeper
	for kind := range kinds {
		if k := n.keepers[Kind(kind)]; k != nil && k != besides && !slices.Contains(all, k) {
			all = append(all, k)
		}
	}
	return all
}

// OffsetKeeper is a Keeper whose groups have committed offsets. The Coordinator has these, and asks who may commit.
type OffsetKeeper interface {
	Keeper
	// CheckCommit says whether offsets may be committed for the group: see Group.CheckCommit, and for a commit in a
	// transaction Group.CheckTxnCommit. Without an error the members stay as they are until entered is called, when the
	// commit has its place in the order of all writes: who is fenced after the check has committed before its successor
	// begins.
	CheckCommit(now time.Time, name string, req CommitRequest, inTransaction bool) (entered func(), err error)
	// CheckFetch says whether a member may ask for the committed offsets of the group: ErrUnknownMember and
	// ErrStaleMemberEpoch say why not. Epoch -1 without an id is somebody who is no member.
	CheckFetch(name, memberID string, epoch int32) error
	// Subscribed returns a function that says whether members of the group subscribe to a topic: see Group.Subscribed.
	Subscribed(name string) (func(topic string) bool, error)
	// EmptySince returns when the last member has gone; false if there are members.
	EmptySince(name string) (time.Time, bool)
}
