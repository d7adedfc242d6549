package kafka

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/partition"
	"github.com/samsa-go/samsa/topic"
)

// What a request of a node of a cluster asks about the others. A server that is alone leads and coordinates everything.

// led is partition, of one that this node leads.
func (c *call) led(name string, id topic.ID, byID bool, i int32) (*partition.Partition, error) {
	p, err := c.partition(name, id, byID, i)
	if err == nil {
		err = c.checkLeads(p)
	}
	return p, err
}

// checkLeads refuses a partition that another node leads.
func (c *call) checkLeads(p *partition.Partition) error {
	if c.s.cluster == nil {
		return nil
	}
	at, err := c.s.cluster.place(p)
	if err != nil {
		return err
	}
	return c.leads(p, at)
}

func (c *call) leads(p *partition.Partition, at seat) error {
	if at.leader == c.s.opts.NodeID {
		return nil
	}
	return protocolError{codeNotLeaderOrFollower, fmt.Sprintf("%s: node %d leads it, in epoch %d", p.TopicPartition(), at.leader, at.epoch)}
}

// ledIn is led, in the leader epoch that the client names: a replica looks at that first.
func (c *call) ledIn(name string, i, epoch int32) (*partition.Partition, error) {
	p, err := c.partition(name, noTopic, false, i)
	if err != nil {
		return nil, err
	}
	if c.s.cluster == nil {
		return p, c.checkEpoch(p, epoch)
	}
	at, err := c.s.cluster.place(p)
	if err == nil && slices.Contains(at.replicas, c.s.opts.NodeID) {
		err = compareEpochs(epoch, at.epoch)
	}
	if err == nil {
		err = c.leads(p, at)
	}
	return p, err
}

// hosted is partition, of one of which this node is a replica.
func (c *call) hosted(name string, i int32) (*partition.Partition, error) {
	p, err := c.partition(name, noTopic, false, i)
	if err != nil || c.s.cluster == nil {
		return p, err
	}
	at, err := c.s.cluster.place(p)
	if err == nil && !slices.Contains(at.replicas, c.s.opts.NodeID) {
		err = c.leads(p, at)
	}
	return p, err
}

// checkReads is checkLeads for a consumer, which may read from any replica that is in sync if its requests can say its rack
// (KIP-392), in the leader epoch that it names. A replica that is not in sync refuses: Kafka sends nobody there either, and there it has not what
// the others have.
func (c *call) checkReads(p *partition.Partition, epoch int32) error {
	if c.s.cluster == nil {
		return c.checkEpoch(p, epoch)
	}
	at, err := c.s.cluster.place(p)
	if err != nil {
		return err
	}
	if slices.Contains(at.replicas, c.s.opts.NodeID) {
		if err := compareEpochs(epoch, at.epoch); err != nil {
			return err
		}
	}
	if c.version < rackFetch || !slices.Contains(at.isr, c.s.opts.NodeID) || at.leader < 0 {
		return c.leads(p, at)
	}
	return nil
}

// rackFetch is the version of Fetch in which consumers say their rack.
const rackFetch = 11

// checkEpoch refuses a client that has heard of another leader than there is; -1 stands for one that does not say.
func (c *call) checkEpoch(p *partition.Partition, epoch int32) error {
	if epoch < 0 {
		return nil
	}
	return compareEpochs(epoch, c.placeOf(p).epoch)
}

func compareEpochs(epoch, now int32) error {
	switch {
	case epoch < 0 || epoch == now:
		return nil
	case epoch < now:
		return protocolError{codeFencedLeaderEpoch, fmt.Sprintf("leader epoch %d, it is %d by now", epoch, now)}
	}
	return protocolError{codeUnknownLeaderEpoch, fmt.Sprintf("leader epoch %d, it is %d", epoch, now)}
}

// placeOf returns where a partition is. Of one that is gone nobody knows.
func (c *call) placeOf(p *partition.Partition) seat {
	if c.s.cluster == nil {
		return seat{leader: c.s.opts.NodeID, epoch: p.Log().LeaderEpoch(), replicas: c.s.alone, isr: c.s.alone}
	}
	at, err := c.s.cluster.place(p)
	if err != nil {
		return seat{leader: -1, epoch: -1, replicas: []int32{}, isr: []int32{}}
	}
	return at
}

// epochOf returns the leader epoch of a partition, 0 if it is gone.
func (c *call) epochOf(tp log.TopicPartition) int32 {
	p, err := c.partition(tp.Topic, noTopic, false, tp.Partition)
	if err != nil {
		return 0
	}
	return max(0, c.placeOf(p).epoch)
}

// currentLeader returns who leads a partition, for a request of a version from since on that has failed because it is another, or
// in another epoch (KIP-951); of one that nobody leads, its epoch.
func (c *call) currentLeader(p *partition.Partition, code, since int16) (at seat, is bool) {
	if c.s.cluster == nil || p == nil || c.version < since || code != codeNotLeaderOrFollower && code != codeFencedLeaderEpoch {
		return at, false
	}
	at = c.placeOf(p)
	return at, at.epoch >= 0
}

// currentLeaderByID is currentLeader of a partition of the topic with that id, in every version.
func (c *call) currentLeaderByID(id topic.ID, i int32, code int16) (at seat, is bool) {
	if c.s.cluster == nil || code != codeNotLeaderOrFollower {
		return at, false
	}
	p, err := c.partition("", id, true, i)
	if err != nil {
		return at, false
	}
	return c.currentLeader(p, code, 0)
}

// moved returns a channel that is closed when something of the cluster moves; nil for a server that is alone.
func (c *call) moved() <-chan struct{} {
	if c.s.cluster == nil {
		return nil
	}
	return c.s.cluster.now.Load().changed
}

// view returns what the node tells of the cluster, which it may have been made to stop learning of.
func (c *call) view() *view {
	if v := c.s.node.stale.Load(); v != nil {
		return v
	}
	return c.s.cluster.now.Load()
}

// told is placeOf as the node tells it; ok is false for one that it does not know.
func (c *call) told(p *partition.Partition) (at seat, ok bool) {
	if c.s.cluster == nil {
		return c.placeOf(p), true
	}
	if v := c.s.node.stale.Load(); v != nil {
		return v.place(p)
	}
	return c.placeOf(p), true
}

// offline returns those replicas that do not run.
func (c *call) offline(at seat) []int32 {
	if c.s.cluster == nil {
		return nil
	}
	return without(at.replicas, c.view().up(at.replicas))
}

// inSync returns the replicas that clients are told to be in sync: none where nobody leads (KIP-966).
func (c *call) inSync(at seat) []int32 {
	if at.leader < 0 && !c.s.before(firstEligible) {
		return []int32{}
	}
	return at.isr
}

// brokers returns the nodes that run, each at the address that the client is to use.
func (c *call) brokers() []kmsg.MetadataResponseBroker {
	if c.s.cluster == nil {
		return []kmsg.MetadataResponseBroker{c.broker()}
	}
	v := c.view()
	var all []kmsg.MetadataResponseBroker
	for _, id := range v.ids(true) {
		all = append(all, c.brokerOf(v, id))
	}
	return all
}

// brokerOf returns a node that is registered.
func (c *call) brokerOf(v *view, id int32) kmsg.MetadataResponseBroker {
	b := kmsg.NewMetadataResponseBroker()
	b.NodeID, b.Rack = id, orNull(v.nodes[id].rack)
	b.Host, b.Port = c.addressOf(v, id)
	return b
}

// addressOf returns where a client finds a node: where it is told to, or where the node listens; if that is any address of
// the machine, at the one by which the client has reached this node.
func (c *call) addressOf(v *view, id int32) (string, int32) {
	if id == c.s.opts.NodeID {
		return c.advertised()
	}
	n := v.nodes[id]
	if n.address != "" {
		host, port, _ := splitAddress(n.address) // was validated
		return host, port
	}
	host, port, _ := splitAddress(n.listen)
	if ip := net.ParseIP(host); ip == nil || ip.IsUnspecified() {
		host, _ = c.advertised()
	}
	return host, port
}

// unheard reports whether the node does not know a topic, as it has stopped to learn of the cluster before.
func (c *call) unheard(t *topic.Topic) bool {
	if c.s.cluster == nil {
		return false
	}
	v := c.s.node.stale.Load()
	return v != nil && v.topics[t.Partitions()[0].ID().Topic] == nil
}

// mustRebootstrap reports whether a Metadata request is to be told to begin again with the addresses that the client was given.
func (c *call) mustRebootstrap() bool {
	return c.s.cluster != nil && c.version >= rebootstrapMetadata && c.s.node.rebootstrap.Add(-1) >= 0
}

// rebootstrapMetadata is the version of Metadata in which clients know REBOOTSTRAP_REQUIRED (KIP-1102).
const rebootstrapMetadata = 13

// coordinates returns the node that coordinates a group or a transactional id, -1 for none, as this node tells it.
func (c *call) coordinates(kind int8, key string) int32 {
	if c.s.cluster == nil {
		return c.s.opts.NodeID
	}
	of := groupSlots
	if kind == coordinatorTransaction {
		of = txnSlots
	}
	return of(c.view())[slotOf(key)].leader
}

// controller returns the node that clients are told to be the controller.
func (c *call) controller() int32 {
	if c.s.cluster == nil {
		return c.s.opts.NodeID
	}
	return c.view().controller
}

// endpoints returns the nodes of the given ids, without those that do not run, for clients that are sent there (KIP-951).
func (c *call) endpoints(ids []int32) []kmsg.MetadataResponseBroker {
	v := c.s.cluster.now.Load()
	slices.Sort(ids)
	var all []kmsg.MetadataResponseBroker
	for _, id := range slices.Compact(ids) {
		if v.isUp(id) {
			all = append(all, c.brokerOf(v, id))
		}
	}
	return all
}

// The kinds of coordinators by which requests are checked.
type coordinates struct {
	of   func(*view) *slots
	what string
}

var (
	ofGroups       = coordinates{groupSlots, "the group"}
	ofTransactions = coordinates{txnSlots, "the transactional id"}
)

// checkCoordinates refuses a group or a transactional id that another node coordinates, or this one not yet.
func (c *call) checkCoordinates(of coordinates, key string) error {
	if c.s.cluster == nil {
		return nil
	}
	at := of.of(c.s.cluster.now.Load())[slotOf(key)]
	switch {
	case at.leader != c.s.opts.NodeID:
		return protocolError{codeNotCoordinator, fmt.Sprintf("node %d coordinates %s", at.leader, of.what)}
	case at.loading:
		return protocolError{codeCoordinatorLoadInProgress, "the coordinator is loading"}
	}
	return nil
}

// coordinatesGroup is checkCoordinates for requests that are about several groups.
func (c *call) coordinatesGroup(group string) error { return c.checkCoordinates(ofGroups, group) }

// coordinated returns what a request is about that belongs to one coordinator as a whole.
func coordinated(req kmsg.Request) (of coordinates, key string, ok bool) {
	switch req := req.(type) {
	case *kmsg.OffsetCommitRequest:
		return ofGroups, req.Group, true
	case *kmsg.JoinGroupRequest:
		return ofGroups, req.Group, true
	case *kmsg.HeartbeatRequest:
		return ofGroups, req.Group, true
	case *kmsg.LeaveGroupRequest:
		return ofGroups, req.Group, true
	case *kmsg.SyncGroupRequest:
		return ofGroups, req.Group, true
	case *kmsg.OffsetDeleteRequest:
		return ofGroups, req.Group, true
	case *kmsg.TxnOffsetCommitRequest:
		return ofGroups, req.Group, true
	case *kmsg.ConsumerGroupHeartbeatRequest:
		return ofGroups, req.Group, true
	case *kmsg.ShareGroupHeartbeatRequest:
		return ofGroups, req.GroupID, true
	case *kmsg.StreamsGroupHeartbeatRequest:
		return ofGroups, req.Group, true
	case *kmsg.AlterShareGroupOffsetsRequest:
		return ofGroups, req.GroupID, true
	case *kmsg.DeleteShareGroupOffsetsRequest:
		return ofGroups, req.GroupID, true
	case *kmsg.InitProducerIDRequest:
		if req.TransactionalID == nil {
			return of, "", false
		}
		return ofTransactions, *req.TransactionalID, true
	case *kmsg.AddOffsetsToTxnRequest:
		return ofTransactions, req.TransactionalID, true
	case *kmsg.EndTxnRequest:
		return ofTransactions, req.TransactionalID, true
	case *kmsg.AddPartitionsToTxnRequest:
		if req.Version >= addPartitionsBatch {
			return of, "", false
		}
		return ofTransactions, req.TransactionalID, true
	}
	return of, "", false
}

// meetCluster carries out what a node does before each request, and reports whether that was all: it was not for this node. What was
// before it is answered.
func (c *conn) meetCluster(cl *call, q *queue) (answered bool) {
	if by := time.Duration(c.s.node.slow.Load()); by > 0 {
		cl.idle(by)
	}
	if cl.mustControl() {
		c.finish(q, true)
		c.reply(cl, cl.failed(codeNotController))
		return true
	}
	of, key, ok := coordinated(cl.req)
	if !ok {
		return false
	}
	c.finish(q, true)
	err := cl.checkCoordinates(of, key)
	var pe protocolError
	if errors.As(err, &pe) {
		c.reply(cl, cl.failedElsewhere(pe.code))
		return true
	}
	switch cl.req.(type) {
	case *kmsg.JoinGroupRequest, *kmsg.SyncGroupRequest:
		c.replyUnlessMoved(cl, of, key)
		return true
	}
	return false
}

// replyUnlessMoved carries out a request that waits for its group, until that moves: then members have to look for the
// coordinator, which waits for them.
func (c *conn) replyUnlessMoved(cl *call, of coordinates, key string) {
	refusal := cl.failedElsewhere(codeNotCoordinator)
	ctx, cancel := context.WithCancel(cl.ctx)
	cl.ctx = ctx
	done := make(chan struct{})
	moved := make(chan bool, 1)
	c.s.wg.Go(func() {
		for {
			v := c.s.cluster.now.Load()
			if of.of(v)[slotOf(key)].leader != c.s.opts.NodeID {
				cancel()
				moved <- true
				return
			}
			select {
			case <-v.changed:
			case <-done:
				moved <- false
				return
			}
		}
	})
	resp := cl.entry.answer(cl, cl.req)
	close(done)
	cancel()
	if <-moved && failedAlone(resp) {
		resp = refusal
	}
	c.reply(cl, resp)
}

// failedAlone reports whether an answer to JoinGroup or SyncGroup says that it has failed.
func failedAlone(resp kmsg.Response) bool {
	switch resp := resp.(type) {
	case *kmsg.JoinGroupResponse:
		return resp.ErrorCode != codeNone
	case *kmsg.SyncGroupResponse:
		return resp.ErrorCode != codeNone
	}
	return false
}

// failedElsewhere is failed for what another node coordinates: Kafka says nothing more than the code.
func (c *call) failedElsewhere(code int16) kmsg.Response {
	resp := c.failed(code)
	switch resp := resp.(type) {
	case *kmsg.JoinGroupResponse:
		resp.ProtocolType = nil
	case *kmsg.SyncGroupResponse:
		resp.ProtocolType, resp.Protocol = nil, nil
	case *kmsg.LeaveGroupResponse:
		resp.Members = nil
	case *kmsg.OffsetDeleteResponse:
		resp.Topics = nil
	case *kmsg.ConsumerGroupHeartbeatResponse:
		resp.MemberID = nil
	case *kmsg.ShareGroupHeartbeatResponse:
		resp.MemberID = nil
	case *kmsg.StreamsGroupHeartbeatResponse:
		resp.MemberID = ""
	case *kmsg.AlterShareGroupOffsetsResponse:
		resp.Topics = nil
	case *kmsg.DeleteShareGroupOffsetsResponse:
		resp.Topics = nil
	case *kmsg.EndTxnResponse:
		resp.ProducerID, resp.ProducerEpoch = -1, -1
	}
	return resp
}
