package kafka

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa/internal/feature"
)

// release is a release of Kafka, without its patch.
type release struct{ major, minor int }

func (r release) before(o release) bool {
	return r.major < o.major || r.major == o.major && r.minor < o.minor
}

// releases are those that a server can look like (Options.AsVersion), from the oldest on.
var releases = []release{
	{0, 10}, {0, 11}, {1, 0}, {1, 1}, {2, 0}, {2, 1}, {2, 2}, {2, 3}, {2, 4}, {2, 5}, {2, 6}, {2, 7}, {2, 8},
	{3, 0}, {3, 1}, {3, 2}, {3, 3}, {3, 4}, {3, 5}, {3, 6}, {3, 7}, {3, 8}, {3, 9}, {4, 0}, {4, 1}, {4, 2}, {4, 3}, {4, 4},
}

// Most errors that are not told to every client go by the version of its request. Those that go by the release of the broker are here, by the
// first that tells what is told today. Source: KafkaApis, GroupCoordinator and AdminManager of each release.
var (
	// firstTopicCreate is the first in which who may CREATE a topic may do so (KIP-277). Before, only CREATE on the cluster counts, and
	// CreateTopics is CLUSTER_AUTHORIZATION_FAILED.
	firstTopicCreate = release{2, 0}
	// firstInvalidRecord is the first with INVALID_RECORD; before, that is CORRUPT_MESSAGE, which clients try again.
	firstInvalidRecord = release{2, 4}
	// firstCalmSync is the first in which a member that waits for its assignment is not asked to join again by its heartbeat.
	firstCalmSync = release{2, 6}
	// firstIdempotence is the first in which who may WRITE to a topic may be idempotent (KIP-679). Before, that is CLUSTER_AUTHORIZATION_FAILED
	// without IDEMPOTENT_WRITE on the cluster, for InitProducerID and Produce.
	firstIdempotence = release{2, 8}
	// firstKRaft is the first in which every broker hands on to the controller what only that does; before, brokers with ZooKeeper say
	// NOT_CONTROLLER, and INVALID_REQUEST of a value that a topic's config cannot have.
	firstKRaft = release{3, 3}
	// firstCut is the one that has cut old versions off (KIP-896), firstEligible the one in which new clusters tell eligible leaders (KIP-966).
	firstCut, firstEligible = release{4, 0}, release{4, 1}
)

// before reports whether the server looks like a release before r.
func (s *Server) before(r release) bool { return s.as != release{} && s.as.before(r) }

// released returns what a server calls an error that has a code today.
func (s *Server) released(code int16) int16 {
	if code == codeInvalidRecord && s.before(firstInvalidRecord) {
		return codeCorruptMessage
	}
	return code
}

// parseRelease reads a release like 2.8, or 2.8.1.
func parseRelease(s string) (release, error) {
	parts := strings.Split(s, ".")
	var r release
	var err error
	if len(parts) < 2 || len(parts) > 4 {
		return r, fmt.Errorf("%q is no release", s)
	}
	for _, p := range parts {
		if _, bad := strconv.ParseUint(p, 10, 16); bad != nil {
			return r, fmt.Errorf("%q is no release", s)
		}
	}
	r.major, _ = strconv.Atoi(parts[0])
	r.minor, _ = strconv.Atoi(parts[1])
	if !slices.Contains(releases, r) {
		first, last := releases[0], releases[len(releases)-1]
		err = fmt.Errorf("release %s is not known, from %d.%d to %d.%d are", s, first.major, first.minor, last.major, last.minor)
	}
	return r, err
}

// since is the newest version of each request, and the releases from which it is that. Source: franz-go's package kversion,
// which has it of the releases, and brokers of some (TestAsVersionLikeKafka); from 3.3 on those without ZooKeeper.
var since = map[kmsg.Key]string{
	kmsg.Produce:                      "0.10:2 0.11:3 1.0:5 2.0:6 2.1:7 2.4:8 2.8:9 3.7:10 3.8:11 4.0:12 4.1:13",
	kmsg.Fetch:                        "0.10:3 0.11:5 1.0:6 1.1:7 2.0:8 2.1:10 2.3:11 2.7:12 3.1:13 3.5:15 3.7:16 3.9:17 4.1:18",
	kmsg.ListOffsets:                  "0.10:1 0.11:2 2.0:3 2.1:4 2.2:5 2.8:6 3.0:7 3.5:8 3.9:9 4.0:10 4.2:11",
	kmsg.Metadata:                     "0.10:2 0.11:4 1.0:5 2.0:6 2.1:7 2.3:8 2.4:9 2.8:11 3.1:12 4.0:13",
	kmsg.OffsetCommit:                 "0.10:2 0.11:3 2.0:4 2.1:6 2.3:7 2.4:8 3.7:9 4.2:10",
	kmsg.OffsetFetch:                  "0.10:1 0.11:3 2.0:4 2.1:5 2.4:6 2.5:7 3.0:8 3.7:9 4.2:10",
	kmsg.FindCoordinator:              "0.10:0 0.11:1 2.0:2 2.4:3 3.0:4 3.8:5 3.9:6",
	kmsg.JoinGroup:                    "0.10:1 0.11:2 2.0:3 2.2:4 2.3:5 2.4:6 2.5:7 3.2:9",
	kmsg.Heartbeat:                    "0.10:0 0.11:1 2.0:2 2.3:3 2.4:4",
	kmsg.LeaveGroup:                   "0.10:0 0.11:1 2.0:2 2.4:4 3.2:5",
	kmsg.SyncGroup:                    "0.10:0 0.11:1 2.0:2 2.3:3 2.4:4 2.5:5",
	kmsg.DescribeGroups:               "0.10:0 0.11:1 2.0:2 2.3:3 2.4:5 4.0:6",
	kmsg.ListGroups:                   "0.10:0 0.11:1 2.0:2 2.4:3 2.6:4 3.8:5",
	kmsg.SASLHandshake:                "0.10:0 1.0:1",
	kmsg.ApiVersions:                  "0.10:0 0.11:1 2.0:2 2.4:3 3.9:4 4.4:5",
	kmsg.CreateTopics:                 "0.10:1 0.11:2 2.0:3 2.4:5 2.7:6 2.8:7",
	kmsg.DeleteTopics:                 "0.10:0 0.11:1 2.0:2 2.1:3 2.4:4 2.7:5 2.8:6",
	kmsg.DeleteRecords:                "0.11:0 2.0:1 2.6:2",
	kmsg.InitProducerID:               "0.11:0 2.0:1 2.4:2 2.5:3 2.7:4 3.8:5",
	kmsg.OffsetForLeaderEpoch:         "0.11:0 2.0:1 2.1:2 2.3:3 2.8:4",
	kmsg.AddPartitionsToTxn:           "0.11:0 2.0:1 2.7:2 2.8:3 3.6:4 3.8:5",
	kmsg.AddOffsetsToTxn:              "0.11:0 2.0:1 2.7:2 2.8:3 3.8:4",
	kmsg.EndTxn:                       "0.11:0 2.0:1 2.7:2 2.8:3 3.8:4 4.0:5",
	kmsg.WriteTxnMarkers:              "0.11:0 2.8:1 4.2:2",
	kmsg.TxnOffsetCommit:              "0.11:0 2.0:1 2.1:2 2.5:3 3.8:4 4.0:5 4.4:6",
	kmsg.DescribeACLs:                 "0.11:0 2.0:1 2.5:2 3.3:3",
	kmsg.CreateACLs:                   "0.11:0 2.0:1 2.5:2 3.3:3",
	kmsg.DeleteACLs:                   "0.11:0 2.0:1 2.5:2 3.3:3",
	kmsg.DescribeConfigs:              "0.11:0 1.1:1 2.0:2 2.6:3 2.8:4",
	kmsg.AlterConfigs:                 "0.11:0 2.0:1 2.8:2",
	kmsg.DescribeLogDirs:              "1.0:0 2.0:1 2.6:2 3.2:3 3.3:4 4.3:5",
	kmsg.SASLAuthenticate:             "1.0:0 2.2:1 2.5:2",
	kmsg.CreatePartitions:             "1.0:0 2.0:1 2.5:2 2.7:3",
	kmsg.CreateDelegationToken:        "1.1:0 2.0:1 2.4:2 3.3:3",
	kmsg.RenewDelegationToken:         "1.1:0 2.0:1 2.5:2",
	kmsg.ExpireDelegationToken:        "1.1:0 2.0:1 2.5:2",
	kmsg.DescribeDelegationToken:      "1.1:0 2.0:1 2.5:2 3.3:3",
	kmsg.DeleteGroups:                 "1.1:0 2.0:1 2.4:2 4.4:3",
	kmsg.ElectLeaders:                 "2.2:0 2.4:2",
	kmsg.IncrementalAlterConfigs:      "2.3:0 2.4:1",
	kmsg.AlterPartitionAssignments:    "2.4:0 4.1:1",
	kmsg.ListPartitionReassignments:   "2.4:0",
	kmsg.OffsetDelete:                 "2.4:0",
	kmsg.DescribeClientQuotas:         "2.6:0 2.8:1",
	kmsg.AlterClientQuotas:            "2.6:0 2.8:1",
	kmsg.DescribeUserSCRAMCredentials: "2.7:0",
	kmsg.AlterUserSCRAMCredentials:    "2.7:0",
	kmsg.DescribeQuorum:               "3.3:1 3.9:2",
	kmsg.UpdateFeatures:               "2.7:0 3.3:1 4.0:2",
	kmsg.DescribeCluster:              "2.8:0 3.7:1 4.0:2",
	kmsg.UnregisterBroker:             "3.3:0",
	kmsg.DescribeProducers:            "2.8:0",
	kmsg.DescribeTransactions:         "3.0:0",
	kmsg.ListTransactions:             "3.0:0 3.8:1 4.1:2",
	kmsg.ConsumerGroupHeartbeat:       "3.7:0 4.0:1",
	kmsg.ConsumerGroupDescribe:        "3.8:0 4.0:1",
	kmsg.ListConfigResources:          "3.9:0 4.1:1",
	kmsg.DescribeTopicPartitions:      "3.9:0",
	kmsg.ShareGroupHeartbeat:          "4.1:1",
	kmsg.ShareGroupDescribe:           "4.1:1",
	kmsg.ShareFetch:                   "4.1:1 4.2:2",
	kmsg.ShareAcknowledge:             "4.1:1 4.2:2",
	kmsg.StreamsGroupHeartbeat:        "4.2:0 4.4:1",
	kmsg.StreamsGroupDescribe:         "4.2:0 4.4:1",
	kmsg.DescribeShareGroupOffsets:    "4.1:0 4.2:1",
	kmsg.AlterShareGroupOffsets:       "4.1:0",
	kmsg.DeleteShareGroupOffsets:      "4.1:0",
}

// cut is the oldest version of the requests of which Kafka 4 has cut some off (KIP-896). Produce is offered from 0 on all the same.
var cut = map[kmsg.Key]int16{
	kmsg.Fetch: 4, kmsg.ListOffsets: 1, kmsg.OffsetCommit: 2, kmsg.OffsetFetch: 1, kmsg.CreateTopics: 2, kmsg.DeleteTopics: 1,
	kmsg.OffsetForLeaderEpoch: 2, kmsg.DescribeACLs: 1, kmsg.CreateACLs: 1, kmsg.DeleteACLs: 1, kmsg.DescribeConfigs: 1, kmsg.DescribeLogDirs: 1,
	kmsg.CreateDelegationToken: 1, kmsg.RenewDelegationToken: 1, kmsg.ExpireDelegationToken: 1, kmsg.DescribeDelegationToken: 1,
}

// newest returns the newest version of a request that a release has; ok is false if it has none.
func newest(key kmsg.Key, as release) (version int16, ok bool) {
	for part := range strings.FieldsSeq(since[key]) {
		from, n, _ := strings.Cut(part, ":")
		if r, err := parseRelease(from); err != nil || as.before(r) {
			break
		}
		v, _ := strconv.ParseInt(n, 10, 16)
		version, ok = int16(v), true
	}
	return version, ok
}

// tableAs returns what a release answers of all, and no more.
func tableAs(all []entry, as release) []entry {
	var some []entry
	for _, e := range all {
		most, ok := newest(e.key, as)
		if e.max = min(e.max, most); !ok || e.max < e.min {
			continue
		}
		if !as.before(firstCut) {
			e.min = max(e.min, cut[e.key])
		}
		some = append(some, e)
	}
	return some
}

// featuresSince are the releases in which the features that there are are finalized for a new cluster.
var featuresSince = map[string]release{feature.Transactions: {4, 0}, feature.Groups: {4, 0}, feature.Shares: {4, 2}, feature.Streams: {4, 2}}

// hasFeature reports whether the server tells of a feature.
func (s *Server) hasFeature(name string) bool {
	return !s.before(featuresSince[name])
}

// controllers are the requests that only the controller carries out.
var controllers = []kmsg.Key{
	kmsg.CreateTopics, kmsg.DeleteTopics, kmsg.CreatePartitions, kmsg.ElectLeaders, kmsg.AlterPartitionAssignments, kmsg.ListPartitionReassignments, kmsg.UpdateFeatures,
}

// mustControl reports whether a request is for another node, the controller, which brokers with ZooKeeper do not hand on to.
func (c *call) mustControl() bool {
	return c.s.before(firstKRaft) && slices.Contains(controllers, c.entry.key) && c.s.cluster.now.Load().controller != c.s.opts.NodeID
}
