package kafka

import (
	"errors"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/topic"
)

// DescribeLogDirs: how many bytes each partition takes.
//
// Versions 0 to 5. There is one directory, called "memory" when it is none; its size and room on the disk are not told.
func (c *call) describeLogDirs(req *kmsg.DescribeLogDirsRequest) kmsg.Response {
	resp := kmsg.NewPtrDescribeLogDirsResponse()
	dir := kmsg.NewDescribeLogDirsResponseDir()
	dir.Dir, dir.TotalBytes, dir.UsableBytes = c.s.logDir(), -1, -1
	wanted := wantedPartitions(req)
	for _, t := range c.namedTopics(req) {
		out := kmsg.NewDescribeLogDirsResponseDirTopic()
		out.Topic = t.Name()
		for i, p := range t.Partitions() {
			if !wanted(t.Name(), int32(i)) || !slices.Contains(c.placeOf(p).replicas, c.s.opts.NodeID) {
				continue
			}
			size, err := p.BytesFrom(log.ReadUncommitted, p.LogStart(), math.MaxInt)
			if errors.Is(err, log.ErrUnknownTopic) || errors.Is(err, log.ErrOffsetOutOfRange) {
				continue // it was deleted, or cut at its start, just now
			}
			if err != nil {
				dir.ErrorCode = c.s.codeOf(err)
				continue
			}
			op := kmsg.NewDescribeLogDirsResponseDirTopicPartition()
			op.Partition, op.Size = int32(i), int64(size)
			out.Partitions = append(out.Partitions, op)
		}
		if len(out.Partitions) > 0 {
			dir.Topics = append(dir.Topics, out)
		}
	}
	resp.Dirs = append(resp.Dirs, dir)
	return resp
}

// namedTopics are those that the request is about, by name: all of them if it names none.
func (c *call) namedTopics(req *kmsg.DescribeLogDirsRequest) []*topic.Topic {
	if req.Topics == nil {
		return c.s.in.Catalogue.List()
	}
	topics := make(map[string]*topic.Topic)
	for _, rt := range req.Topics {
		if t, err := c.s.in.Catalogue.Get(rt.Topic); err == nil {
			topics[rt.Topic] = t
		}
	}
	return slices.SortedFunc(maps.Values(topics), func(a, b *topic.Topic) int { return strings.Compare(a.Name(), b.Name()) })
}

// logDir is the data directory, as it is called wherever the process stands.
func (s *Server) logDir() string {
	if s.in.Dir == "" {
		return "memory"
	}
	if dir, err := filepath.Abs(s.in.Dir); err == nil {
		return dir
	}
	return s.in.Dir
}

// wantedPartitions tells what the request asks for: everything if it names nothing.
func wantedPartitions(req *kmsg.DescribeLogDirsRequest) func(topic string, partition int32) bool {
	if req.Topics == nil {
		return func(string, int32) bool { return true }
	}
	type name struct {
		topic     string
		partition int32
	}
	asked := make(map[name]bool)
	for _, rt := range req.Topics {
		for _, i := range rt.Partitions {
			asked[name{rt.Topic, i}] = true
		}
	}
	return func(topic string, partition int32) bool { return asked[name{topic, partition}] }
}
