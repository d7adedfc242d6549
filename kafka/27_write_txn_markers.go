package kafka

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/txn"
)

// WriteTxnMarkers: aborts a hanging transaction in single partitions, as administrators do (KIP-664). One that a
// transactional id has is aborted in all its partitions.
//
// Versions 1 to 2. A commit is CLUSTER_AUTHORIZATION_FAILED, which Kafka takes from other brokers: markers of commits are
// written when a transaction ends, and by nobody else. Epochs of the coordinator are not looked at: there is one.
func (c *call) writeTxnMarkers(req *kmsg.WriteTxnMarkersRequest) kmsg.Response {
	resp := kmsg.NewPtrWriteTxnMarkersResponse()
	for _, m := range req.Markers {
		rm := kmsg.NewWriteTxnMarkersResponseMarker()
		rm.ProducerID = m.ProducerID
		ended := make(map[log.TopicPartition]bool)
		for _, t := range m.Topics {
			rt := kmsg.NewWriteTxnMarkersResponseMarkerTopic()
			rt.Topic = t.Topic
			for _, i := range t.Partitions {
				rp := kmsg.NewWriteTxnMarkersResponseMarkerTopicPartition()
				rp.Partition, rp.ErrorCode = i, c.s.codeOf(c.writeMarker(&m, log.TopicPartition{Topic: t.Topic, Partition: i}, ended))
				rt.Partitions = append(rt.Partitions, rp)
			}
			rm.Topics = append(rm.Topics, rt)
		}
		resp.Markers = append(resp.Markers, rm)
	}
	return resp
}

// writeMarker aborts the transaction in one partition, and notes in ended where it has ended by that.
func (c *call) writeMarker(m *kmsg.WriteTxnMarkersRequestMarker, tp log.TopicPartition, ended map[log.TopicPartition]bool) error {
	if err := c.refusal(tp.Topic, tp.Partition); err != nil {
		return err
	}
	if _, err := c.hosted(tp.Topic, tp.Partition); err != nil {
		return log.ErrUnknownPartition
	}
	if _, err := c.led(tp.Topic, noTopic, false, tp.Partition); err != nil {
		return err
	}
	if m.Committed {
		return protocolError{codeClusterAuthorizationFailed, "only the end of a transaction commits it"}
	}
	if ended[tp] {
		return nil
	}
	all, err := c.s.in.Txns.Abort(c.ctx, tp, txn.Producer{ID: m.ProducerID, Epoch: m.ProducerEpoch}, -1)
	for _, tp := range all {
		ended[tp] = err == nil
	}
	return err
}
