package kafka

import (
	"cmp"
	"crypto/rand"
	"encoding/hex"
	"net"
	"strings"
)

// maxInstanceID is the longest instance id of a member, in bytes, as in Kafka.
const maxInstanceID = 249

// orNone returns the string that s points to; the empty one stands for none. Clients send
// either where they have no instance id.
func orNone(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// orNull is the opposite of orNone: no string becomes null.
func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// newMemberID returns an id that no member ever had. It begins with what the client calls
// itself, as far as that is short and text, and for one that is nothing not with a dash.
func newMemberID(clientID, instanceID string) string {
	name := clientID
	if instanceID != "" {
		name = instanceID
	}
	name = strings.ToValidUTF8(name[:min(len(name), maxInstanceID)], "")
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return cmp.Or(name, "samsa") + "-" + hex.EncodeToString(b[:])
}

// host is where the client is, as Kafka prints it.
func (c *call) host() string {
	if a, ok := c.conn.nc.RemoteAddr().(*net.TCPAddr); ok {
		return "/" + a.IP.String()
	}
	return "/" + c.conn.nc.RemoteAddr().String()
}
