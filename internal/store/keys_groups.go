package store

import (
	"encoding/binary"
	"fmt"
)

// GroupKey is the key of a consumer group, whose name has at most MaxGroupName bytes.
func GroupKey(group string) []byte { return append([]byte{prefixGroup}, group...) }

// MaxGroupName is the longest name of a group, in bytes: a key with a topic's name behind
// it still fits.
const MaxGroupName = 512

// GroupRange covers all consumer groups.
func GroupRange() Range { return prefixRange([]byte{prefixGroup}) }

// ParseGroupKey is the inverse of GroupKey.
func ParseGroupKey(key []byte) (group string, err error) {
	if len(key) < 2 || key[0] != prefixGroup {
		return "", fmt.Errorf("%w: group key %x", errBadKey, key)
	}
	return string(key[1:]), nil
}

// MaxMemberID is the longest id of a member, in bytes, that has a key.
const MaxMemberID = maxKeySize - 1 - 2 - MaxGroupName

// MemberKey is the key of a member of a consumer group, whose id has at most MaxMemberID bytes.
func MemberKey(group, member string) []byte { return append(memberPrefix(group), member...) }

func memberPrefix(group string) []byte {
	return append(binary.BigEndian.AppendUint16([]byte{prefixMember}, uint16(len(group))), group...)
}

// ParseMemberKey is the inverse of MemberKey.
func ParseMemberKey(key []byte) (group, member string, err error) {
	const fixed = 1 + 2
	if len(key) < fixed || key[0] != prefixMember || len(key)-fixed <= int(binary.BigEndian.Uint16(key[1:])) {
		return "", "", fmt.Errorf("%w: key of a member %x", errBadKey, key)
	}
	n := fixed + int(binary.BigEndian.Uint16(key[1:]))
	return string(key[fixed:n]), string(key[n:]), nil
}

// MemberRange covers the members of a group.
func MemberRange(group string) Range { return prefixRange(memberPrefix(group)) }

// AllMemberRange covers the members of all groups.
func AllMemberRange() Range { return prefixRange([]byte{prefixMember}) }

// StreamsKey is the key of a streams group, or of a member of it, if the id is not "". They have at most MaxGroupName and
// MaxMemberID bytes.
func StreamsKey(group, member string) []byte {
	key := append(binary.BigEndian.AppendUint16([]byte{prefixStreams}, uint16(len(group))), group...)
	return append(key, member...)
}

// StreamsRange covers all streams groups and their members.
func StreamsRange() Range { return prefixRange([]byte{prefixStreams}) }

// ParseStreamsKey is the inverse of StreamsKey.
func ParseStreamsKey(key []byte) (group, member string, err error) {
	const fixed = 1 + 2
	if len(key) < fixed || key[0] != prefixStreams || len(key)-fixed < int(binary.BigEndian.Uint16(key[1:])) {
		return "", "", fmt.Errorf("%w: key of a streams group %x", errBadKey, key)
	}
	n := fixed + int(binary.BigEndian.Uint16(key[1:]))
	return string(key[fixed:n]), string(key[n:]), nil
}

// OffsetKey is the key of a committed offset.
type OffsetKey struct {
	Group     string
	Topic     string
	Partition int32
}

// AppendOffsetKey appends the encoded key to dst.
func AppendOffsetKey(dst []byte, k OffsetKey) []byte {
	return appendOffsetKey(append(dst, prefixOffset), k)
}

func appendOffsetKey(dst []byte, k OffsetKey) []byte {
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(k.Group)))
	dst = append(dst, k.Group...)
	dst = append(dst, k.Topic...)
	return binary.BigEndian.AppendUint32(dst, uint32(k.Partition))
}

// ParseOffsetKey is the inverse of AppendOffsetKey.
func ParseOffsetKey(key []byte) (OffsetKey, error) {
	if len(key) > 0 && key[0] == prefixOffset {
		if k, ok := parseOffsetKey(key[1:]); ok {
			return k, nil
		}
	}
	return OffsetKey{}, fmt.Errorf("%w: offset key %x", errBadKey, key)
}

// parseOffsetKey reads what is behind the letter.
func parseOffsetKey(key []byte) (k OffsetKey, ok bool) {
	const fixed = 2 + 4
	if len(key) < fixed {
		return k, false
	}
	n := int(binary.BigEndian.Uint16(key))
	if len(key) < fixed+n {
		return k, false
	}
	topic := key[2+n : len(key)-4]
	return OffsetKey{
		Group:     string(key[2 : 2+n]),
		Topic:     string(topic),
		Partition: int32(binary.BigEndian.Uint32(key[len(key)-4:])),
	}, true
}

// OffsetRange covers the committed offsets of all groups.
func OffsetRange() Range { return prefixRange([]byte{prefixOffset}) }

// GroupOffsetRange covers the committed offsets of a group.
func GroupOffsetRange(group string) Range {
	return prefixRange(append(binary.BigEndian.AppendUint16([]byte{prefixOffset}, uint16(len(group))), group...))
}

// MaxTransactionalID is the longest transactional id, in bytes: the key of a pending offset, with the longest names of a
// group and a topic, still fits.
const MaxTransactionalID = maxKeySize - 1 - 2 - 2 - MaxGroupName - maxTopicName - 4

const maxTopicName = 249

// ShareKey is a key of what a share group, whose name has at most MaxGroupName bytes, has decided in a partition.
type ShareKey struct {
	PartitionID
	Group string
	// Chunk is the number of a chunk of offsets, -1 for how far the group is in all.
	Chunk int64
}

// AppendShareKey appends the encoded key to dst.
func AppendShareKey(dst []byte, k ShareKey) []byte {
	dst = appendPartition(append(dst, prefixShare), k.PartitionID)
	dst = append(binary.BigEndian.AppendUint16(dst, uint16(len(k.Group))), k.Group...)
	if k.Chunk < 0 {
		return dst
	}
	return binary.BigEndian.AppendUint64(dst, uint64(k.Chunk))
}

// ParseShareKey is the inverse of AppendShareKey.
func ParseShareKey(key []byte) (k ShareKey, err error) {
	const fixed = 1 + 4 + 4 + 2
	if len(key) > fixed && key[0] == prefixShare {
		n := int(binary.BigEndian.Uint16(key[fixed-2:]))
		k = ShareKey{PartitionID: partitionOf(key), Chunk: -1}
		switch rest := len(key) - fixed - n; {
		case n == 0 || rest < 0:
		case rest == 0:
			k.Group = string(key[fixed:])
			return k, nil
		case rest == 8 && key[fixed+n]&0x80 == 0:
			k.Group, k.Chunk = string(key[fixed:fixed+n]), int64(binary.BigEndian.Uint64(key[fixed+n:]))
			return k, nil
		}
	}
	return ShareKey{}, fmt.Errorf("%w: key of a share group %x", errBadKey, key)
}

// ShareRange covers what all share groups have decided.
func ShareRange() Range { return prefixRange([]byte{prefixShare}) }

// ShareGroupRange covers what a share group has decided in a partition.
func ShareGroupRange(id PartitionID, group string) Range {
	return prefixRange(AppendShareKey(nil, ShareKey{PartitionID: id, Group: group, Chunk: -1}))
}

// MembersKey is the key of the membership of a share group, whose name has at most MaxGroupName bytes.
func MembersKey(group string) []byte { return append([]byte{prefixMembers}, group...) }

// MembersRange covers the memberships of all share groups.
func MembersRange() Range { return prefixRange([]byte{prefixMembers}) }

// ParseMembersKey is the inverse of MembersKey.
func ParseMembersKey(key []byte) (group string, err error) {
	if len(key) < 2 || key[0] != prefixMembers {
		return "", fmt.Errorf("%w: key of a share group %x", errBadKey, key)
	}
	return string(key[1:]), nil
}

// GroupConfigKey is the key of the configs of a group, whose name has at most MaxGroupName bytes.
func GroupConfigKey(group string) []byte { return append([]byte{prefixConfig}, group...) }

// GroupConfigRange covers the configs of all groups.
func GroupConfigRange() Range { return prefixRange([]byte{prefixConfig}) }

// ParseGroupConfigKey is the inverse of GroupConfigKey.
func ParseGroupConfigKey(key []byte) (group string, err error) {
	if len(key) < 2 || key[0] != prefixConfig {
		return "", fmt.Errorf("%w: key of a group's configs %x", errBadKey, key)
	}
	return string(key[1:]), nil
}
