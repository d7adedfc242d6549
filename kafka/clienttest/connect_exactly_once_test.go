package clienttest

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/samsa-go/samsa"
)

// exactlyOnce is what the configuration of a worker has more so that sources are exact. A worker that begins waits
// for the transactions of a dead one, which time out after 5 s.
const exactlyOnce = `exactly.once.source.support=enabled
producer.transaction.timeout.ms=5000
`

// Kafka Connect brings the lines of a file into a topic exactly once: what a worker sends, and how far the source has
// got, is in one transaction. Workers are killed amid that. The next one goes on where the last transaction that is
// committed has ended: who reads what is committed sees each line once, in its order.
func TestConnectExactlyOnce(t *testing.T) {
	javaConnect.needs(t, "connect-runtime")
	t.Parallel() // it waits much of the time
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	k := inMemory(t, samsa.Options{}).within(t, javaPatience+time.Duration(howMany(2))*patiencePerKill)
	k.create(lineTopic, 1)
	c := &connectWorkers{kit: k, config: k.file("worker.properties", connectWorker(k.addr)+exactlyOnce), in: filepath.Join(t.TempDir(), "in")}
	all := k.readUncommitted(lineTopic)

	const part = 2000 // lines
	sent := 0
	for i := range kills(t, 2) {
		c.writeLines(fmt.Sprint("part ", i), part)
		worker, url := c.run()
		if i == 0 {
			c.connect(url, "source", map[string]string{"connector.class": "org.apache.kafka.connect.file.FileStreamSourceConnector",
				"file": c.in, "topic": lineTopic, "batch.size": "20", "exactly.once.support": "required"})
		}
		for n := sent + 1 + rng.IntN(part); sent < n; {
			sent += len(all.more())
		}
		worker.kill()
	}
	c.writeLines("last part", part)
	worker, _ := c.run()
	committed := k.readCommitted(lineTopic)
	var got []string
	for len(got) < len(c.lines) {
		for _, r := range committed.more() {
			got = append(got, string(r.Value))
		}
	}
	worker.stop()
	for _, r := range committed.rest(1) {
		got = append(got, string(r.Value))
	}
	same(t, got, c.lines)
	t.Logf("%d lines are committed, %d are not", len(got), sent+len(all.rest(1))-len(got))
	for _, topic := range []string{connectConfigs, connectOffsets, connectStatus} {
		k.compacted(topic)
	}
}
