package clienttest

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// threeStories are what a client asks three nodes, in this order. Each has topics of its own.
var threeStories = []struct {
	name  string
	story func(c *three)
}{
	{"metadata", func(c *three) {
		c.create("spread", []int32{1, 2}, []int32{2, 3}, []int32{3, 1})
		for node := range int32(3) {
			c.each(node+1, 0, 13, metadata(c, "spread", "unknown"))
		}
		c.every(12, func() kmsg.Request {
			req := kmsg.NewPtrMetadataRequest()
			req.Topics = []kmsg.MetadataRequestTopic{{TopicID: c.id("spread")}, {TopicID: [16]byte{9}}}
			return req
		})
		c.each(1, 0, 2, func(int16) kmsg.Request { return kmsg.NewPtrDescribeClusterRequest() })
		c.ask(2, 1, &kmsg.DescribeClusterRequest{EndpointType: 2})
		c.ask(2, 1, &kmsg.DescribeClusterRequest{EndpointType: 3})
		c.ask(3, 2, &kmsg.DescribeClusterRequest{EndpointType: 1, IncludeFencedBrokers: true})
	}},
	{"pages of partitions", func(c *three) {
		c.create("pages", []int32{1, 2}, []int32{2, 3}, []int32{3, 1})
		c.create("pages2", []int32{3})
		describe := func(limit int32, cursor *kmsg.DescribeTopicPartitionsRequestCursor, topics ...string) *kmsg.DescribeTopicPartitionsRequest {
			req := kmsg.NewPtrDescribeTopicPartitionsRequest()
			req.ResponsePartitionLimit, req.Cursor = limit, cursor
			for _, name := range topics {
				req.Topics = append(req.Topics, kmsg.DescribeTopicPartitionsRequestTopic{Topic: name})
			}
			return req
		}
		at := func(topic string, partition int32) *kmsg.DescribeTopicPartitionsRequestCursor {
			return &kmsg.DescribeTopicPartitionsRequestCursor{Topic: topic, Partition: partition}
		}
		c.every(0, func() kmsg.Request { return describe(2000, nil, "pages2", "unknown", "pages") })
		c.ask(1, 0, describe(2, nil, "pages", "pages2"))
		c.ask(1, 0, describe(3, nil, "pages", "pages2"))
		c.ask(1, 0, describe(2, at("pages", 2), "pages", "pages2"))
		c.ask(1, 0, describe(2, at("pages2", 1), "pages", "pages2"))
		c.ask(1, 0, describe(2, at("paget", 0), "pages", "pages2"))
		c.ask(1, 0, describe(2, at("pages1", 0), "pages", "pages2"))
		c.ask(1, 0, describe(2, at("pages", 7), "pages", "pages2"))
		c.ask(1, 0, describe(2, at("pages2", 0), "pages", "pages2"))
		c.ask(1, 0, describe(2, at("pages", -1), "pages", "pages2"))
	}},
	{"coordinators", func(c *three) {
		for kind := range int8(4) {
			key := "somebody"
			if kind == 2 {
				key = "somebody:" + "AQIDAAAAAAAAAAAAAAAAAA" + ":0"
			}
			c.coordinator(kind, key) // it is there from now on
			for v := int16(1); v <= 6; v++ {
				c.sameEverywhere(v, find(kind, key))
				c.sameEverywhere(v, find(kind, ""))
			}
		}
		c.sameEverywhere(0, find(0, "somebody"))
		c.sameEverywhere(6, find(2, "no:key"))
		c.sameEverywhere(6, find(2, "no:key:0"))
		c.sameEverywhere(6, find(0, "somebody", "somebody", ""))
	}},
	{"produce elsewhere", func(c *three) {
		c.create("elsewhere", []int32{1, 2}, []int32{2, 3})
		for node := range int32(3) {
			for _, partition := range []int32{0, 1, 7} {
				c.each(node+1, 3, 13, func(int16) kmsg.Request { return produce(c, -1, "elsewhere", partition) })
			}
		}
		c.ask(2, 12, produce(c, 1, "unknown", 0))
		c.ask(2, 13, produce(c, 1, "unknown", 0))
		c.ask(3, 12, produce(c, 0, "elsewhere", 0)) // which nobody answers
	}},
	{"fetch elsewhere", func(c *three) {
		c.create("fetched", []int32{1, 2}, []int32{2, 3})
		c.fill("fetched", 0, 1)
		c.untilRead("fetched", 2)
		for node := range int32(3) {
			for _, partition := range []int32{0, 7} {
				c.each(node+1, 4, 18, func(v int16) kmsg.Request { return fetch(c, "fetched", partition, 0, -1, "") })
			}
		}
		c.ask(2, 12, fetch(c, "unknown", 0, 0, -1, ""))
		c.ask(2, 18, fetch(c, "unknown", 0, 0, -1, ""))
	}},
	{"racks", func(c *three) {
		c.create("racks", []int32{1, 2})
		c.fill("racks", 0, 1)
		c.untilRead("racks", 2)
		for node := range int32(3) {
			for _, rack := range []string{"", "a", "b", "c", "nowhere"} {
				for _, v := range []int16{10, 11, 12, 13, 18} {
					c.ask(node+1, v, fetch(c, "racks", 0, 0, -1, rack))
				}
			}
		}
		for _, offset := range []int64{-1, 2, 3, 99} {
			c.ask(1, 13, fetch(c, "racks", 0, offset, -1, "b"))
			c.ask(2, 13, fetch(c, "racks", 0, offset, -1, "b"))
		}
		for _, epoch := range []int32{0, 1, 7} {
			c.ask(1, 13, fetch(c, "racks", 0, 0, epoch, "b"))
			c.ask(2, 13, fetch(c, "racks", 0, 0, epoch, "b"))
			c.ask(3, 13, fetch(c, "racks", 0, 0, epoch, "b"))
		}
	}},
	{"offsets elsewhere", func(c *three) {
		c.create("offsets", []int32{1, 2})
		c.fill("offsets", 0, 1)
		for node := range int32(3) {
			for _, timestamp := range []int64{-1, -2, 1} {
				c.each(node+1, 1, 10, func(int16) kmsg.Request { return listOffsets("offsets", 0, timestamp, -1) })
			}
			c.ask(node+1, 8, listOffsets("offsets", 7, -1, -1))
			c.ask(node+1, 8, listOffsets("unknown", 0, -1, -1))
			for epoch := int32(-1); epoch <= 2; epoch++ {
				c.ask(node+1, 7, listOffsets("offsets", 0, -1, epoch))
				for of := int32(-1); of <= 1; of++ {
					c.each(node+1, 2, 4, func(int16) kmsg.Request { return epochEnd("offsets", 0, epoch, of) })
				}
			}
			c.ask(node+1, 4, epochEnd("offsets", 7, -1, 0))
			c.ask(node+1, 4, epochEnd("unknown", 0, -1, 0))
		}
	}},
	{"delete records, and describe producers, elsewhere", func(c *three) {
		c.create("deleted", []int32{1, 2})
		c.fill("deleted", 0, 1)
		for node := range int32(3) {
			c.each(node+1, 0, 2, func(int16) kmsg.Request { return deleteRecords("deleted", 0, 1) })
			c.ask(node+1, 2, deleteRecords("deleted", 7, 1))
			c.ask(node+1, 2, deleteRecords("deleted", 0, 99))
			c.ask(node+1, 2, deleteRecords("deleted", 0, -1))
			c.ask(node+1, 2, deleteRecords("unknown", 0, 1))
			for _, partition := range []int32{0, 7} {
				req := kmsg.NewPtrDescribeProducersRequest()
				req.Topics = []kmsg.DescribeProducersRequestTopic{{Topic: "deleted", Partitions: []int32{partition}}, {Topic: "unknown", Partitions: []int32{partition}}}
				c.ask(node+1, 0, req)
			}
			req := kmsg.NewPtrWriteTxnMarkersRequest()
			m := kmsg.NewWriteTxnMarkersRequestMarker()
			m.ProducerID, m.Topics = 4711, []kmsg.WriteTxnMarkersRequestMarkerTopic{{Topic: "deleted", Partitions: []int32{0, 7}}, {Topic: "unknown", Partitions: []int32{0}}}
			req.Markers = append(req.Markers, m)
			c.ask(node+1, 1, req)
		}
	}},
	{"share elsewhere", func(c *three) {
		c.share("shared", []int32{1, 2})
		c.fill("shared", 0, 1)
		for node := range int32(3) {
			for _, v := range []int16{1, 2} {
				member := fmt.Sprintf("AQIDAAAAAAAAAAAAAAAA%d%d", node, v)
				wait := shareFetch(c, member, 0, "shared", 0, 7)
				wait.MinBytes, wait.MaxWaitMillis = 1, 5000
				c.ask(node+1, v, wait)
				c.ask(node+1, v, shareFetch(c, member, 1, "shared", 0, 7))
				c.ask(node+1, v, shareAcknowledge(c, member, 2, "shared", 0, 7))
				c.ask(node+1, v, shareFetch(c, member+"u", 0, "unknown", 0))
			}
		}
	}},
	{"groups elsewhere", func(c *three) {
		at := c.coordinator(0, "away")
		for _, r := range groupRequests("away") {
			c.each(at%3+1, r.from, r.to, r.req)
		}
	}},
	{"transactions elsewhere", func(c *three) {
		c.create("txn", []int32{1, 2})
		at := c.coordinator(1, "away")
		for _, r := range txnRequests("away") {
			c.each(at%3+1, r.from, r.to, r.req)
		}
	}},
	{"elections", func(c *three) {
		c.create("elected", []int32{1, 2}, []int32{2, 3})
		c.each(2, 0, 2, func(int16) kmsg.Request { return elect(0, "elected", 0, 7) })
		c.ask(1, 2, elect(1, "elected", 0, 7))
		c.ask(1, 2, elect(5, "elected", 0))
		c.ask(1, 2, elect(0, "unknown", 0))
		c.ask(1, 2, elect(0, "elected", 0, 0))
		c.ask(1, 2, elect(0, ""))
		c.ask(3, 1, reassign("elected", 0, 2, 1))
		c.placed("elected", 0, 2, 1)
		c.every(12, func() kmsg.Request { return metadata(c, "elected")(12) })
		c.ask(1, 2, elect(1, "elected", 0))
		c.ask(1, 2, elect(0, "elected", 0))
		c.leads("elected", 0, 2)
		c.every(12, func() kmsg.Request { return metadata(c, "elected")(12) })
		all := elect(0, "")
		all.Topics = nil
		c.until(3, 2, all, nothingElected) // of the topics of other stories
		c.ask(3, 1, reassign("elected", 1, 3, 2))
		c.placed("elected", 1, 3, 2)
		c.pick = func(line string) string { return internal.ReplaceAllString(line, "") } // Samsa has no topics of its own
		c.ask(3, 2, all)
		c.pick = nil
		c.leads("elected", 1, 3)
		c.every(12, func() kmsg.Request { return metadata(c, "elected")(12) })
	}},
	{"reassignments", func(c *three) {
		c.create("moved", []int32{1, 2, 3}, []int32{2, 3, 1})
		for _, to := range [][]int32{{9}, {1, 9, 2}, {-1, 1, 2}, {1, 1, 2}, {}, nil} {
			c.each(1, 0, 1, func(int16) kmsg.Request { return reassign("moved", 0, to...) })
		}
		c.ask(1, 1, reassign("unknown", 0, 1))
		c.ask(1, 1, reassign("moved", 7, 1))
		c.ask(1, 1, cancel("moved", 0))
		c.ask(1, 1, cancel("moved", 7))
		c.ask(1, 1, cancel("unknown", 0))
		same := reassign("moved", 0, 3, 2)
		same.AllowReplicationFactorChange = false
		c.ask(1, 1, same)
		c.ask(1, 1, reassign("moved", 1, 2))
		c.placed("moved", 1, 2)
		moving := func() kmsg.Request { return kmsg.NewPtrListPartitionReassignmentsRequest() }
		c.every(0, moving)
		for _, to := range [][]int32{{1, 2, 3}, {3, 2}, {2, 3}, {1}, {2, 1, 3}, {3}} {
			c.ask(2, 1, reassign("moved", 0, to...))
			c.placed("moved", 0, to...)
			c.every(12, func() kmsg.Request { return metadata(c, "moved")(12) })
		}
		named := kmsg.NewPtrListPartitionReassignmentsRequest()
		named.Topics = []kmsg.ListPartitionReassignmentsRequestTopic{{Topic: "moved", Partitions: []int32{0, 1, 7}}, {Topic: "unknown", Partitions: []int32{0}}}
		c.ask(3, 0, named)
	}},
	{"create", func(c *three) {
		for i, r := range []struct {
			partitions int32
			replicas   int16
			assigned   [][]int32
		}{
			{1, 4, nil}, {1, 0, nil}, {1, -2, nil}, {0, 1, nil}, {-1, -1, nil}, {2, 3, nil}, {2, -1, nil}, {-1, 2, nil},
			{-1, -1, [][]int32{{1, 2}, {3}}}, {-1, -1, [][]int32{{9}}}, {-1, -1, [][]int32{{1, 1}}}, {-1, -1, [][]int32{{}}}, {-1, -1, [][]int32{{-1}}},
			{1, -1, [][]int32{{1}}}, {-1, 1, [][]int32{{1}}}, {1, 1, [][]int32{{1}}}, {-1, -1, [][]int32{{1, 2, 3}, {3, 2, 1}}}, {-1, -1, [][]int32{{1, 2, 3, 1}}},
		} {
			for _, only := range []bool{true, false} {
				c.each(int32(i)%3+1, 2, 7, func(v int16) kmsg.Request {
					return createTopic(fmt.Sprintf("created-%d-%d", i, v), r.partitions, r.replicas, only, r.assigned...)
				})
			}
		}
		for _, first := range []int32{1, -1, 0} {
			req := createTopic("numbers", -1, -1, true, []int32{1}, []int32{2})
			req.Topics[0].ReplicaAssignment[0].Partition = first
			req.Topics[0].ReplicaAssignment[1].Partition = 2
			c.ask(1, 7, req)
			req.Topics[0].ReplicaAssignment[1].Partition = first
			c.ask(1, 7, req)
		}
		c.create("there", []int32{1})
		c.ask(2, 7, createTopic("there", 1, 1, false))
	}},
	{"grow", func(c *three) {
		c.create("grown", []int32{1, 2}, []int32{2, 3})
		for _, only := range []bool{true, false} {
			for _, r := range []struct {
				count    int32
				assigned [][]int32
			}{
				{1, nil}, {2, nil}, {0, nil}, {-1, nil}, {3, [][]int32{{9, 1}}}, {3, [][]int32{{1, 1}}}, {3, [][]int32{{1}}}, {3, [][]int32{{1, 2, 3}}},
				{3, [][]int32{{}}}, {3, [][]int32{{-1, 2}}}, {3, [][]int32{{1, 2}, {2, 3}}}, {4, [][]int32{{1, 2}}}, {2, [][]int32{{1, 2}}}, {3, [][]int32{{3, 1}}}, {5, [][]int32{{1, 3}, {2, 1}}},
			} {
				c.ask(r.count&1+2, 3, grow("grown", r.count, only, r.assigned...))
			}
		}
		c.ask(1, 3, grow("unknown", 3, false))
		c.placed("grown", 4, 2, 1)
		c.ask(1, 12, metadata(c, "grown")(12))
	}},
	{"directories", func(c *three) {
		c.create("dirs", []int32{1, 2}, []int32{2, 3}, []int32{3, 2})
		for node := range int32(3) {
			c.each(node+1, 1, 4, func(int16) kmsg.Request {
				req := kmsg.NewPtrDescribeLogDirsRequest()
				req.Topics = []kmsg.DescribeLogDirsRequestTopic{{Topic: "dirs", Partitions: []int32{0, 1, 2, 7}}, {Topic: "unknown", Partitions: []int32{0}}}
				return req
			})
		}
	}},
	{"what the controller does", func(c *three) {
		for node := range int32(3) {
			name := fmt.Sprint("by-", node)
			c.ask(node+1, 7, createTopic(name, -1, -1, false, []int32{1}))
			c.ask(node+1, 3, grow(name, 2, false, []int32{2}))
			for _, of := range []string{"", "1", "2", "9", "x"} {
				req := kmsg.NewPtrIncrementalAlterConfigsRequest()
				value := "200000"
				req.Resources = []kmsg.IncrementalAlterConfigsRequestResource{{ResourceType: kmsg.ConfigResourceTypeBroker, ResourceName: of, Configs: []kmsg.IncrementalAlterConfigsRequestResourceConfig{{Name: "message.max.bytes", Value: &value}}}}
				req.ValidateOnly = true
				c.ask(node+1, 1, req)
				d := kmsg.NewPtrDescribeConfigsRequest()
				d.Resources = []kmsg.DescribeConfigsRequestResource{{ResourceType: kmsg.ConfigResourceTypeBroker, ResourceName: of}}
				c.ask(node+1, 4, d)
			}
			del := kmsg.NewPtrDeleteTopicsRequest()
			del.Topics = []kmsg.DeleteTopicsRequestTopic{{Topic: &name}}
			c.ask(node+1, 6, del)
			q := kmsg.NewPtrDescribeQuorumRequest()
			q.Topics = []kmsg.DescribeQuorumRequestTopic{{Topic: "__cluster_metadata", Partitions: []kmsg.DescribeQuorumRequestTopicPartition{{}}}}
			c.pick = quorum
			c.each(node+1, 0, 2, func(int16) kmsg.Request { return q })
			c.pick = nil
			c.ask(node+1, 0, &kmsg.UnregisterBrokerRequest{BrokerID: 9})
			c.ask(node+1, 0, &kmsg.UnregisterBrokerRequest{BrokerID: -1})
		}
	}},
	{"a node stops, and starts", func(c *three) {
		c.create("stopped", []int32{3, 1}, []int32{1, 3}, []int32{2, 3}, []int32{3, 2})
		c.create("lonely", []int32{3}, []int32{1})
		c.fill("stopped", 0, 3)
		must(c.t, c.stop(3))
		c.hangUp()
		for _, node := range []int32{1, 2} {
			c.until(node, 12, metadata(c, "stopped")(12), isWithout(3))
			c.ledBy(node, "stopped")
			c.each(node, 0, 13, metadata(c, "stopped"))
			c.ask(node, 2, &kmsg.DescribeClusterRequest{EndpointType: 1})
			c.ask(node, 2, &kmsg.DescribeClusterRequest{EndpointType: 1, IncludeFencedBrokers: true})
			c.ask(node, 0, &kmsg.DescribeTopicPartitionsRequest{ResponsePartitionLimit: 2000, Topics: []kmsg.DescribeTopicPartitionsRequestTopic{{Topic: "stopped"}, {Topic: "lonely"}}})
			for partition := range int32(4) {
				c.ask(node, 7, listOffsets("stopped", partition, -1, -1))
				c.ask(node, 7, listOffsets("stopped", partition, -1, 0))
				c.ask(node, 7, listOffsets("stopped", partition, -1, 2))
				c.ask(node, 4, epochEnd("stopped", partition, -1, 0))
				c.ask(node, 12, produce(c, -1, "stopped", partition))
				c.ask(node, 18, fetch(c, "stopped", partition, 0, -1, ""))
				c.ask(node, 18, fetch(c, "stopped", partition, 0, -1, "c"))
				c.ask(node, 18, fetch(c, "stopped", partition, 0, 0, ""))
				c.ask(node, 2, elect(0, "stopped", partition))
				c.ask(node, 2, elect(1, "stopped", partition))
			}
			c.ask(node, 7, createTopic(fmt.Sprint("meanwhile-", node), 1, 3, false))
			c.ask(node, 7, createTopic(fmt.Sprint("four-", node), 1, 4, false))
			c.ask(node, 7, createTopic(fmt.Sprint("assigned-", node), -1, -1, false, []int32{3, 1}))
			c.ask(node, 7, createTopic(fmt.Sprint("dead-", node), -1, -1, false, []int32{3}))
			c.knows(node, fmt.Sprint("assigned-", node), 3, 1)
			c.ask(node, 12, metadata(c, fmt.Sprint("assigned-", node))(12))
			for partition := range int32(2) {
				c.ask(node, 12, metadata(c, "lonely")(12))
				c.ask(node, 2, elect(0, "lonely", partition))
				c.ask(node, 12, produce(c, -1, "lonely", partition))
				c.ask(node, 18, fetch(c, "lonely", partition, 0, -1, ""))
			}
			c.ask(node, 3, grow("stopped", 4+node, false, []int32{3}))
			c.ask(node, 3, grow("stopped", 4+node, false, []int32{3, 2, 1}))
			c.ask(node, 3, grow("stopped", 4+node, false, []int32{1, 2}))
			c.ask(node, 1, reassign("stopped", 1, 3))
			c.ask(node, 0, kmsg.NewPtrListPartitionReassignmentsRequest())
			c.ask(node, 1, cancel("stopped", 1))
			c.ask(node, 1, reassign("stopped", 2, 2))
			c.ask(node, 1, cancel("stopped", 2))
		}
		c.ask(1, 1, reassign("lonely", 0, 2, 3))
		c.ask(1, 1, reassign("lonely", 0, 3, 2))
		c.knows(1, "lonely", 3, 2)
		c.ask(1, 12, metadata(c, "lonely")(12))
		c.ask(2, 0, kmsg.NewPtrListPartitionReassignmentsRequest())
		c.ask(2, 1, cancel("lonely", 0))
		c.ask(1, 2, elect(1, "lonely", 0, 1))
		must(c.t, c.restart(3))
		for _, node := range []int32{1, 2, 3} {
			c.until(node, 12, metadata(c, "stopped", "assigned-1")(12), isWhole)
			c.ask(node, 12, metadata(c, "stopped", "assigned-1")(12))
		}
		c.ask(3, 18, fetch(c, "stopped", 0, 0, 0, ""))
		c.ask(1, 18, fetch(c, "stopped", 0, 0, 0, ""))
		c.ask(3, 2, elect(0, "stopped", 0, 1, 2, 3))
		c.leads("stopped", 0, 3)
		c.every(12, func() kmsg.Request { return metadata(c, "stopped")(12) })
		c.ask(3, 4, epochEnd("stopped", 0, -1, 0))
		c.ask(3, 4, epochEnd("stopped", 0, -1, 1))
		c.ask(3, 4, epochEnd("stopped", 0, -1, 2))
	}},
	{"a node dies", func(c *three) {
		c.create("orphaned", []int32{3, 1}, []int32{1, 3}, []int32{2, 3})
		c.fill("orphaned", 0, 3)
		must(c.t, c.kill(3))
		c.hangUp()
		for _, node := range []int32{1, 2} {
			c.until(node, 12, metadata(c, "orphaned")(12), isWithout(3))
			c.ledBy(node, "orphaned")
			c.ask(node, 12, metadata(c, "orphaned")(12))
			for partition := range int32(3) {
				c.ask(node, 12, produce(c, -1, "orphaned", partition))
				c.ask(node, 18, fetch(c, "orphaned", partition, 0, 0, ""))
				c.ask(node, 18, fetch(c, "orphaned", partition, 0, 1, ""))
				c.ask(node, 4, epochEnd("orphaned", partition, -1, 0))
			}
		}
		must(c.t, c.restart(3))
		for _, node := range []int32{1, 2, 3} {
			c.until(node, 12, metadata(c, "orphaned")(12), isWhole)
			c.ask(node, 12, metadata(c, "orphaned")(12))
		}
		all := elect(0, "")
		all.Topics = nil
		c.send(1, 2, all)
		c.leads("orphaned", 0, 3)
		c.every(12, func() kmsg.Request { return metadata(c, "orphaned")(12) })
	}},
	{"a node goes for good", func(c *three) {
		c.create("goes", []int32{3, 1})
		must(c.t, c.stop(3))
		c.hangUp()
		for _, node := range []int32{1, 2} {
			c.until(node, 12, metadata(c, "goes")(12), isWithout(3))
		}
		c.ask(2, 0, &kmsg.UnregisterBrokerRequest{BrokerID: 3})
		c.ask(2, 0, &kmsg.UnregisterBrokerRequest{BrokerID: 3})
		for _, node := range []int32{1, 2} {
			c.until(node, 2, &kmsg.DescribeClusterRequest{EndpointType: 1, IncludeFencedBrokers: true}, func(resp kmsg.Response) bool { return len(resp.(*kmsg.DescribeClusterResponse).Brokers) == 2 })
			c.ask(node, 12, metadata(c, "goes")(12))
		}
		c.ask(1, 7, createTopic("two", 1, 3, false))
		c.ask(1, 7, createTopic("three", -1, -1, false, []int32{1, 3}))
		c.ask(1, 1, reassign("goes", 0, 1, 3))
		c.ask(1, 1, reassign("goes", 0, 3))
		c.ask(1, 1, reassign("goes", 0, 1))
		c.knows(1, "goes", 1)
		c.ask(1, 12, metadata(c, "goes")(12))
	}},
}
