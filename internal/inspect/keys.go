package inspect

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/samsa-go/samsa/internal/store"
)

// Key is what a key of the store means, see "Keys" in docs/format.md. Fields that it does not have are zero.
type Key struct {
	Kind      string    `json:"kind"`
	Topic     string    `json:"topic,omitempty"`  // its name, "" when it is not known
	Number    uint32    `json:"number,omitempty"` // of the topic in keys
	Partition *int32    `json:"partition,omitempty"`
	Offset    *int64    `json:"offset,omitempty"` // the last of a batch or a transaction, the first of a chunk
	Time      time.Time `json:"time,omitzero"`    // the largest timestamp of a batch
	Producer  *int64    `json:"producer,omitempty"`
	Group     string    `json:"group,omitempty"`
	Member    string    `json:"member,omitempty"`
	Name      string    `json:"name,omitempty"` // of what else has one
	Raw       []byte    `json:"raw,omitempty"`  // of a key that is not understood, and of an application's
}

// String returns it in words.
func (k Key) String() string {
	var b strings.Builder
	b.WriteString(k.Kind)
	switch {
	case k.Topic != "":
		fmt.Fprintf(&b, " %s", k.Topic)
	case k.Number != 0:
		fmt.Fprintf(&b, " of topic number %d", k.Number)
	}
	if k.Partition != nil {
		fmt.Fprintf(&b, "/%d", *k.Partition)
	}
	if k.Offset != nil {
		fmt.Fprintf(&b, " offset %d", *k.Offset)
	}
	if k.Producer != nil {
		fmt.Fprintf(&b, " producer %d", *k.Producer)
	}
	for _, named := range []struct{ what, name string }{{"group", k.Group}, {"member", k.Member}, {"", k.Name}} {
		if named.name != "" {
			fmt.Fprintf(&b, " %s%q", strings.TrimLeft(named.what+" ", " "), named.name)
		}
	}
	if k.Raw != nil {
		fmt.Fprintf(&b, " %q", k.Raw)
	}
	return b.String()
}

// names are the names of topics by their numbers.
type names map[uint32]string

// learn takes the name of a topic from an operation.
func (n names) learn(key, value []byte) {
	if name, ok := strings.CutPrefix(string(key), string(store.CatalogueKey("t"))); ok {
		if number, ok := topicNumber(value); ok {
			n[number] = name
		}
	}
}

// has reports whether a topic of that name is known.
func (n names) has(topic string) bool {
	return slices.Contains(slices.Collect(maps.Values(n)), topic)
}

// topicNumber returns the number of the topic whose entry value is.
func topicNumber(value []byte) (uint32, bool) {
	var entry struct {
		Number uint32 `json:"number"`
	}
	return entry.Number, json.Unmarshal(value, &entry) == nil && entry.Number != 0
}

// key decodes a key.
func (n names) key(key []byte) Key {
	if len(key) == 0 {
		return Key{Kind: "nothing"}
	}
	if decode := keyDecoders[key[0]]; decode != nil {
		if k, err := decode(key); err == nil {
			k.Topic = n.of(k)
			return k
		}
	}
	return Key{Kind: "unknown key", Raw: append([]byte(nil), key...)}
}

func (n names) of(k Key) string {
	if k.Topic != "" {
		return k.Topic
	}
	return n[k.Number]
}

// keyDecoders are by the first byte of a key.
var keyDecoders = map[byte]func(key []byte) (Key, error){
	'!': func(key []byte) (Key, error) { return Key{Kind: "the store's own", Name: string(key[1:])}, nil },
	'a': func(key []byte) (Key, error) {
		return Key{Kind: "application key", Raw: append([]byte(nil), key[1:]...)}, nil
	},
	'b': func(key []byte) (Key, error) {
		b, err := store.ParseBatchKey(key)
		k := inPartition("batch", b.PartitionID)
		k.Offset, k.Time = &b.LastOffset, time.UnixMilli(b.MaxTimestamp).UTC()
		return k, err
	},
	'c': catalogueKey,
	'e': func(key []byte) (Key, error) {
		id, err := store.ParsePartition(key)
		return inPartition("leader epochs", id), err
	},
	'g': func(key []byte) (Key, error) { return grouped("group", key, store.ParseGroupKey) },
	'h': func(key []byte) (Key, error) { return grouped("membership of share", key, store.ParseMembersKey) },
	'u': func(key []byte) (Key, error) { return grouped("configs of", key, store.ParseGroupConfigKey) },
	'k': func(key []byte) (Key, error) { return member("member of", key, store.ParseMemberKey) },
	's': func(key []byte) (Key, error) { return member("streams", key, store.ParseStreamsKey) },
	'l': func(key []byte) (Key, error) {
		id, err := store.ParsePartition(key)
		return inPartition("log start", id), err
	},
	'o': func(key []byte) (Key, error) {
		o, err := store.ParseOffsetKey(key)
		return Key{Kind: "committed offset", Topic: o.Topic, Partition: &o.Partition, Group: o.Group}, err
	},
	'p': func(key []byte) (Key, error) {
		p, err := store.ParseProducerKey(key)
		k := inPartition("state of a producer", p.PartitionID)
		k.Producer = &p.ID
		return k, err
	},
	't': func(key []byte) (Key, error) {
		a, err := store.ParseAbortedKey(key)
		k := inPartition("aborted transaction", a.PartitionID)
		k.Offset = &a.Marker
		return k, err
	},
	'q': func(key []byte) (Key, error) {
		q, err := store.ParseShareKey(key)
		k := inPartition("state of share", q.PartitionID)
		k.Group = q.Group
		if from := q.Chunk * 256; from >= 0 {
			k.Offset = &from
		}
		return k, err
	},
	'r': func(key []byte) (Key, error) {
		id, err := store.ParsePartition(key)
		if len(key) <= store.TablePrefixSize {
			return Key{}, fmt.Errorf("%w: %q", store.ErrCorrupt, key)
		}
		return Key{Kind: "of a table", Number: id.Topic, Raw: append([]byte(nil), key[store.TablePrefixSize:]...)}, err
	},
	'i': func(key []byte) (Key, error) {
		if string(key) == "in" {
			return Key{Kind: "next producer id"}, nil
		}
		return Key{Kind: "producer named", Name: strings.TrimPrefix(string(key[1:]), "p")}, nil
	},
	'x': func(key []byte) (Key, error) { return Key{Kind: "transactional id", Name: string(key[1:])}, nil },
	'y': func(key []byte) (Key, error) {
		p, err := store.ParsePendingKey(key)
		return Key{Kind: "offset of a transaction", Topic: p.Topic, Partition: &p.Partition, Group: p.Group, Name: p.TransactionalID}, err
	},
	'z': func(key []byte) (Key, error) {
		kind, name, err := store.ParseSecurityKey(key)
		return Key{Kind: kind, Name: name}, err
	},
	'm': func(key []byte) (Key, error) {
		if what := map[string]string{"mc": "cluster id", "mg": "limits on groups", "mf": "levels of features"}[string(key)]; what != "" {
			return Key{Kind: what}, nil
		}
		return Key{Kind: "of the broker", Name: string(key[1:])}, nil
	},
}

func inPartition(kind string, id store.PartitionID) Key {
	p := int32(id.Partition)
	return Key{Kind: kind, Number: id.Topic, Partition: &p}
}

func grouped(kind string, key []byte, parse func([]byte) (string, error)) (Key, error) {
	group, err := parse(key)
	return Key{Kind: kind, Group: group}, err
}

func member(kind string, key []byte, parse func([]byte) (string, string, error)) (Key, error) {
	group, id, err := parse(key)
	return Key{Kind: kind, Group: group, Member: id}, err
}

func catalogueKey(key []byte) (Key, error) {
	rest := string(key[1:])
	switch {
	case rest == "n":
		return Key{Kind: "next topic number"}, nil
	case strings.HasPrefix(rest, "t"):
		return Key{Kind: "topic", Topic: rest[1:]}, nil
	case strings.HasPrefix(rest, "d") && len(rest) == 5:
		number := uint32(0)
		for _, c := range []byte(rest[1:]) {
			number = number<<8 | uint32(c)
		}
		return Key{Kind: "deleted topic", Number: number}, nil
	}
	return Key{}, fmt.Errorf("%w: %q", store.ErrCorrupt, key)
}
