package kafka_test

import (
	"context"
	"fmt"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/kafka"
)

// Clients of this server say who they are: alice, by PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512.
func ExampleUsersOf() {
	b, err := samsa.Open("", samsa.Options{InMemory: true})
	if err != nil {
		panic(err)
	}
	defer func() { _ = b.Close() }()
	users, err := kafka.UsersOf(b)
	if err != nil {
		panic(err)
	}
	if err := users.Set(context.Background(), "alice", "correct horse"); err != nil {
		panic(err)
	}
	srv, err := kafka.Listen(b, "127.0.0.1:0", kafka.Options{Security: kafka.Security{SASL: &kafka.SASL{}}})
	if err != nil {
		panic(err)
	}
	defer func() { _ = srv.Close() }()
	fmt.Println(users.List(), users.Check(context.Background(), "", "alice", "battery staple"))
	// Output: [alice] false
}
