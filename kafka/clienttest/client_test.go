package clienttest

import "testing"

// client is a foreign client. Its functions end the test when something goes wrong.
type client struct {
	name string
	// needs skips the test when the client is not installed; nil for those in go.mod.
	needs func(t *testing.T)
	// produce sends records to partition 0 of topics that exist.
	produce func(k *kit, jobs []job)
	// complain is produce that fails, and returns what the client says of that; nil for those in go.mod.
	complain func(k *kit, jobs []job) string
	// consume returns the first n records of partition 0 of each topic, of aborted transactions too.
	consume func(k *kit, topics []string, n int) map[string][]record
	// committed is consume for what is committed; nil when the client cannot leave the rest out.
	committed func(k *kit, topics []string, n int) map[string][]record
	// transact does what a story says; nil when the client has no transactions.
	transact func(k *kit, s story)
	// group reads n records as a member of a group, from where the group is or else from the
	// first, commits them and leaves.
	group func(k *kit, group, topic string, n int) []record
}

// job is what to produce: to which topic, compressed how.
type job struct {
	Topic   string   `json:"topic"`
	Codec   string   `json:"codec"`
	Records []record `json:"records"`
}

// codecs are Kafka's, by the names that most clients use, in the order of their numbers.
var codecs = []string{"none", "gzip", "snappy", "lz4", "zstd"}

// clients returns all clients.
func clients() []client {
	return []client{saramaClient(), shopifyClient(), franzClient(), kafkaGoClient(), kcatClient(),
		confluentProgram().transactional(), newConfluentProgram().transactional(), kafkaPythonClient(), kafkaJSClient(),
		javaProgram("java", javaClients).client(), javaProgram("java-4.4", javaStreams).client()}
}

// each runs a test with each client that is there, and returns those.
func each(t *testing.T, run func(t *testing.T, c client)) []client {
	var there []client
	for _, c := range clients() {
		t.Run(c.name, func(t *testing.T) {
			needs(t, c)
			there = append(there, c)
			run(t, c)
		})
	}
	return there
}

// needs skips the test when the client is not installed.
func needs(t *testing.T, c client) {
	t.Helper()
	if c.needs != nil {
		c.needs(t)
	}
}
