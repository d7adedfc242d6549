// Package kafka is the wire door: a listener through which unchanged Kafka clients use a
// broker of this process, over the same partitions and the same groups as its Go API.
//
//	srv, err := kafka.Listen(b, "127.0.0.1:9092", kafka.Options{})
//
// By default nobody is asked who he is, and only programs of this machine are served. Options.Security asks for certificates, and for
// passwords or tokens by SASL: then Options.AllowRemote may let other machines in. Users are kept in the broker: UsersOf. Serve takes a
// listener of the caller's, a Unix socket say. What
// all clients together can make a server hold is bounded by Options.MaxMemoryBytes. docs/kafka-clients.md
// lists the requests and their versions, the configs and the limits.
//
// A group of Kafka clients that was empty waits 3 s for more members before it gives records to the first, as in Kafka. A
// program whose clients are alone sets samsa.Options.Groups.InitialRebalanceDelay to -1.
//
// # How a request goes
//
// Each connection has two goroutines. The reader takes frames off the wire (frame.go,
// call.go), up to a limit ahead; the server begins one request after the other and writes the
// answers in their order (conn.go). Requests begin when everything before them on their
// connection is answered, as in Kafka, but for Produce: those overlap, so that a connection
// keeps the committer busy.
//
// Records are checked before they are stored (admit.go); the message sets of clients older than
// Kafka 0.11 are converted (message_set.go). What a request claims to hold is not allocated on
// its word (produce_scan.go, and decode in call.go).
//
// What can be asked is one table (table.go), from which ApiVersions is answered too. Each
// request has a file, named by its API key, whose header says the versions and what is left
// out. Errors of the broker become Kafka's error codes in one table (errors.go).
package kafka
