package kafka

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/partition"
)

// The timestamps of ListOffsets that are none.
const (
	listLatest             = -1
	listEarliest           = -2
	listMaxTimestamp       = -3 // the first record of the largest timestamp (KIP-734)
	listEarliestLocal      = -4 // the same as the earliest: nothing is stored elsewhere
	listLatestTiered       = -5 // what is stored elsewhere ends there: never
	listEarliestToBeTiered = -6 // and waits to go there: never
)

// listSince is the versions from which they have a meaning.
var listSince = map[int64]int16{
	listLatest: 0, listEarliest: 0, listMaxTimestamp: 7, listEarliestLocal: 8, listLatestTiered: 9, listEarliestToBeTiered: 11,
}

// ListOffsets: the offsets of partitions at a time, and at their ends.
//
// Versions 0 to 11. Version 0, which Kafka answers with the offsets at which its files begin,
// gets one offset for a time and the ends for -1. A negative timestamp that the version does not
// know is UNSUPPORTED_VERSION. To readers of what is committed the end is the last stable offset, and records at or behind it are
// not there yet.
func (c *call) listOffsets(req *kmsg.ListOffsetsRequest) kmsg.Response {
	resp := kmsg.NewPtrListOffsetsResponse()
	for _, rt := range req.Topics {
		t := kmsg.NewListOffsetsResponseTopic()
		t.Topic = rt.Topic
		for _, rp := range rt.Partitions {
			t.Partitions = append(t.Partitions, c.listOffset(rt.Topic, rp, isolation(req.IsolationLevel)))
		}
		resp.Topics = append(resp.Topics, t)
	}
	return resp
}

func (c *call) listOffset(name string, rp kmsg.ListOffsetsRequestTopicPartition, iso log.Isolation) kmsg.ListOffsetsResponseTopicPartition {
	out := kmsg.NewListOffsetsResponseTopicPartition()
	out.Partition, out.Offset, out.Timestamp = rp.Partition, -1, -1
	p, err := c.ledIn(name, rp.Partition, rp.CurrentLeaderEpoch)
	if err == nil {
		err = checkListTime(rp.Timestamp, c.version)
	}
	if err == nil && c.version == 0 {
		out.OldStyleOffsets, err = oldOffsets(p, rp.Timestamp, rp.MaxNumOffsets)
	} else if err == nil {
		out.Offset, out.Timestamp, err = offsetAt(p, iso, rp.Timestamp)
	}
	out.ErrorCode = c.s.codeOf(err)
	if err == nil && out.Offset >= 0 {
		out.LeaderEpoch = epochAt(p, out.Offset)
	}
	return out
}

// checkListTime refuses what the version has no meaning for.
func checkListTime(ts int64, version int16) error {
	if since, ok := listSince[ts]; ts < 0 && (!ok || version < since) {
		return protocolError{codeUnsupportedVersion, fmt.Sprintf("timestamp %d has no meaning in ListOffsets %d", ts, version)}
	}
	return nil
}

// offsetAt returns what a timestamp of ListOffsets stands for; the offset is -1 when there is
// no such record, and the timestamp is -1 unless a record was looked for.
func offsetAt(p *partition.Partition, iso log.Isolation, ts int64) (offset, timestamp int64, err error) {
	if err := p.Err(); err != nil {
		return -1, -1, err
	}
	switch ts {
	case listLatest:
		if iso == log.ReadCommitted {
			return p.LastStable(), -1, nil
		}
		return p.HighWatermark(), -1, nil
	case listEarliest, listEarliestLocal:
		return p.LogStart(), -1, nil
	case listLatestTiered, listEarliestToBeTiered:
		return -1, -1, nil
	case listMaxTimestamp:
		ts, err = p.Log().MaxTimestamp()
		if err != nil || ts < 0 {
			return -1, -1, err
		}
	}
	offset, timestamp, ok, err := p.OffsetForTime(iso, ts)
	if err != nil || !ok {
		return -1, -1, err
	}
	return offset, timestamp, nil
}

// oldOffsets answers version 0: offsets from the largest to the smallest, at most n.
func oldOffsets(p *partition.Partition, ts int64, n int32) ([]int64, error) {
	offset, _, err := offsetAt(p, log.ReadUncommitted, ts)
	if err != nil || offset < 0 || n <= 0 {
		return []int64{}, err
	}
	if start := p.LogStart(); ts == listLatest && start < offset && n > 1 {
		return []int64{offset, start}, nil
	}
	return []int64{offset}, nil
}

// epochAt returns the leader epoch of the record at an offset; at the end of the log, which has none, that of the leader.
func epochAt(p *partition.Partition, offset int64) int32 { return p.Log().Epochs().At(offset) }
