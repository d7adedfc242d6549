// Package topic is the catalogue: which topics there are, their partitions and
// configs, and what happens when they are created, changed and deleted. Users import the module root.
package topic

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"sync/atomic"

	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/internal/uuid"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/partition"
)

// ID is a topic's identity: a topic deleted and created again under the same name has
// another one. Kafka's topic UUID (KIP-516). The text of one does not begin with a dash, unless an older
// release has made it.
type ID [16]byte

// String returns the ID as Kafka writes it: 22 characters of base64 for URLs.
func (id ID) String() string { return uuid.Text(id) }

// MarshalText returns what String does.
func (id ID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText takes what MarshalText returns.
func (id *ID) UnmarshalText(text []byte) error {
	b, err := base64.RawURLEncoding.Strict().AppendDecode(nil, text)
	if err != nil || len(b) != len(id) {
		return fmt.Errorf("%w: %q is no topic id", log.ErrInvalidOption, text)
	}
	copy(id[:], b)
	return nil
}

// Topic is a topic that exists, or existed: after its deletion its partitions answer
// with ErrUnknownTopic.
type Topic struct {
	name   string
	number uint32 // in keys; never used twice
	id     ID
	state  atomic.Pointer[state]

	holders holders
}

// state is what may change, replaced as a whole by the catalogue.
type state struct {
	config     Config
	partitions []*partition.Partition
}

// Name returns the topic's name.
func (t *Topic) Name() string { return t.name }

// ID returns the topic's identity.
func (t *Topic) ID() ID { return t.id }

// Config returns the configs in force, every field filled in.
func (t *Topic) Config() Config { return t.state.Load().config }

// Partitions returns the partitions by index. The slice is not to be changed; it is
// replaced when the topic grows.
func (t *Topic) Partitions() []*partition.Partition { return t.state.Load().partitions }

// Partition returns the partition of that index, or ErrUnknownPartition.
func (t *Topic) Partition(i int32) (*partition.Partition, error) {
	ps := t.Partitions()
	if i < 0 || int(i) >= len(ps) {
		return nil, fmt.Errorf("%s/%d: %w: the topic has %d", t.name, i, log.ErrUnknownPartition, len(ps))
	}
	return ps[i], nil
}

// Err returns why the topic is gone, or nil while it exists.
func (t *Topic) Err() error { return t.Partitions()[0].Err() }

// stored is a topic in the catalogue's part of the store, as JSON: it is written seldom
// and a person may have to read it.
type stored struct {
	Version    int               `json:"version"`
	Number     uint32            `json:"number"`
	ID         string            `json:"id"`
	Partitions int               `json:"partitions"`
	Configs    map[string]string `json:"configs,omitempty"` // those that differ from the defaults
}

const storedVersion = 1

// retiredConfig was known, without effect, and may be stored. Kafka 4 does not have it.
const retiredConfig = "message.timestamp.difference.max.ms"

// encode returns the value under which the topic is stored with the given config.
func (t *Topic) encode(c Config) []byte {
	s := stored{
		Version:    storedVersion,
		Number:     t.number,
		ID:         hex.EncodeToString(t.id[:]),
		Partitions: c.Partitions,
		Configs:    c.Configs(),
	}
	for name, value := range (Config{}).Configs() {
		if s.Configs[name] == value {
			delete(s.Configs, name)
		}
	}
	v, err := json.Marshal(s)
	if err != nil {
		panic("topic: plain data does not encode: " + err.Error())
	}
	return v
}

// decode returns the topic that was stored under name, without its partitions' logs. What is
// wrong with the value is ErrCorruptValue; the topic then has its number, 0 if that is not
// known, and nothing else.
func decode(name string, value []byte) (*Topic, Config, error) {
	var s stored
	t := &Topic{name: name}
	bad := func(format string, args ...any) (*Topic, Config, error) {
		return t, Config{}, fmt.Errorf("%w: catalogue entry: "+format, append([]any{log.ErrCorruptValue}, args...)...)
	}
	if err := json.Unmarshal(value, &s); err != nil {
		return bad("%s", err.Error())
	}
	if s.Version != storedVersion {
		return bad("version %d, this library knows %d", s.Version, storedVersion)
	}
	t.number = s.Number
	if s.Number == 0 || s.Partitions < 1 {
		return bad("number %d, %d partitions", s.Number, s.Partitions)
	}
	id, err := hex.DecodeString(s.ID)
	if err != nil || len(id) != len(t.id) {
		return bad("id %q", s.ID)
	}
	copy(t.id[:], id)
	c := Config{Partitions: s.Partitions}.withDefaults()
	delete(s.Configs, retiredConfig)
	if err := c.SetConfigs(s.Configs); err != nil {
		return bad("%s", err.Error())
	}
	if err := c.Validate(); err != nil {
		return bad("%s", err.Error())
	}
	return t, c, nil
}

// openPartitions returns the partitions of index from to to-1. When fresh, their logs
// are known to be empty and the store is not asked.
func (t *Topic) openPartitions(st store.Store, from, to int, c Config, fresh bool) ([]*partition.Partition, error) {
	ps := make([]*partition.Partition, 0, to-from)
	for i := from; i < to; i++ {
		id := store.PartitionID{Topic: t.number, Partition: uint32(i)}
		tp := log.TopicPartition{Topic: t.name, Partition: int32(i)}
		l := log.NewLog(st, id, tp)
		if !fresh {
			var err error
			if l, err = log.OpenLog(st, id, tp); err != nil {
				return nil, err
			}
		}
		ps = append(ps, partition.Open(l, c.rules()))
	}
	return ps, nil
}
