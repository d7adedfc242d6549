package clienttest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/IBM/sarama"
	shopify "github.com/Shopify/sarama"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/kafka"
)

// ages are releases that a server looks like to the clients of today, and what those say to it that cannot do with it. All others produce and consume in
// a group; the saramas, which are told, are told the release.
var ages = []struct {
	as, sarama string
	headers    bool // records have headers
	say        map[string]string
}{
	{"0.10", "0.10.2.0", false, map[string]string{
		"confluent-kafka":   "Idempotent producer not supported by any of the 1 connected broker(s): requires Apache Kafka broker version >= 0.11.0",
		"confluent-kafka-2": "Idempotent producer not supported by any of the 1 connected broker(s): requires Apache Kafka broker version >= 0.11.0",
		"java":              "The node does not support INIT_PRODUCER_ID",
		"java-4.4":          "The node does not support INIT_PRODUCER_ID",
	}},
	{"1.0", "1.0.0", true, nil},
	{"2.0", "2.0.0", true, nil},
	{"2.8", "2.8.0", true, nil},
	{"3.9", "3.9.0", true, nil},
}

// A server that looks like an older release serves each client as that did, and hears from those that need more what they say of it.
func TestClientsAsVersion(t *testing.T) {
	for _, age := range ages {
		version, err := sarama.ParseKafkaVersion(age.sarama)
		must(t, err)
		shopifyVersion, err := shopify.ParseKafkaVersion(age.sarama)
		must(t, err)
		all := append(clients(), newKafkaPythonClient(), aioKafkaClient())
		all[0], all[1] = saramaAt("sarama", version), shopifyAt("shopify-sarama", shopifyVersion)
		for _, c := range all {
			t.Run(age.as+"/"+c.name, func(t *testing.T) {
				needs(t, c)
				t.Parallel()
				k := inMemory(t, samsa.Options{}).within(t, javaPatience)
				k.create("t", 1)
				srv, err := kafka.Listen(k.Broker, "127.0.0.1:0", kafka.Options{AsVersion: age.as})
				must(t, err)
				k.addr = srv.Addr().String()
				var work []record
				for i := range 6 {
					work = append(work, record{Key: fmt.Sprint("k", i), Value: fmt.Sprint("v", i)})
					if age.headers {
						work[i].Header = "yes"
					}
				}
				jobs := []job{{Topic: "t", Codec: "none", Records: work[:3]}, {Topic: "t", Codec: "gzip", Records: work[3:]}}
				if want, ok := age.say[c.name]; ok {
					if said := c.complain(k, jobs); !strings.Contains(said, want) {
						t.Errorf("it says %s\nwant %s", said, want)
					}
					return
				}
				c.produce(k, jobs)
				same(t, plain(k.read("t", len(work))), work)
				same(t, c.group(k, "g", "t", len(work)), work)
			})
		}
	}
}
