package kafka_test

import (
	"context"
	"fmt"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/kafka"
)

// alice may read the topics whose names begin with orders, as a member of billing; nobody may do anything from 10.9.*.*; and
// admin may do everything.
func ExampleACLsOf() {
	b, err := samsa.Open("", samsa.Options{InMemory: true})
	if err != nil {
		panic(err)
	}
	defer func() { _ = b.Close() }()
	acls, err := kafka.ACLsOf(b)
	if err != nil {
		panic(err)
	}
	err = acls.Create(context.Background(),
		kafka.ACL{Principal: "User:alice", Operation: "READ", Resource: "TOPIC", Name: "orders", Prefixed: true},
		kafka.ACL{Principal: "User:alice", Operation: "READ", Resource: "GROUP", Name: "billing"},
		kafka.ACL{Principal: "User:*", Host: "10.9.0.0/16", Operation: "ALL", Resource: "TOPIC", Name: "*", Deny: true},
	)
	if err != nil {
		panic(err)
	}
	srv, err := kafka.Listen(b, "127.0.0.1:0", kafka.Options{
		Security: kafka.Security{SASL: &kafka.SASL{}},
		ACLs:     &kafka.ACLs{SuperUsers: []kafka.Principal{{Type: "User", Name: "admin"}}},
	})
	if err != nil {
		panic(err)
	}
	defer func() { _ = srv.Close() }()
	for _, a := range acls.List() {
		fmt.Println(a)
	}
	// Output:
	// DENY User:* from 10.9.0.0/16 ALL on TOPIC LITERAL "*"
	// ALLOW User:alice from * READ on TOPIC PREFIXED "orders"
	// ALLOW User:alice from * READ on GROUP LITERAL "billing"
}

// alice may produce a megabyte a second, by her client "loader" ten, and each user who has no such quota 100 kB.
func ExampleQuotasOf() {
	b, err := samsa.Open("", samsa.Options{InMemory: true})
	if err != nil {
		panic(err)
	}
	defer func() { _ = b.Close() }()
	quotas, err := kafka.QuotasOf(b)
	if err != nil {
		panic(err)
	}
	err = quotas.Set(context.Background(),
		kafka.Quota{User: "alice", Limits: map[string]float64{"producer_byte_rate": 1e6}},
		kafka.Quota{User: "alice", ClientID: "loader", Limits: map[string]float64{"producer_byte_rate": 1e7}},
		kafka.Quota{OtherUsers: true, Limits: map[string]float64{"producer_byte_rate": 1e5}},
	)
	if err != nil {
		panic(err)
	}
	for _, q := range quotas.List() {
		fmt.Println(q)
	}
	// Output:
	// client-id "loader" of user "alice": producer_byte_rate=10000000
	// other users: producer_byte_rate=100000
	// user "alice": producer_byte_rate=1000000
}
