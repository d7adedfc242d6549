package main

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/samsa-go/samsa"
)

// keyHeader is the header of a sealed record that says by which key.
const keyHeader = "sealed-by"

var (
	errUnsealed   = errors.New("the record is not sealed")
	errUnknownKey = errors.New("unknown key")
)

// keys seal the values of records, the newest one, and open them, that which the record names. All methods may be called by anybody at
// any time.
type keys struct {
	// as says which topics are sealed, and the name that their records are sealed for. It does not change. A topic of dead letters
	// has that of the topic that they come from, as they are copies of what is stored there.
	as map[string]string

	mu     sync.RWMutex // guards what follows
	all    map[string]cipher.AEAD
	newest string
}

// add adds a key of 16, 24 or 32 bytes, which seals from now on. A key must not seal more than 2^32 records, as nonces are random.
func (k *keys) add(id string, key []byte) error {
	block, err := aes.NewCipher(key)
	if err != nil {
		return err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block) // the nonce is before the sealed value
	if err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.all == nil {
		k.all = make(map[string]cipher.AEAD)
	}
	k.all[id], k.newest = aead, id
	return nil
}

// drop removes a key. What it has sealed nobody opens any more.
func (k *keys) drop(id string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.all, id)
}

func (k *keys) get(id string) (cipher.AEAD, error) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	if aead := k.all[id]; aead != nil {
		return aead, nil
	}
	return nil, fmt.Errorf("%w %q", errUnknownKey, id)
}

// hook returns what seals and opens the records of a broker.
func (k *keys) hook() samsa.Hook {
	return samsa.Hook{Name: "encrypt", BeforeProduce: k.each(k.seal), BeforeDeliver: k.each(k.open)}
}

// each does the records of the topics that are sealed. Tombstones have nothing to seal: compaction has to see them.
func (k *keys) each(do func(r *samsa.Record, as string) error) func(context.Context, []samsa.Record) (int, error) {
	return func(_ context.Context, records []samsa.Record) (int, error) {
		for i := range records {
			r := &records[i]
			if as, ok := k.as[r.Topic]; ok && r.Value != nil {
				if err := do(r, as); err != nil {
					return i, err
				}
			}
		}
		return len(records), nil
	}
}

// seal seals the value of r by the newest key.
func (k *keys) seal(r *samsa.Record, as string) error {
	k.mu.RLock()
	id := k.newest
	k.mu.RUnlock()
	aead, err := k.get(id)
	if err != nil {
		return err
	}
	r.Value = aead.Seal(nil, nil, r.Value, bound(as, id, r.Key))
	r.Headers = append(r.Headers, samsa.Header{Key: keyHeader, Value: []byte(id)})
	return nil
}

// open undoes seal.
func (k *keys) open(r *samsa.Record, as string) error {
	at := slices.IndexFunc(r.Headers, func(h samsa.Header) bool { return h.Key == keyHeader })
	if at < 0 {
		return errUnsealed
	}
	id := string(r.Headers[at].Value)
	aead, err := k.get(id)
	if err != nil {
		return err
	}
	value, err := aead.Open([]byte{}, nil, r.Value, bound(as, id, r.Key)) // an empty value is none that is nil
	if err != nil {
		return err
	}
	r.Value, r.Headers = value, slices.Concat(r.Headers[:at], r.Headers[at+1:])
	return nil
}

// bound is what a sealed value belongs to, so that it opens nowhere else: a topic, the id of the key that seals, and the record's key, which may be nil.
// Where in the topic the record stands is not known before it is stored: that one is stored again, or moved to another offset or partition, shows in nothing.
func bound(topic, id string, key []byte) []byte {
	var b []byte
	for _, part := range []string{topic, id} {
		b = append(binary.AppendUvarint(b, uint64(len(part))), part...)
	}
	if key == nil {
		return append(b, 0)
	}
	return append(append(b, 1), key...)
}
