package clienttest

import (
	"encoding/json"
	"maps"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/samsa-go/samsa"
)

// kcatClient is kcat, which is librdkafka for shells.
func kcatClient() client {
	return client{
		name: "kcat",
		needs: func(t *testing.T) {
			if _, err := exec.LookPath("kcat"); err != nil {
				missing(t, "kcat")
			}
		},
		produce: kcatProduce, group: kcatGroup,
		consume: func(k *kit, topics []string, n int) map[string][]record {
			return kcatConsume(k, "read_uncommitted", topics, n)
		},
		committed: func(k *kit, topics []string, n int) map[string][]record {
			return kcatConsume(k, "read_committed", topics, n)
		},
	}
}

func (k *kit) kcat(stdin string, args ...string) string {
	k.t.Helper()
	cmd := exec.CommandContext(k.ctx, "kcat", append([]string{"-b", k.addr, "-q"}, args...)...)
	cmd.Stdin = strings.NewReader(stdin)
	return k.run(cmd)
}

// kcatProduce does its jobs. The headers of one call are the same for all its records.
func kcatProduce(k *kit, jobs []job) {
	for _, j := range jobs {
		var in strings.Builder
		for _, r := range j.Records {
			in.WriteString(r.Key + "\t" + r.Value + "\n")
		}
		k.kcat(in.String(), "-P", "-t", j.Topic, "-p", "0", "-K", "\t", "-z", j.Codec, "-H", headerKey+"="+j.Records[0].Header,
			"-X", "acks=all", "-X", "linger.ms=50")
	}
}

func kcatConsume(k *kit, isolation string, topics []string, n int) map[string][]record {
	got := make(map[string][]record)
	for _, topic := range topics {
		got[topic] = kcatParse(k, k.kcat("", "-C", "-t", topic, "-p", "0", "-o", "beginning", "-c", strconv.Itoa(n), "-J",
			"-X", "isolation.level="+isolation))
	}
	return got
}

func kcatGroup(k *kit, group, topic string, n int) []record {
	return kcatParse(k, k.kcat("", "-G", group, "-c", strconv.Itoa(n), "-J", "-X", "auto.offset.reset=earliest", topic))
}

// kcatParse understands the lines that kcat -J prints.
func kcatParse(k *kit, printed string) []record {
	k.t.Helper()
	var got []record
	for d := json.NewDecoder(strings.NewReader(printed)); d.More(); {
		var line struct {
			Key, Payload string
			Headers      []string // names and values in turn
		}
		if err := d.Decode(&line); err != nil {
			k.t.Fatal(err)
		}
		r := record{Key: line.Key, Value: line.Payload}
		for i := 0; i+1 < len(line.Headers); i += 2 {
			if line.Headers[i] == headerKey {
				r.Header = line.Headers[i+1]
			}
		}
		got = append(got, r)
	}
	return got
}

// kcat lists the broker and its topics.
func TestKcatList(t *testing.T) {
	kcatClient().needs(t)
	k := inMemory(t, samsa.Options{})
	k.create("one", 1)
	k.create("three", 3)
	var listed struct {
		Brokers []struct{ Name string }
		Topics  []struct {
			Topic      string
			Partitions []struct{ Leader int }
		}
	}
	if err := json.Unmarshal([]byte(k.kcat("", "-L", "-J")), &listed); err != nil {
		t.Fatal(err)
	}
	if len(listed.Brokers) != 1 || listed.Brokers[0].Name != k.addr {
		t.Errorf("brokers %v, want %s alone", listed.Brokers, k.addr)
	}
	partitions := make(map[string]int)
	for _, topic := range listed.Topics {
		partitions[topic.Topic] = len(topic.Partitions)
	}
	if want := map[string]int{"one": 1, "three": 3}; !maps.Equal(partitions, want) {
		t.Errorf("partitions %v, want %v", partitions, want)
	}
}
