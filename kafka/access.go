package kafka

import (
	"errors"
	"net"
	"net/netip"
	"reflect"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap"

	"github.com/samsa-go/samsa/internal/acl"
)

// ACLs has requests checked against the ACLs that the broker's store keeps, as a Kafka with its StandardAuthorizer does:
// what no ACL allows, or one denies, is refused. ACLs are made by Kafka's own requests and tools, and by ACLsOf. The Go API is in
// the process, and is not checked.
type ACLs struct {
	// SuperUsers may do everything (super.users).
	SuperUsers []Principal
	// AllowIfNone lets everybody do what no ACL is about (allow.everyone.if.no.acl.found).
	AllowIfNone bool
}

// How a request is checked. A check runs before the handler, and says one of three things: nothing; an error that the
// whole request fails with, a Code; or, by needTopics, what each topic of the request needs, which is looked at where the
// handler looks for the topic (call.refusal), before anybody looks whether it exists. What lists leaves out what may not be
// described: there the handler asks call.may itself.

// check checks one kind of request. Which one each has is in access_table.go.
type check func(*call, kmsg.Request) error

// The errors of who may not. Each is the whole answer, or that of what it is about.
const (
	errTopicDenied   = Code(codeTopicAuthorizationFailed)
	errGroupDenied   = Code(codeGroupAuthorizationFailed)
	errClusterDenied = Code(codeClusterAuthorizationFailed)
	errTxnIDDenied   = Code(codeTransactionalIDAuthorizationFailed)
)

// access is what a request may do, as far as that is known.
type access struct {
	subject    acl.Subject
	known      bool // subject is
	needTopics acl.Operation
	topic      string // that was asked for last
	mayTopic   bool
}

// admitted checks a request before it is carried out, and answers it if it must not be; it reports whether it may go on.
func (c *conn) admitted(cl *call, q *queue) bool {
	err, ok := cl.checkAccess()
	if ok {
		return true
	}
	c.finish(q, true)
	resp := cl.denied(err)
	if resp == nil { // a Produce without acks: as in Kafka there is no other way to say it
		c.breakOff(err)
	}
	c.reply(cl, resp)
	return false
}

// onlyCode are the requests whose answer, where all is denied, has a code and no more.
var onlyCode = []kmsg.Key{
	kmsg.LeaveGroup, kmsg.OffsetDelete, kmsg.ShareFetch, kmsg.ShareAcknowledge, kmsg.AlterShareGroupOffsets, kmsg.DeleteShareGroupOffsets,
}

// denied answers a request of which all is denied.
func (c *call) denied(err Code) kmsg.Response {
	if c.entry.key == kmsg.DescribeUserSCRAMCredentials { // as Kafka does it
		resp := kmsg.NewPtrDescribeUserSCRAMCredentialsResponse()
		r := kmsg.NewDescribeUserSCRAMCredentialsResponseResult()
		resp.ErrorCode, r.ErrorCode, r.ErrorMessage = int16(err), int16(err), message(err)
		resp.Results = append(resp.Results, r)
		return resp
	}
	if !slices.Contains(onlyCode, c.entry.key) && (c.entry.key != kmsg.AddPartitionsToTxn || c.version < addPartitionsBatch) {
		return c.failed(int16(err))
	}
	resp := c.req.ResponseKind()
	reflect.ValueOf(resp).Elem().FieldByName("ErrorCode").SetInt(int64(err))
	return resp
}

// checkAccess reports whether a request may go on, and if not what all of it fails with. A kind of request that has no check
// may not.
func (c *call) checkAccess() (Code, bool) {
	if c.s.opts.ACLs == nil || c.s.isSuper(c.from) {
		return 0, true
	}
	check := checks[c.entry.key]
	if check == nil {
		return errClusterDenied, false
	}
	err := check(c, c.req)
	var code Code
	if errors.As(err, &code) {
		return code, false
	}
	return errClusterDenied, err == nil
}

// isSuper reports whether p may do everything.
func (s *Server) isSuper(p Principal) bool {
	_, ok := s.super[p]
	return ok
}

func superUsers(acls *ACLs) map[Principal]struct{} {
	if acls == nil {
		return nil
	}
	super := make(map[Principal]struct{})
	for _, p := range acls.SuperUsers {
		super[p] = struct{}{}
	}
	return super
}

// may reports whether the client may do op with the resource of that name.
func (c *call) may(op acl.Operation, r acl.Resource, name string) bool {
	if c.s.opts.ACLs == nil || c.s.isSuper(c.from) {
		return true
	}
	if c.s.in.ACLs.Now().Allows(c.subject(), op, r, name, c.s.opts.ACLs.AllowIfNone) {
		return true
	}
	if ce := c.s.logger.Check(zap.DebugLevel, "kafka: denied"); ce != nil {
		ce.Write(zap.Stringer("principal", c.from), zap.Stringer("host", c.access.subject.Host), zap.String("request", c.entry.key.Name()),
			zap.Stringer("operation", op), zap.Stringer("resource", r), zap.String("name", name))
	}
	return false
}

// mayCluster reports whether the client may do one of the operations with the cluster.
func (c *call) mayCluster(ops ...acl.Operation) bool {
	for _, op := range ops {
		if c.may(op, acl.Cluster, acl.ClusterName) {
			return true
		}
	}
	return false
}

// mayAnyTopic reports whether there is a topic, which need not exist, that the client may do op with.
func (c *call) mayAnyTopic(op acl.Operation) bool {
	return c.s.opts.ACLs == nil || c.s.isSuper(c.from) || c.s.in.ACLs.Now().AllowsAny(c.subject(), op, acl.Topic, c.s.opts.ACLs.AllowIfNone)
}

// operations returns what the client may do with a resource, as bits.
func (c *call) operations(r acl.Resource, name string) int32 {
	if c.s.opts.ACLs == nil || c.s.isSuper(c.from) {
		return r.Every()
	}
	return c.s.in.ACLs.Now().Operations(c.subject(), r, name, c.s.opts.ACLs.AllowIfNone)
}

// clusterOperations is operations of the cluster: 0 for who may not describe it, as in Kafka.
func (c *call) clusterOperations() int32 {
	if !c.mayCluster(acl.Describe) {
		return 0
	}
	return c.operations(acl.Cluster, acl.ClusterName)
}

// describes returns what tells later which topics the client may describe. It holds on to nothing of the call.
func (c *call) describes() func(topic string) bool {
	s, from, who := c.s, c.from, c.subject()
	return func(topic string) bool {
		return s.isSuper(from) || s.in.ACLs.Now().Allows(who, acl.Describe, acl.Topic, topic, s.opts.ACLs.AllowIfNone)
	}
}

// subject is the client as rules know it.
func (c *call) subject() acl.Subject {
	if !c.access.known {
		c.access.subject, c.access.known = acl.Subject{Principal: c.from.String(), Host: hostOf(c.conn.nc.RemoteAddr())}, true
	}
	return c.access.subject
}

// hostOf returns the address of a client, the zero Addr of one that is on no network.
func hostOf(a net.Addr) netip.Addr {
	if tcp, ok := a.(*net.TCPAddr); ok {
		return tcp.AddrPort().Addr().Unmap().WithZone("")
	}
	return netip.Addr{}
}

// deniedTopic returns the error of a topic that the request needs more for than the client may, nil if it may.
func (c *call) deniedTopic(name string) error {
	a := &c.access
	if a.needTopics == 0 || name == "" {
		return nil
	}
	if a.topic != name {
		a.topic, a.mayTopic = name, c.may(a.needTopics, acl.Topic, name)
	}
	if a.mayTopic {
		return nil
	}
	return errTopicDenied
}
