package kafka

import "context"

// Principal is who a client is: what it has proved by its certificate or by SASL, or Anonymous. It has Kafka's two
// parts, and is comparable. ACLs, quotas and what a server tells of its connections name clients by it.
type Principal struct {
	Type string // "User", or what a validator of tokens says
	Name string // as "alice", or "CN=alice,O=Shop" by a certificate
}

// Anonymous is who has proved nothing: each client of a server that asks for no proof.
var Anonymous = Principal{Type: UserType, Name: "ANONYMOUS"}

// UserType is the type of each principal that Kafka makes itself.
const UserType = "User"

// String returns TYPE:NAME, as Kafka's tools write it.
func (p Principal) String() string { return p.Type + ":" + p.Name }

// principalKey is the key of a Principal in the context of a request.
type principalKey struct{}

// PrincipalOf returns who has sent the request that ctx belongs to; Anonymous of a context that belongs to none.
func PrincipalOf(ctx context.Context) Principal {
	if p, ok := ctx.Value(principalKey{}).(Principal); ok {
		return p
	}
	return Anonymous
}

// become makes the connection one of p: each request that is read from now on is p's. The reader must be waiting.
func (c *conn) become(p Principal) {
	c.principal = p
	c.requests = context.WithValue(c.ctx, principalKey{}, p)
}
