package samsa

import (
	"cmp"
	"time"

	"github.com/samsa-go/samsa/group"
	"github.com/samsa-go/samsa/group/config"
	"github.com/samsa-go/samsa/internal/option"
)

// GroupOptions are the limits on consumer groups, of this process and of Kafka clients alike. The
// zero value has Kafka's defaults.
type GroupOptions struct {
	// InitialRebalanceDelay is how long a group that was empty waits for more members before
	// its first generation, and again after each such time that brought one, up to the
	// rebalance timeout (group.initial.rebalance.delay.ms). Kafka clients that start together
	// are spared some rebalances by it. 0 means 3 s, and -1 that nobody waits. It does not hold
	// up a group that only consumers of this process have joined.
	InitialRebalanceDelay time.Duration
	// MinSessionTimeout and MaxSessionTimeout bound the session timeout that a member may ask
	// for (group.min.session.timeout.ms, group.max.session.timeout.ms). 0 means 6 s and 30 min.
	MinSessionTimeout time.Duration
	MaxSessionTimeout time.Duration
	// MaxSize bounds the members of a group (group.max.size): more get ErrGroupFull. 0 means
	// any number.
	MaxSize int
	// Configs are the broker configs that concern the groups of Kafka's newer protocols, under Kafka's names:
	// bounds of what the configs of a group may be, their defaults, and limits on groups. See Groups.SetConfigs. A lock
	// of 2 s, say, is possible with
	//
	//	"group.share.min.record.lock.duration.ms": "1000"
	Configs map[string]string
}

const (
	defaultInitialRebalanceDelay = 3 * time.Second
	defaultMinSessionTimeout     = 6 * time.Second
	defaultMaxSessionTimeout     = 30 * time.Minute
)

// rules returns the limits as groups have them.
func (o GroupOptions) rules() group.Rules {
	return group.Rules{
		InitialDelay:      max(0, cmp.Or(o.InitialRebalanceDelay, defaultInitialRebalanceDelay)),
		MinSessionTimeout: cmp.Or(o.MinSessionTimeout, defaultMinSessionTimeout),
		MaxSessionTimeout: cmp.Or(o.MaxSessionTimeout, defaultMaxSessionTimeout),
		MaxMembers:        o.MaxSize,
	}
}

// broker returns the configs as groups have them. They were checked.
func (o GroupOptions) broker() config.Broker {
	b, err := config.Broker{}.With(o.Configs)
	if err != nil {
		panic("samsa: options that were checked are wrong: " + err.Error())
	}
	return b
}

func (o GroupOptions) check(w *option.Mistakes) {
	const where = "Options.Groups."
	w.Check(o.InitialRebalanceDelay >= 0 || o.InitialRebalanceDelay == -1, where+"InitialRebalanceDelay", o.InitialRebalanceDelay, "-1 for none, 0 for 3 s, or more")
	w.Check(o.MinSessionTimeout >= 0, where+"MinSessionTimeout", o.MinSessionTimeout, "0 or more")
	w.Check(o.MaxSessionTimeout >= 0, where+"MaxSessionTimeout", o.MaxSessionTimeout, "0 or more")
	r := o.rules()
	w.Check(r.MinSessionTimeout <= r.MaxSessionTimeout || o.MinSessionTimeout < 0 || o.MaxSessionTimeout < 0,
		where+"MinSessionTimeout", r.MinSessionTimeout, "at most MaxSessionTimeout, "+r.MaxSessionTimeout.String())
	w.Check(o.MaxSize >= 0, where+"MaxSize", o.MaxSize, "0 or more")
	_, err := config.Broker{}.With(o.Configs)
	w.Check(err == nil, where+"Configs", err, "broker configs that concern groups")
}
