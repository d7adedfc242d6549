package mirror

import (
	"cmp"
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/samsa-go/samsa/internal/option"
	"github.com/samsa-go/samsa/topic"
)

// Options say what is copied, and how. The zero value copies everything.
type Options struct {
	// Name is that of the mirror in its target, where its notes are in the topic samsa-mirror.NAME; "" is "mirror". A
	// mirror of the same name takes over from one that runs. One that copies from elsewhere is refused.
	Name string
	// Topics and Exclude are patterns of path.Match; a topic is copied that one of Topics matches, or any if there are none, and
	// none of Exclude. Names that begin with "__" or "samsa-mirror." have to be named without a pattern; the latter never are copied.
	Topics, Exclude []string
	// Groups and ExcludeGroups choose likewise the groups of which committed offsets are copied.
	Groups, ExcludeGroups []string
	// Prefix is put before the names of topics in the target: that of a site, say.
	Prefix string
	// Replicas of topics that are made in the target; 0 leaves it to that.
	Replicas int
	// BytesPerSecond bounds what is copied, as it is stored; 0 is no bound.
	BytesPerSecond int64
	// UntilNow has Run end when all is copied that was there when it began.
	UntilNow bool
	// Hold commits where the mirror is to the source, as group samsa-mirror.NAME: topics there with CleanupConsumed keep records until
	// they are copied, from when Run begins, and while the target is away. Behind Run it lasts for 7 days: see the function Hold.
	Hold bool
	// Refresh is how often topics, configs and groups are looked at; 0 is 5 s.
	Refresh time.Duration
	// Logger gets what an operator should know; nil is none.
	Logger *zap.Logger
}

const (
	notesPrefix    = "samsa-mirror."
	defaultRefresh = 5 * time.Second
	maxName        = 200
)

// withDefaults returns o with every field filled in that has a default.
func (o Options) withDefaults() Options {
	o.Name = cmp.Or(o.Name, "mirror")
	o.Refresh = cmp.Or(o.Refresh, defaultRefresh)
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	return o
}

// Check returns ErrInvalidOption with all that is wrong, as New does.
func (o Options) Check() error {
	var w option.Mistakes
	w.Check(len(o.Name) <= maxName && topic.CheckName(notesPrefix+o.Name) == nil, "Options.Name", fmt.Sprintf("%q", o.Name), "what can be in the name of a topic, at most 200 bytes")
	w.Check(o.Prefix == "" || topic.CheckName(o.Prefix+"x") == nil, "Options.Prefix", fmt.Sprintf("%q", o.Prefix), "what the name of a topic can begin with")
	w.Check(!strings.HasPrefix(o.Prefix, notesPrefix), "Options.Prefix", fmt.Sprintf("%q", o.Prefix), "another one than that of notes")
	w.Check(o.Replicas >= 0, "Options.Replicas", o.Replicas, "0 or more")
	w.Check(o.BytesPerSecond >= 0, "Options.BytesPerSecond", o.BytesPerSecond, "0 or more")
	w.Check(o.Refresh >= 0, "Options.Refresh", o.Refresh, "0 or more")
	for field, patterns := range map[string][]string{
		"Options.Topics": o.Topics, "Options.Exclude": o.Exclude, "Options.Groups": o.Groups, "Options.ExcludeGroups": o.ExcludeGroups,
	} {
		for _, p := range patterns {
			_, err := path.Match(p, "")
			w.Check(err == nil && p != "", field, fmt.Sprintf("%q", p), "patterns of path.Match")
		}
	}
	return w.Err()
}

// wanted reports whether a name is chosen, and whether by itself, not by a pattern.
func wanted(name string, in, out []string) (ok, named bool) {
	for _, p := range in {
		if p == name {
			named = true
		}
		if match, _ := path.Match(p, name); match {
			ok = true
		}
	}
	ok = ok || named || len(in) == 0
	for _, p := range out {
		if match, _ := path.Match(p, name); match {
			return false, false
		}
	}
	return ok, named
}

// wantsTopic reports whether a topic of the source is copied, if it may be.
func (o *Options) wantsTopic(name string) (ok, named bool) {
	ok, named = wanted(name, o.Topics, o.Exclude)
	if strings.HasPrefix(name, notesPrefix) || strings.HasPrefix(name, "__") && !named {
		return false, false
	}
	return ok, named
}

// wantsGroup reports whether offsets of a group are copied.
func (o *Options) wantsGroup(name string) bool {
	ok, named := wanted(name, o.Groups, o.ExcludeGroups)
	return ok && (named || !strings.HasPrefix(name, notesPrefix))
}

// The errors of a mirror, besides those of package samsa.
var (
	// ErrLoop: what is to be copied came from where it is to be copied to.
	ErrLoop = errors.New("it came from the target")
	// ErrNotOurs: the topic of the target has records that this mirror has not copied.
	ErrNotOurs = errors.New("the topic of the target has records of others")
	// ErrBehind: not everything was copied.
	ErrBehind = errors.New("not everything was copied")
)
