package clienttest

import (
	"fmt"
	"maps"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/store"
)

// tool is a command-line program of Kafka's, which finds the broker by its first arguments.
func (k *kit) tool(class string, args ...string) *exec.Cmd {
	return javaTools.command(k.ctx, append([]string{"org.apache.kafka.tools." + class, "--bootstrap-server", k.addr}, args...)...)
}

// row is a line of a table, by the heads of the columns.
type row map[string]string

// table runs kafka-transactions.sh and returns the table that it prints.
func (k *kit) table(args ...string) []row {
	k.t.Helper()
	var heads []string
	var rows []row
	for line := range strings.Lines(k.run(k.tool("TransactionsCommand", args...))) {
		cells := strings.Fields(line)
		if heads == nil {
			heads = cells
			continue
		}
		if len(cells) != len(heads) {
			k.t.Fatalf("%v printed %q below %q", args, cells, heads)
		}
		r := make(row)
		for i, head := range heads {
			r[head] = cells[i]
		}
		rows = append(rows, r)
	}
	return rows
}

// has checks what is in a line, as far as it is wanted.
func (r row) has(t *testing.T, what string, want row) {
	t.Helper()
	for head, cell := range want {
		if r[head] != cell {
			t.Errorf("%s: %s is %q, want %q, in %v", what, head, r[head], cell, r)
		}
	}
}

// begin produces a record of a topic in a transaction that it leaves open, while Java programs run say, and returns the producer, which the caller
// closes. By franz-go's default the transaction would time out in 40 s.
func (k *kit) begin(id, topic string) *kgo.Client {
	k.t.Helper()
	cl := k.franz(kgo.TransactionalID(id), kgo.DefaultProduceTopic(topic), kgo.TransactionTimeout(javaPatience))
	if err := cl.BeginTransaction(); err != nil {
		k.t.Fatal(err)
	}
	if err := cl.ProduceSync(k.ctx, kgo.StringRecord(id)).FirstErr(); err != nil {
		k.t.Fatal(err)
	}
	return cl
}

// loseTransaction makes a directory with a topic in which a transaction is open that no transactional id knows any
// more, as faults of Kafka have left them.
func loseTransaction(t *testing.T, dir, topic string) {
	t.Run("lose", func(t *testing.T) {
		k := open(t, dir, samsa.Options{})
		k.create(topic, 1)
		k.begin("lost", topic).Close()
	})
	st, err := store.Open(dir, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var b store.Batch
	b.Delete(store.TransactionKey("lost"))
	if err := st.Commit(&b); err != nil {
		t.Error(err)
	}
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
}

// kafka-transactions.sh lists and describes transactions, finds one that hangs, and aborts it.
func TestTransactionsCommand(t *testing.T) {
	javaTools.needs(t, "kafka-tools")
	t.Parallel() // its programs wait for one another
	dir := t.TempDir()
	loseTransaction(t, dir, "web_log")
	k := open(t, dir, samsa.Options{}).within(t, javaPatience)
	done, left := k.begin("done", "web_log"), k.begin("left", "web_log")
	defer done.Close()
	defer left.Close()
	if err := done.EndTransaction(k.ctx, kgo.TryCommit); err != nil {
		t.Fatal(err)
	}
	id, epoch, err := left.ProducerID(k.ctx)
	if err != nil {
		t.Fatal(err)
	}
	producer := strconv.FormatInt(id, 10)

	listed := k.table("list")
	slices.SortFunc(listed, func(a, b row) int { return strings.Compare(a["TransactionalId"], b["TransactionalId"]) })
	if len(listed) != 2 {
		t.Fatalf("listed are %v", listed)
	}
	listed[0].has(t, "list", row{"TransactionalId": "done", "Coordinator": "1", "TransactionState": "CompleteCommit"})
	listed[1].has(t, "list", row{"TransactionalId": "left", "Coordinator": "1", "ProducerId": producer, "TransactionState": "Ongoing"})

	k.table("describe", "--transactional-id", "left")[0].has(t, "describe", row{"CoordinatorId": "1", "TransactionalId": "left",
		"ProducerId": producer, "ProducerEpoch": fmt.Sprint(epoch), "TransactionState": "Ongoing", "TransactionTimeoutMs": fmt.Sprint(javaPatience.Milliseconds()),
		"TopicPartitions": "web_log-0"})

	of := make(map[string]row)
	for _, r := range k.table("describe-producers", "--topic", "web_log", "--partition", "0") {
		of[r["CurrentTransactionStartOffset"]] = r
	}
	if want := []string{"0", "2", "None"}; !slices.Equal(slices.Sorted(maps.Keys(of)), want) {
		t.Errorf("transactions of %v begin, want %v", of, want)
	}
	of["2"].has(t, "describe-producers", row{"ProducerId": producer, "ProducerEpoch": fmt.Sprint(epoch), "LastSequence": "0"})

	find := []string{"find-hanging", "--topic", "web_log", "--max-transaction-timeout", "0"}
	hanging := k.table(find...)
	if len(hanging) != 1 {
		t.Fatalf("hanging are %v", hanging)
	}
	hanging[0].has(t, "find-hanging", row{"Topic": "web_log", "Partition": "0", "StartOffset": "0"})
	k.run(k.tool("TransactionsCommand", "abort", "--topic", "web_log", "--partition", "0", "--start-offset", "0"))
	if hanging := k.table(find...); len(hanging) != 0 {
		t.Errorf("after the abort are hanging %v", hanging)
	}

	if err := left.EndTransaction(k.ctx, kgo.TryCommit); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range k.readCommitted("web_log").rest(1) {
		got = append(got, string(r.Value))
	}
	if want := []string{"done", "left"}; !slices.Equal(got, want) {
		t.Errorf("committed are %v, want %v", got, want)
	}
}

// kafka-features.sh tells the level of transactions, lowers it and raises it, within what there is.
func TestFeatureCommand(t *testing.T) {
	javaTools.needs(t, "kafka-tools")
	t.Parallel()
	k := inMemory(t, samsa.Options{}).within(t, javaPatience)
	level := func(want string) {
		t.Helper()
		told := strings.Join(strings.Fields(k.run(k.tool("FeatureCommand", "describe"))), " ")
		const feature = "Feature: transaction.version SupportedMinVersion: 0 SupportedMaxVersion: 2 FinalizedVersionLevel: "
		if !strings.Contains(told, feature+want+" ") {
			t.Errorf("described is %q, want level %s", told, want)
		}
	}
	level("2")
	k.run(k.tool("FeatureCommand", "downgrade", "--feature", "transaction.version=0"))
	level("0")
	out, err := k.tool("FeatureCommand", "upgrade", "--feature", "transaction.version=3").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "only supports versions 0-2") {
		t.Errorf("upgrade to 3: %v, %s", err, out)
	}
	k.run(k.tool("FeatureCommand", "upgrade", "--feature", "transaction.version=2"))
	level("2")
}
