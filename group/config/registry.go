package config

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"

	"go.uber.org/zap"

	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/internal/turns"
	"github.com/samsa-go/samsa/internal/writer"
	"github.com/samsa-go/samsa/log"
)

// Registry has the configs of all groups. Its methods may be called by anybody at any time.
type Registry struct {
	committer *writer.Committer
	changing  turns.Turn // held while configs are being changed

	mu       sync.Mutex // guards what follows
	broker   Broker
	groups   map[string]map[string]string // by name; the maps do not change
	watchers []func(group string)
}

// stored is the configs of a group, JSON.
type stored struct {
	Version int               `json:"version"`
	Configs map[string]string `json:"configs"`
}

const storedVersion = 1

// Open reads the configs of groups that st holds. Those that are damaged, or that this library does not know, count as
// never set, and the logger is told.
func Open(st store.Store, committer *writer.Committer, broker Broker, logger *zap.Logger) (*Registry, error) {
	r := &Registry{committer: committer, broker: broker, changing: turns.New(), groups: make(map[string]map[string]string)}
	err := st.Scan(store.GroupConfigRange(), func(e store.Entry) (bool, error) {
		name, err := store.ParseGroupConfigKey(e.Key)
		var configs map[string]string
		if err == nil {
			var value []byte
			if value, err = e.AppendValue(nil); err == nil {
				configs, err = decode(value)
			}
		}
		switch {
		case err == nil:
			r.groups[name] = configs
		case store.Lost(err):
			logger.Warn("the configs of a group are damaged, it has the defaults", zap.String("group", name), zap.Error(err))
		default:
			return false, err
		}
		return true, nil
	})
	if err != nil {
		return nil, fmt.Errorf("configs of groups: %w", err)
	}
	return r, nil
}

func decode(value []byte) (map[string]string, error) {
	var s stored
	if err := json.Unmarshal(value, &s); err != nil {
		return nil, fmt.Errorf("%w: configs of a group: %w", log.ErrCorruptValue, err)
	}
	if s.Version != storedVersion {
		return nil, fmt.Errorf("%w: configs of a group of version %d, this library knows %d", log.ErrCorruptValue, s.Version, storedVersion)
	}
	for name, v := range s.Configs {
		setting := Find(name)
		if setting == nil {
			return nil, fmt.Errorf("%w: configs of a group: %s: %w", log.ErrCorruptValue, name, errUnknown)
		}
		if err := setting.check(v); err != nil {
			return nil, fmt.Errorf("%w: configs of a group: %s=%q: %w", log.ErrCorruptValue, name, v, err)
		}
	}
	return s.Configs, nil
}

func encode(configs map[string]string) []byte {
	v, err := json.Marshal(stored{storedVersion, configs})
	if err != nil {
		panic("config: plain data does not encode: " + err.Error())
	}
	return v
}

// Broker returns the broker configs that concern groups.
func (r *Registry) Broker() Broker {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.broker
}

// SetBroker puts others in force. Who watches is told, of all groups at once.
func (r *Registry) SetBroker(b Broker) {
	r.mu.Lock()
	r.broker = b
	watchers := r.watchers
	r.mu.Unlock()
	for _, told := range watchers {
		told("")
	}
}

// Values returns the configs of a group that are in force. There need not be a group of that name.
func (r *Registry) Values(group string) Values {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.broker.Group(r.groups[group])
}

// Own returns the configs that a group has set, as they were set. The map is not to be changed.
func (r *Registry) Own(group string) map[string]string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.groups[group]
}

// List returns the names that have configs, sorted.
func (r *Registry) List() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Sorted(maps.Keys(r.groups))
}

// Watch has told called after each change of the configs of a group, and with "" after one of the broker's. It is
// called by who changes them, and must not block. It is for who is opened with the registry: there is no end to it.
func (r *Registry) Watch(told func(group string)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.watchers = append(slices.Clip(r.watchers), told)
}

// Change changes the configs of a group: edit gets those that are set, and changes the map in place. When Change
// returns they are stored and in force. An error of edit changes nothing and is returned; what configs cannot be is
// ErrInvalidConfig, and a name that no group can have ErrInvalidGroup. With validateOnly nothing changes. ctx counts
// until storing begins.
func (r *Registry) Change(ctx context.Context, group string, validateOnly bool, edit func(own map[string]string) error) error {
	if group == "" || len(group) > store.MaxGroupName {
		return fmt.Errorf("%w: a name has 1 to %d bytes, this one has %d", log.ErrInvalidGroup, store.MaxGroupName, len(group))
	}
	if err := r.changing.TakeUntil(ctx); err != nil {
		return err
	}
	defer r.changing.Give()
	own := maps.Clone(r.Own(group))
	if own == nil {
		own = make(map[string]string)
	}
	err := edit(own)
	if err == nil {
		own, err = r.Broker().Check(own)
	}
	if err == nil && !validateOnly {
		err = r.save(ctx, group, own)
	}
	if err != nil {
		return fmt.Errorf("configs of group %s: %w", group, err)
	}
	return nil
}

// save stores configs that were checked, and puts them in force.
func (r *Registry) save(ctx context.Context, group string, own map[string]string) error {
	tx := &writer.Tx{Essential: true}
	if len(own) == 0 {
		tx.Writes.Delete(store.GroupConfigKey(group))
	} else {
		tx.Writes.Set(store.GroupConfigKey(group), encode(own))
	}
	tx.Stored = func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.groups[group] = own; len(own) == 0 {
			delete(r.groups, group)
		}
	}
	if err := r.committer.DoUntil(ctx, tx); err != nil {
		return err
	}
	r.mu.Lock()
	watchers := r.watchers
	r.mu.Unlock()
	for _, told := range watchers {
		told(group)
	}
	return nil
}
