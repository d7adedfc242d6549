package clienttest

import (
	"net"
	"testing"
	"time"

	"github.com/IBM/sarama"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/kafka"
)

// kafka-go's suite has its broker at two ports, at one of which clients log in, and whom no ACL is about may do everything, as in its
// docker-compose.yml. It runs as it does with Kafka 2.8 and with 4.4: transactions it tries with the former alone. Left out are two tests that look
// for topics they have deleted, which creates them: Kafka tells of these the next time, and this broker at once; and one that commits offsets as
// a static member that there is none of, which is an error since Kafka 3.0; and one whose two readers want half of three partitions each, which fails
// with Kafka 4.4.0 too. As by default in Kafka a new group waits for members, on which tests of readers rely.
func TestSuiteKafkaGo(t *testing.T) {
	for _, version := range []string{"2.8", "4.4"} {
		t.Run(version, func(t *testing.T) {
			k := forSuite(t, samsa.Options{
				AutoCreateTopics: true, RetentionInterval: time.Second, Groups: samsa.GroupOptions{InitialRebalanceDelay: 3 * time.Second},
			})
			opts := kafka.Options{AsVersion: version, ACLs: &kafka.ACLs{AllowIfNone: true}}
			open, port := k.serveLocal(opts)
			opts.Security.SASL = new(kafka.SASL)
			_, guarded := k.serveLocal(opts)
			k.kafkaGoUsers(open)
			k.create("test-writer-0", 1)
			suite{
				module: "github.com/segmentio/kafka-go@v0.4.51", pkgs: []string{".", "./sasl", "./compress"},
				env: []string{"KAFKA_VERSION=" + version + ".0", "KAFKA_SKIP_NETTEST=1"},
				edit: map[string]string{
					`\b9092\b`: port, `\b9093\b`: guarded,
					// What looks for offsets has no way to connect, and would panic: v0.4.51 has broken it.
					`(?s)(minimal config required to lookup coordinator\n.*?\n\t}\n)`: "$1\tcg.config.Timeout = 10 * time.Second\n\tcg.config.connect = makeConnect(cg.config)\n",
				},
				brief: "^Test(Client|Conn|Dialer|SASL|Unsupported|Alter|Describe|ACL)", // readers of groups are in a hurry
				skip:  "^TestConn$/^test_delete_topics|^TestClientTxnOffsetCommit$|^TestReaderConsumerGroup$/^consumer_group_rebalance$",
			}.play(t)
		})
	}
}

// serveLocal opens a door that clients are told to find at localhost.
func (k *kit) serveLocal(opts kafka.Options) (addr, port string) {
	k.t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(k.t, err)
	_, port, err = net.SplitHostPort(ln.Addr().String())
	must(k.t, err)
	opts.Advertise = net.JoinHostPort("localhost", port)
	_, err = kafka.Serve(k.Broker, ln, opts) // ends with the broker
	must(k.t, err)
	return opts.Advertise, port
}

// kafkaGoUsers makes the users of the suite, one of whom has a password for each mechanism.
func (k *kit) kafkaGoUsers(addr string) {
	k.t.Helper()
	config := sarama.NewConfig()
	config.Version = sarama.V2_8_0_0
	admin, err := sarama.NewClusterAdmin([]string{addr}, config)
	must(k.t, err)
	defer func() { must(k.t, admin.Close()) }()
	for _, u := range []struct {
		name      string
		mechanism sarama.ScramMechanismType
		password  string
	}{
		{"adminplain", sarama.SCRAM_MECHANISM_SHA_512, "admin-secret"},
		{"adminscram", sarama.SCRAM_MECHANISM_SHA_256, "admin-secret-256"},
		{"adminscram", sarama.SCRAM_MECHANISM_SHA_512, "admin-secret-512"},
		{"adminscram256", sarama.SCRAM_MECHANISM_SHA_256, "admin-secret-256"},
		{"adminscram512", sarama.SCRAM_MECHANISM_SHA_512, "admin-secret-512"},
	} {
		results, err := admin.UpsertUserScramCredentials([]sarama.AlterUserScramCredentialsUpsert{{
			Name: u.name, Mechanism: u.mechanism, Iterations: 4096, Salt: []byte("a grain of salt"), Password: []byte(u.password),
		}})
		must(k.t, err)
		if r := results[0]; r.ErrorCode != sarama.ErrNoError {
			k.t.Fatalf("%s: %v", r.User, r.ErrorCode)
		}
	}
}
