package group

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"strconv"
	"time"

	"go.uber.org/zap"

	"github.com/samsa-go/samsa/group/config"
	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/internal/writer"
	"github.com/samsa-go/samsa/log"
)

// limit is a limit of Rules as the broker config that it is in Kafka, a number of 32 bits.
type limit struct {
	least int64
	get   func(Rules) int64
	set   func(*Rules, int64)
}

var limits = map[string]limit{
	"group.initial.rebalance.delay.ms": {0,
		func(r Rules) int64 { return r.InitialDelay.Milliseconds() },
		func(r *Rules, n int64) { r.InitialDelay = time.Duration(n) * time.Millisecond }},
	"group.min.session.timeout.ms": {1,
		func(r Rules) int64 { return r.MinSessionTimeout.Milliseconds() },
		func(r *Rules, n int64) { r.MinSessionTimeout = time.Duration(n) * time.Millisecond }},
	"group.max.session.timeout.ms": {1,
		func(r Rules) int64 { return r.MaxSessionTimeout.Milliseconds() },
		func(r *Rules, n int64) { r.MaxSessionTimeout = time.Duration(n) * time.Millisecond }},
	"group.max.size": {1,
		func(r Rules) int64 {
			if r.MaxMembers == 0 {
				return math.MaxInt32
			}
			return int64(r.MaxMembers)
		},
		func(r *Rules, n int64) { r.MaxMembers = int(n) }},
}

// Configs returns the limits as broker configs, under Kafka's names. No limit on members is the
// largest number.
func (r Rules) Configs() map[string]string {
	configs := make(map[string]string, len(limits))
	for name, l := range limits {
		configs[name] = strconv.FormatInt(l.get(r), 10)
	}
	return configs
}

// With returns r with limits changed, by the names of Configs. A config that is none of them, or
// whose value it cannot have, is ErrInvalidConfig.
func (r Rules) With(configs map[string]string) (Rules, error) {
	for name, value := range configs {
		l, ok := limits[name]
		if !ok {
			return r, fmt.Errorf("%w: there is no limit %q on groups", log.ErrInvalidConfig, name)
		}
		n, err := strconv.ParseInt(value, 10, 32)
		if err != nil || n < l.least {
			return r, fmt.Errorf("%w: %s is %q, want %d to %d", log.ErrInvalidConfig, name, value, l.least, math.MaxInt32)
		}
		l.set(&r, n)
	}
	if r.MaxSessionTimeout > 0 && r.MinSessionTimeout > r.MaxSessionTimeout {
		return r, fmt.Errorf("%w: the least session timeout is %s, more than the greatest, %s", log.ErrInvalidConfig, r.MinSessionTimeout, r.MaxSessionTimeout)
	}
	return r, nil
}

// storedLimits is the limits that were changed while a broker ran, as JSON in the store.
type storedLimits struct {
	Version int               `json:"version"`
	Configs map[string]string `json:"configs"`
}

const storedLimitsVersion = 1

func decodeLimits(v []byte) (map[string]string, error) {
	var s storedLimits
	if err := json.Unmarshal(v, &s); err != nil {
		return nil, fmt.Errorf("%w: limits on groups: %w", log.ErrCorruptValue, err)
	}
	if s.Version != storedLimitsVersion {
		return nil, fmt.Errorf("%w: limits on groups of version %d, this library knows %d", log.ErrCorruptValue, s.Version, storedLimitsVersion)
	}
	return s.Configs, nil
}

func encodeLimits(configs map[string]string) []byte {
	v, err := json.Marshal(storedLimits{storedLimitsVersion, configs})
	if err != nil {
		panic("group: plain data does not encode: " + err.Error())
	}
	return v
}

// limitsKey is where the changed limits are stored.
func limitsKey() []byte { return store.BrokerKey("g") }

// loadLimits reads the changed limits. What cannot be read, or does not go with the options any
// more, counts for nothing, and the logger is told.
func (c *Coordinator) loadLimits() error {
	v, err := c.st.Get(limitsKey())
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	var changed map[string]string
	if err == nil {
		changed, err = decodeLimits(v)
	}
	if err != nil && !store.Lost(err) {
		return fmt.Errorf("read limits on groups: %w", err)
	}
	rules, broker := c.rules, c.static
	if err == nil {
		rules, broker, err = c.limited(changed)
	}
	if err != nil {
		c.opts.Logger.Warn("the limits on groups that were changed cannot be used, those of the options hold", zap.Error(err))
		return nil
	}
	c.rules, c.changed = rules, changed
	c.configs.SetBroker(broker)
	return nil
}

// limited returns the limits of the options with some of them changed: those of the classic protocol, and the others.
func (c *Coordinator) limited(changed map[string]string) (Rules, config.Broker, error) {
	classic, others := make(map[string]string), make(map[string]string)
	for name, value := range changed {
		if config.FindBroker(name) != nil {
			others[name] = value
		} else {
			classic[name] = value
		}
	}
	rules, wrong := c.opts.Rules.With(classic)
	broker, err := c.static.With(others)
	return rules, broker, errors.Join(wrong, err)
}

// Limits returns the limits on groups as broker configs: those of the options, and those that were
// changed by ChangeLimits, which hold in their place.
func (c *Coordinator) Limits() (options, changed map[string]string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	options = c.opts.Rules.Configs()
	for _, s := range config.Brokers {
		options[s.Name] = c.static.Value(s.Name)
	}
	return options, maps.Clone(c.changed)
}

// ChangeLimits changes limits on groups for joins from now on, as Rules.With does, and the broker configs that bound the
// configs of groups or are their defaults, as config.Broker.With does. Edit gets those
// that are changed already and says which are to be. They are stored, and hold until they are
// changed again, whatever the options say. With validateOnly nothing changes.
func (c *Coordinator) ChangeLimits(ctx context.Context, validateOnly bool, edit func(changed map[string]string) error) error {
	if err := c.changing.TakeUntil(ctx); err != nil {
		return err
	}
	defer c.changing.Give()
	_, changed := c.Limits()
	if changed == nil {
		changed = make(map[string]string)
	}
	if err := edit(changed); err != nil {
		return err
	}
	rules, broker, err := c.limited(changed)
	if err != nil || validateOnly {
		return err
	}
	tx := &writer.Tx{Essential: true}
	tx.Writes.Set(limitsKey(), encodeLimits(changed))
	if err := c.committer.Do(tx); err != nil {
		return fmt.Errorf("change limits on groups: %w", err)
	}
	c.setRules(rules, changed)
	c.configs.SetBroker(broker)
	return nil
}
