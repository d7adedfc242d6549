package group

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa/log"
)

// The bytes in JoinGroup and SyncGroup that members exchange through the coordinator:
// Kafka's consumer protocol (ConsumerProtocolSubscription.json and
// ConsumerProtocolAssignment.json), big endian.
//
//	subscription                           assignment
//	  int16   version                        int16   version
//	  array   of string: topics              array   of (string topic, array of int32)
//	  bytes   user data, length -1 for none  bytes   user data, length -1 for none
//	  array   of (string topic,
//	          array of int32): owned, v1+
//	  int32   generation, v2+
//	  string  rack, length -1 for none, v3+
//
// Arrays and bytes have int32 lengths, strings int16 ones. Later versions add fields at
// the end, so a reader ignores what is behind those that it knows.

// ErrMalformedProtocol says that the consumer protocol bytes of a member can't be read: it is a kind
// of log.ErrInconsistentProtocol.
var ErrMalformedProtocol = fmt.Errorf("%w: malformed consumer protocol", log.ErrInconsistentProtocol)

const protocolVersion = 3 // of both, what this package writes

// EncodeSubscription returns s as version 3 of the protocol, topics in order. The bytes
// of equal subscriptions are equal.
func EncodeSubscription(s Subscription) []byte {
	m := kmsg.NewConsumerMemberMetadata()
	m.Version = protocolVersion
	m.Topics = slices.Sorted(slices.Values(s.Topics))
	m.UserData = s.UserData
	m.Generation = s.Generation
	if s.Rack != "" {
		m.Rack = &s.Rack
	}
	for _, topic := range slices.Sorted(maps.Keys(s.Owned)) {
		m.OwnedPartitions = append(m.OwnedPartitions, kmsg.ConsumerMemberMetadataOwnedPartition{
			Topic:      topic,
			Partitions: slices.Sorted(slices.Values(s.Owned[topic])),
		})
	}
	return m.AppendTo(nil)
}

// DecodeSubscription reads any version of the protocol. Fields that the version has not
// get their defaults, Generation -1. The result shares no memory with b.
//
// Bytes that end early or carry impossible lengths are ErrMalformedProtocol, found
// before anything is allocated. One flaw is let pass, because clients in use have
// it (segmentio/kafka-go): version 1 without the owned partitions.
func DecodeSubscription(b []byte) (Subscription, error) {
	version, err := checkSubscription(b)
	if err != nil {
		return Subscription{}, fmt.Errorf("%w: subscription: %w", ErrMalformedProtocol, err)
	}
	if version.lacksOwned {
		b = append([]byte{0, 0}, b[2:]...) // read it as the version 0 that it is
	}
	m := kmsg.NewConsumerMemberMetadata()
	if err := m.ReadFrom(b); err != nil {
		return Subscription{}, fmt.Errorf("%w: subscription: %w", ErrMalformedProtocol, err)
	}
	s := Subscription{Topics: m.Topics, Generation: m.Generation, UserData: slices.Clone(m.UserData)}
	if m.Rack != nil {
		s.Rack = *m.Rack
	}
	for _, o := range m.OwnedPartitions {
		s.Owned = addPartitions(s.Owned, o.Topic, o.Partitions)
	}
	return s, nil
}

// EncodeAssignment returns a as the protocol's bytes. Those of equal assignments are equal.
func EncodeAssignment(a Assignment) []byte {
	m := kmsg.NewConsumerMemberAssignment()
	m.Version = protocolVersion
	for _, topic := range slices.Sorted(maps.Keys(a)) {
		m.Topics = append(m.Topics, kmsg.ConsumerMemberAssignmentTopic{
			Topic:      topic,
			Partitions: slices.Sorted(slices.Values(a[topic])),
		})
	}
	return m.AppendTo(nil)
}

// DecodeAssignment reads any version of the protocol; what cannot be read is
// ErrMalformedProtocol. No bytes at all, which is what a member without partitions may
// get, are an empty assignment. User data is left out: no assignor here uses it.
func DecodeAssignment(b []byte) (Assignment, error) {
	a := Assignment{}
	if len(b) == 0 {
		return a, nil
	}
	if err := checkAssignment(b); err != nil {
		return nil, fmt.Errorf("%w: assignment: %w", ErrMalformedProtocol, err)
	}
	var m kmsg.ConsumerMemberAssignment
	if err := m.ReadFrom(b); err != nil {
		return nil, fmt.Errorf("%w: assignment: %w", ErrMalformedProtocol, err)
	}
	for _, t := range m.Topics {
		a = addPartitions(a, t.Topic, t.Partitions)
	}
	return a, nil
}

// addPartitions adds partitions of topic to m, which may be nil. Nothing to add adds no topic.
func addPartitions[M ~map[string][]int32](m M, topic string, partitions []int32) M {
	if len(partitions) == 0 {
		return m
	}
	if m == nil {
		m = make(M)
	}
	m[topic] = append(m[topic], partitions...)
	return m
}

// encodeStickyData returns the user data of Kafka's StickyAssignor, version 1 (KIP-341):
// the array of owned partitions as in a subscription, then the generation.
func encodeStickyData(owned map[string][]int32, generation int32) []byte {
	m := kmsg.NewStickyMemberMetadata()
	m.Generation = generation
	for _, topic := range slices.Sorted(maps.Keys(owned)) {
		m.CurrentAssignment = append(m.CurrentAssignment, kmsg.StickyMemberMetadataCurrentAssignment{
			Topic:      topic,
			Partitions: slices.Sorted(slices.Values(owned[topic])),
		})
	}
	return m.AppendTo(nil)
}

// decodeStickyData reads the user data of Kafka's StickyAssignor, versions 0 (without
// the generation, so -1) and 1. What cannot be read owns nothing, as in Kafka.
func decodeStickyData(b []byte) (owned map[string][]int32, generation int32) {
	c := cursor{rest: b}
	c.topicPartitions("owned")
	if c.err != nil || (len(c.rest) != 0 && len(c.rest) < 4) {
		return nil, -1
	}
	m := kmsg.NewStickyMemberMetadata()
	if err := m.ReadFrom(b); err != nil {
		return nil, -1
	}
	for _, a := range m.CurrentAssignment {
		owned = addPartitions(owned, a.Topic, a.Partitions)
	}
	return owned, m.Generation
}

type subscriptionShape struct{ lacksOwned bool }

func checkSubscription(b []byte) (shape subscriptionShape, err error) {
	c := cursor{rest: b}
	version := c.version()
	for range c.array("topics", 2) {
		c.string("topic", false)
	}
	c.bytes("user data")
	if version == 1 && c.err == nil && len(c.rest) == 0 {
		return subscriptionShape{lacksOwned: true}, nil
	}
	if version >= 1 {
		c.topicPartitions("owned")
	}
	if version >= 2 {
		c.take("generation", 4)
	}
	if version >= 3 {
		c.string("rack", true)
	}
	return shape, c.err
}

func checkAssignment(b []byte) error {
	c := cursor{rest: b}
	c.version()
	c.topicPartitions("topics")
	c.bytes("user data")
	return c.err
}

// cursor walks over the fields of a message and checks their lengths without keeping
// anything. After the first flaw, which err tells, its methods do nothing and return 0.
type cursor struct {
	rest []byte
	err  error
}

func (c *cursor) take(field string, n int) []byte {
	if c.err != nil {
		return nil
	}
	if n > len(c.rest) {
		c.err = fmt.Errorf("%s: %d bytes wanted, %d left", field, n, len(c.rest))
		c.rest = nil
		return nil
	}
	taken := c.rest[:n]
	c.rest = c.rest[n:]
	return taken
}

func (c *cursor) int16(field string) int {
	b := c.take(field, 2)
	if b == nil {
		return 0
	}
	return int(int16(binary.BigEndian.Uint16(b)))
}

func (c *cursor) int32(field string) int {
	b := c.take(field, 4)
	if b == nil {
		return 0
	}
	return int(int32(binary.BigEndian.Uint32(b)))
}

func (c *cursor) version() int {
	v := c.int16("version")
	if v < 0 {
		c.err = fmt.Errorf("version %d", v)
	}
	return v
}

// array returns the length of an array whose entries take at least size bytes each.
func (c *cursor) array(field string, size int) int {
	n := c.int32(field)
	if c.err == nil && (n < 0 || n > len(c.rest)/size) {
		c.err = fmt.Errorf("%s: %d entries in %d bytes", field, n, len(c.rest))
		return 0
	}
	return n
}

func (c *cursor) string(field string, nullable bool) {
	n := c.int16(field)
	switch {
	case n >= 0:
		c.take(field, n)
	case !nullable || n != -1:
		c.fail(field, n)
	}
}

func (c *cursor) bytes(field string) {
	n := c.int32(field)
	switch {
	case n >= 0:
		c.take(field, n)
	case n != -1:
		c.fail(field, n)
	}
}

func (c *cursor) fail(field string, length int) {
	if c.err == nil {
		c.err = fmt.Errorf("%s: length %d", field, length)
	}
}

func (c *cursor) topicPartitions(field string) {
	for range c.array(field, 6) {
		c.string(field+" topic", false)
		c.take(field+" partitions", 4*c.array(field+" partitions", 4))
	}
}
