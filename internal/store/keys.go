package store

import (
	"encoding/binary"
	"fmt"
)

// The key space. All integers are big endian, so that bytewise order is numeric order.
//
//	'!' name                                        the store's own: "rebuilt", see RebuiltKey
//	'c' name                                        catalogue: "t"+topic name, "d"+topic number (doomed), "n" (next number)
//	'e' topic u32  partition u32                    leader epochs of a partition
//	'l' topic u32  partition u32                    log start offset of a partition
//	'b' topic u32  partition u32  last u64  ts u64  one batch: last offset, max timestamp in ms, sign bit flipped
//	'g' group                                       a consumer group: generation, static members
//	'k' length u16  group  member                   a member of a consumer group of KIP-848; length is that of group
//	's' length u16  group                           a group of Kafka Streams: its epochs and topology; length is that of group
//	's' length u16  group  member                   a member of it, and its tasks
//	'o' length u16  group  topic  partition u32     a committed offset; length is that of group
//	'p' topic u32  partition u32  producer u64      what a partition knows of an idempotent producer
//	't' topic u32  partition u32  marker u64        an aborted transaction; marker is the offset of its end
//	'q' topic u32  partition u32  length u16  group
//	                                                how far a share group is in a partition; with a number u64 behind it what is decided of 256 offsets
//	'i' name                                        producers: "n" (next id), "p"+name (of an id)
//	'x' id                                          a transactional id
//	'y' length u16  id  length u16  group  topic  partition u32
//	                                                an offset that the transaction of the id commits, behind its length like an 'o'
//	'h' group                                       a share group's membership
//	'u' group                                       the configs of a group
//	'm' name                                        the broker as a whole: "c" (its cluster id), "g" (changed limits on groups), "f" (changed levels of features), "u"+name (a user)
//	'r' topic u32  table u32  kind u8  key          a table of the topic: its rows, positions, and what it is; see internal/table
//	'z' 'a' hash                                    an ACL: the first 16 bytes of the SHA-256 of its value
//	'z' 'q' entity                                  the quotas of an entity
//	'a' ...                                         the application's own keys
const (
	prefixStore     = '!'
	prefixCatalogue = 'c'
	prefixEpochs    = 'e'
	prefixLogStart  = 'l'
	prefixBatch     = 'b'
	prefixGroup     = 'g'
	prefixMember    = 'k'
	prefixStreams   = 's'
	prefixOffset    = 'o'
	prefixProducer  = 'p'
	prefixAborted   = 't'
	prefixShare     = 'q'
	prefixNames     = 'i'
	prefixTx        = 'x'
	prefixPending   = 'y'
	prefixMembers   = 'h'
	prefixConfig    = 'u'
	prefixBroker    = 'm'
	prefixTable     = 'r'
	prefixSecurity  = 'z'
	prefixApp       = 'a'
)

const rebuiltKey = "!rebuilt"

// RebuiltKey is the key that Options.Rebuild leaves in the store: batches may be there that were
// removed or superseded. Who has removed them deletes it.
func RebuiltKey() []byte { return []byte(rebuiltKey) }

// BatchKeySize is the length of a batch key.
const BatchKeySize = 1 + 4 + 4 + 8 + 8

var errBadKey = fmt.Errorf("%w: malformed key", ErrCorrupt)

// PartitionID names a partition in keys: the topic's number, never used twice in the
// life of a store, and the partition's index.
type PartitionID struct {
	Topic     uint32
	Partition uint32
}

// BatchKey is the key under which one batch is stored.
type BatchKey struct {
	PartitionID
	LastOffset   int64 // offset of the last record, >= 0
	MaxTimestamp int64 // milliseconds since the epoch, may be negative
}

// AppendBatchKey appends the encoded key to dst.
func AppendBatchKey(dst []byte, k BatchKey) []byte {
	dst = append(dst, prefixBatch)
	dst = appendPartition(dst, k.PartitionID)
	dst = binary.BigEndian.AppendUint64(dst, uint64(k.LastOffset))
	return binary.BigEndian.AppendUint64(dst, uint64(k.MaxTimestamp)^1<<63)
}

// ParseBatchKey is the inverse of AppendBatchKey.
func ParseBatchKey(key []byte) (BatchKey, error) {
	id, last, err := parsePartition(key, prefixBatch, BatchKeySize)
	if err != nil {
		return BatchKey{}, err
	}
	return BatchKey{
		PartitionID:  id,
		LastOffset:   last,
		MaxTimestamp: int64(binary.BigEndian.Uint64(key[17:]) ^ 1<<63),
	}, nil
}

// BatchRange covers the batches of p that hold records at offset from or later.
func BatchRange(p PartitionID, from int64) Range { return new(BatchRangeKeys).Range(p, from) }

// BatchRangeKeys is memory for the keys of a BatchRange.
type BatchRangeKeys struct{ from, to [1 + 4 + 4 + 8]byte }

// Range is BatchRange. It is valid until the next one.
func (k *BatchRangeKeys) Range(p PartitionID, from int64) Range {
	key := binary.BigEndian.AppendUint64(appendPartition(append(k.from[:0], prefixBatch), p), uint64(from))
	return Range{From: key, To: appendSuccessor(k.to[:0], key[:1+4+4])}
}

// TopicRanges covers everything that is stored per partition of a topic.
func TopicRanges(number uint32) []Range {
	ranges := make([]Range, 0, 7)
	for _, prefix := range []byte{prefixBatch, prefixLogStart, prefixProducer, prefixAborted, prefixShare, prefixEpochs, prefixTable} {
		r := prefixRange(binary.BigEndian.AppendUint32([]byte{prefix}, number))
		r.KeysOnly = true
		ranges = append(ranges, r)
	}
	return ranges
}

// TablePrefix is what the keys of a table begin with, which has that number among those of its topic.
func TablePrefix(topic, table uint32) []byte {
	return appendPartition([]byte{prefixTable}, PartitionID{Topic: topic, Partition: table})
}

// TablePrefixSize is the length of a TablePrefix.
const TablePrefixSize = 1 + 4 + 4

// Behind returns the smallest key behind all that begin with prefix, nil if there is none.
func Behind(prefix []byte) []byte { return appendSuccessor(nil, prefix) }

// LogStartKey is the key of a partition's log start offset.
func LogStartKey(p PartitionID) []byte {
	return appendPartition([]byte{prefixLogStart}, p)
}

// EpochsKeySize is the length of an EpochsKey.
const EpochsKeySize = 1 + 4 + 4

// EpochsKey is the key of a partition's leader epochs.
func EpochsKey(p PartitionID) []byte {
	return appendPartition([]byte{prefixEpochs}, p)
}

// ProducerKey is the key of what a partition knows of an idempotent producer.
type ProducerKey struct {
	PartitionID
	ID int64 // >= 0
}

// ProducerKeySize is the length of an encoded ProducerKey.
const ProducerKeySize = 1 + 4 + 4 + 8

// AppendProducerKey appends the encoded key to dst.
func AppendProducerKey(dst []byte, k ProducerKey) []byte {
	dst = appendPartition(append(dst, prefixProducer), k.PartitionID)
	return binary.BigEndian.AppendUint64(dst, uint64(k.ID))
}

// ParseProducerKey is the inverse of AppendProducerKey.
func ParseProducerKey(key []byte) (ProducerKey, error) {
	id, n, err := parsePartition(key, prefixProducer, ProducerKeySize)
	return ProducerKey{PartitionID: id, ID: n}, err
}

// ProducerRange covers the producers of one partition.
func ProducerRange(p PartitionID) Range {
	return prefixRange(appendPartition([]byte{prefixProducer}, p))
}

// AbortedKey is the key of an aborted transaction of a partition.
type AbortedKey struct {
	PartitionID
	Marker int64 // offset of the batch that ended it, >= 0
}

// AbortedKeySize is the length of an encoded AbortedKey.
const AbortedKeySize = 1 + 4 + 4 + 8

// AppendAbortedKey appends the encoded key to dst.
func AppendAbortedKey(dst []byte, k AbortedKey) []byte {
	dst = appendPartition(append(dst, prefixAborted), k.PartitionID)
	return binary.BigEndian.AppendUint64(dst, uint64(k.Marker))
}

// ParseAbortedKey is the inverse of AppendAbortedKey.
func ParseAbortedKey(key []byte) (AbortedKey, error) {
	id, marker, err := parsePartition(key, prefixAborted, AbortedKeySize)
	return AbortedKey{PartitionID: id, Marker: marker}, err
}

// AbortedRange covers the aborted transactions of p that ended at offset from or later.
func AbortedRange(p PartitionID, from int64) Range {
	r := prefixRange(appendPartition([]byte{prefixAborted}, p))
	r.From = binary.BigEndian.AppendUint64(r.From, uint64(from))
	return r
}

// NamesKey is a key of the names of producers.
func NamesKey(name string) []byte { return append([]byte{prefixNames}, name...) }

// NamesRange covers the keys of names of producers that begin with name.
func NamesRange(name string) Range { return prefixRange(NamesKey(name)) }

// BrokerKey is a key of what concerns the broker as a whole.
func BrokerKey(name string) []byte { return append([]byte{prefixBroker}, name...) }

// BrokerRange covers the keys of BrokerKey that begin with name.
func BrokerRange(name string) Range { return prefixRange(BrokerKey(name)) }

// CatalogueKey is a key of the topic catalogue.
func CatalogueKey(name string) []byte { return append([]byte{prefixCatalogue}, name...) }

// CatalogueRange covers the catalogue's keys that begin with name.
func CatalogueRange(name string) Range { return prefixRange(CatalogueKey(name)) }

func appendPartition(dst []byte, p PartitionID) []byte {
	dst = binary.BigEndian.AppendUint32(dst, p.Topic)
	return binary.BigEndian.AppendUint32(dst, p.Partition)
}

// parsePartition reads what the keys of a partition have in common: behind the letter its
// name, and a number that is not negative.
func parsePartition(key []byte, prefix byte, size int) (id PartitionID, n int64, err error) {
	if len(key) != size || key[0] != prefix || key[9]&0x80 != 0 {
		return id, 0, fmt.Errorf("%w: %q is none of %q", errBadKey, key, prefix)
	}
	return partitionOf(key), int64(binary.BigEndian.Uint64(key[9:])), nil
}

// ParsePartition returns the partition that a key of TopicRanges belongs to.
func ParsePartition(key []byte) (PartitionID, error) {
	if len(key) < 1+4+4 {
		return PartitionID{}, fmt.Errorf("%w: %q is none of a partition", errBadKey, key)
	}
	return partitionOf(key), nil
}

func partitionOf(key []byte) PartitionID {
	return PartitionID{Topic: binary.BigEndian.Uint32(key[1:]), Partition: binary.BigEndian.Uint32(key[5:])}
}

// prefixRange covers the keys that begin with prefix.
func prefixRange(prefix []byte) Range { return Range{From: prefix, To: appendSuccessor(nil, prefix)} }

// appendSuccessor appends to dst, which is empty, the smallest key greater than every key with the given prefix. When there is none
// it returns nil.
func appendSuccessor(dst, prefix []byte) []byte {
	for i := len(prefix) - 1; i >= 0; i-- {
		if prefix[i] != 0xff {
			hi := append(dst, prefix[:i+1]...)
			hi[i]++
			return hi
		}
	}
	return nil
}

// OffsetValue encodes an offset as a value.
func OffsetValue(offset int64) []byte {
	return binary.BigEndian.AppendUint64(nil, uint64(offset))
}

// ParseOffset is the inverse of OffsetValue.
func ParseOffset(v []byte) (int64, error) {
	if len(v) != 8 || v[0]&0x80 != 0 {
		return 0, fmt.Errorf("%w: %x is not an offset", ErrCorrupt, v)
	}
	return int64(binary.BigEndian.Uint64(v)), nil
}

// TransactionKey is the key of a transactional id, which has at least one byte and at most MaxTransactionalID.
func TransactionKey(id string) []byte { return append([]byte{prefixTx}, id...) }

// ParseTransactionKey is the inverse of TransactionKey.
func ParseTransactionKey(key []byte) (id string, err error) {
	if len(key) < 2 || key[0] != prefixTx {
		return "", fmt.Errorf("%w: key of a transactional id %x", errBadKey, key)
	}
	return string(key[1:]), nil
}

// TransactionRange covers all transactional ids.
func TransactionRange() Range { return prefixRange([]byte{prefixTx}) }

// PendingKey is the key of an offset that a transaction commits.
type PendingKey struct {
	TransactionalID string
	OffsetKey
}

// AppendPendingKey appends the encoded key to dst.
func AppendPendingKey(dst []byte, k PendingKey) []byte {
	return appendOffsetKey(appendPending(dst, k.TransactionalID), k.OffsetKey)
}

func appendPending(dst []byte, id string) []byte {
	dst = binary.BigEndian.AppendUint16(append(dst, prefixPending), uint16(len(id)))
	return append(dst, id...)
}

// ParsePendingKey is the inverse of AppendPendingKey.
func ParsePendingKey(key []byte) (PendingKey, error) {
	const fixed = 1 + 2
	if len(key) < fixed || key[0] != prefixPending {
		return PendingKey{}, fmt.Errorf("%w: key of a pending offset %x", errBadKey, key)
	}
	n := int(binary.BigEndian.Uint16(key[1:]))
	if len(key) < fixed+n {
		return PendingKey{}, fmt.Errorf("%w: key of a pending offset %x", errBadKey, key)
	}
	k, ok := parseOffsetKey(key[fixed+n:])
	if !ok {
		return PendingKey{}, fmt.Errorf("%w: key of a pending offset %x", errBadKey, key)
	}
	return PendingKey{TransactionalID: string(key[fixed : fixed+n]), OffsetKey: k}, nil
}

// PendingRange covers the pending offsets of a transactional id.
func PendingRange(id string) Range { return prefixRange(appendPending(nil, id)) }

// AllPendingRange covers the pending offsets of all transactional ids.
func AllPendingRange() Range { return prefixRange([]byte{prefixPending}) }

// MaxAppKey is the longest key of the application, in bytes.
const MaxAppKey = maxKeySize - 1

// AppendAppKey appends an application's key, as stored, to dst.
func AppendAppKey(dst, key []byte) []byte { return append(append(dst, prefixApp), key...) }

// ParseAppKey is the inverse of AppendAppKey; what it returns shares stored's memory.
func ParseAppKey(stored []byte) ([]byte, error) {
	if len(stored) == 0 || stored[0] != prefixApp {
		return nil, fmt.Errorf("%w: %x is not the application's", errBadKey, stored)
	}
	return stored[1:], nil
}

// AppRange covers the application's keys that begin with prefix.
func AppRange(prefix []byte) Range { return prefixRange(AppendAppKey(nil, prefix)) }
