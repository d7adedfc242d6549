// Package uuid makes ids as Kafka does (org.apache.kafka.common.Uuid): of topics and of the broker's data.
package uuid

import (
	"crypto/rand"
	"encoding/base64"
)

// New returns a random id, a UUID of version 4. Its text does not begin with a dash: a command line would take it
// for a flag.
func New() [16]byte { return newFrom(func(b []byte) { _, _ = rand.Read(b) }) } // which never fails

// newFrom is New with that random.
func newFrom(random func([]byte)) (id [16]byte) {
	for {
		random(id[:])
		id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
		if Text(id)[0] != '-' {
			return id
		}
	}
}

// Text returns an id as Kafka writes it: 22 characters of base64 for URLs.
func Text(id [16]byte) string { return base64.RawURLEncoding.EncodeToString(id[:]) }
