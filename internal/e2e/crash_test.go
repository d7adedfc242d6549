package e2e

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/samsa-go/samsa"
)

// The crash tests kill a process that writes, at any moment, again and again on one
// directory, and look after every kill whether what it had acknowledged is there.

func TestCrashStored(t *testing.T) {
	t.Parallel()
	crash(t, samsa.AckStored, 10)
}

func TestCrashSynced(t *testing.T) {
	t.Parallel()
	crash(t, samsa.AckSynced, 3)
}

// crashTopics are what the child writes to: their numbers of partitions.
var crashTopics = map[string]int{"left": 3, "right": 2}

const (
	crashWorkers  = 2   // of each kind, see producing
	maxCrashLines = 400 // acknowledged before a kill, at most
	maxCrashBytes = 6000
)

// crash kills a producing child so many times, or KILLS times.
func crash(t *testing.T, acks samsa.Acks, least int) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	dir := t.TempDir()
	b := mustOpen(t, dir, samsa.Options{})
	for name, partitions := range crashTopics {
		mustCreate(t, b, name, partitions)
	}
	mustClose(t, b)
	led := ledger{heads: make(map[samsa.TopicPartition][]string), next: make(map[string]int), calls: make(map[string]*atomicCall)}
	acked := 0
	for round := range kills(t, least) {
		lines := rng.IntN(maxCrashLines)
		if rng.IntN(10) == 0 {
			lines = -1 // before it has even opened the directory, or while it does
		}
		acks := killWhen(t, "produce", after(lines), dir, fmt.Sprint(round), fmt.Sprint(int(acks)))
		acked += len(acks)
		if !t.Run(fmt.Sprintf("round %d", round), func(t *testing.T) {
			led.inspect(t, dir, acks, rng)
		}) {
			t.Fatalf("seed %d, killed after %d lines", seed, lines)
		}
	}
	led.inspectAll(t, dir)
	t.Logf("%d acknowledgements", acked)
}

// killWhen starts a child, kills it as soon as the lines that it has written are enough, and
// returns all lines it had written. enough is asked before the first line too, with "".
func killWhen(t testing.TB, child string, enough func(line string) bool, args ...string) []string {
	t.Helper()
	cmd, stderr := childCommand(t, child, args...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	hang := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
	defer hang.Stop()
	var told []string
	r := bufio.NewReader(out)
	for killed, line := false, ""; ; {
		if !killed && enough(line) {
			killed = true
			if err := cmd.Process.Kill(); err != nil {
				t.Fatalf("the child ended by itself: %v\n%s", err, stderr)
			}
		}
		line, err = r.ReadString('\n')
		if errors.Is(err, io.EOF) {
			if err := cmd.Wait(); err == nil || stderr.Len() > 0 || !killed {
				t.Fatalf("the child ended by itself or hung: %v after %d lines\n%s", err, len(told), stderr)
			}
			return told // what is left is no whole line
		}
		if err != nil {
			t.Fatal(err)
		}
		line = strings.TrimSuffix(line, "\n")
		told = append(told, line)
	}
}

// after is enough when that many lines came.
func after(lines int) func(string) bool {
	return func(line string) bool {
		if line != "" {
			lines--
		}
		return lines <= 0
	}
}

// produceUntilKilled is the child. Its arguments are the directory, the round, and the
// acks. It writes a line "topic partition offset head" for every acknowledged record,
// and those of churn.
func produceUntilKilled(args []string) error {
	var round, acks int
	if _, err := fmt.Sscan(args[1]+" "+args[2], &round, &acks); err != nil {
		return err
	}
	opts := samsa.ProducerOptions{Acks: samsa.Acks(acks), Partitioner: samsa.ManualPartitioner()}
	if round%2 == 0 {
		opts.Compression = samsa.CompressionNone // more goes to the value files
	}
	b, err := samsa.Open(args[0], samsa.Options{Produce: samsa.ProduceOptions{Acks: opts.Acks, Compression: opts.Compression, Partitioner: opts.Partitioner}})
	if err != nil {
		return err
	}
	opts.BufferedBytes = 256 << 10
	opts.BatchBytes = 16 << 10
	producer, err := b.NewProducer(context.Background(), opts)
	if err != nil {
		return err
	}
	failed := make(chan error)
	for i := range crashWorkers {
		for kind, produce := range producing {
			w := &crashWorker{
				b: b, producer: producer, name: fmt.Sprintf("%d-%s%d", round, kind, i), failed: failed,
				rng: rand.New(rand.NewPCG(rand.Uint64(), 0)), next: make(map[samsa.TopicPartition]int),
			}
			go func() {
				for {
					produce(w)
				}
			}()
		}
	}
	go churn(b, fmt.Sprint("churn-", round), failed)
	return <-failed
}

// churn creates topics, fills and deletes them, and has the space given back. It writes
// the lines "create name" and "delete name" when that was acknowledged, and before it
// deletes "doom name".
func churn(b *samsa.Broker, prefix string, failed chan<- error) {
	ctx := context.Background()
	for i := 0; ; i++ {
		name := fmt.Sprint(prefix, "-", i)
		err := b.Topics().Create(ctx, name, samsa.TopicConfig{})
		if err == nil {
			err = tell("create %s\n", name)
		}
		for range 20 {
			if err == nil {
				_, err = b.Produce(ctx, samsa.Record{Topic: name, Value: crashValue(name)})
			}
		}
		if err == nil {
			err = tell("doom %s\n", name)
		}
		if err == nil {
			err = b.Topics().Delete(ctx, name)
		}
		if err == nil {
			err = tell("delete %s\n", name)
		}
		if err == nil && i%2 == 1 {
			_, err = b.Sweep(ctx)
		}
		if err != nil {
			failed <- err
			return
		}
	}
}

// producing are the ways in which the child produces.
var producing = map[string]func(w *crashWorker){
	"single": func(w *crashWorker) { w.keep(w.b.Produce(context.Background(), w.records(1)...)) },
	"atomic": func(w *crashWorker) { w.keep(w.b.Produce(context.Background(), w.records(2+w.rng.IntN(5))...)) },
	"async": func(w *crashWorker) {
		w.producer.Produce(context.Background(), w.records(1)[0], func(r samsa.Record, err error) {
			w.keep([]samsa.Record{r}, err)
		})
	},
}

// crashWorker is a goroutine of the child.
type crashWorker struct {
	b        *samsa.Broker
	producer *samsa.Producer
	name     string // "round-kind", differs among all workers of all rounds
	failed   chan error
	rng      *rand.Rand
	call     int
	next     map[samsa.TopicPartition]int // number of the next record of this worker
}

// records makes the records of one call. Their heads are "worker number call size":
// the number counts the worker's records in one partition, size is that of the call.
func (w *crashWorker) records(size int) []samsa.Record {
	w.call++
	records := make([]samsa.Record, size)
	for i := range records {
		r := &records[i]
		r.Topic = []string{"left", "right"}[w.rng.IntN(2)]
		r.Partition = int32(w.rng.IntN(crashTopics[r.Topic]))
		tp := samsa.TopicPartition{Topic: r.Topic, Partition: r.Partition}
		head := fmt.Sprintf("%s %d %d %d", w.name, w.next[tp], w.call, size)
		w.next[tp]++
		r.Key = []byte(head)
		r.Value = crashValue(head)
	}
	return records
}

// crashValue is the value of the record with that head.
func crashValue(head string) []byte {
	var sum uint64
	for _, c := range []byte(head) {
		sum = sum*31 + uint64(c)
	}
	return bytes.Repeat([]byte(head), int(sum%maxCrashBytes)/len(head))
}

var stdout sync.Mutex

// keep writes down what was acknowledged.
func (w *crashWorker) keep(records []samsa.Record, err error) {
	if err != nil {
		w.failed <- err
		return
	}
	for _, r := range records {
		if err := tell("%s %d %d %s\n", r.Topic, r.Partition, r.Offset, r.Key); err != nil {
			w.failed <- err
		}
	}
}

// tell writes a line to the parent.
func tell(format string, args ...any) error {
	stdout.Lock()
	defer stdout.Unlock()
	_, err := fmt.Printf(format, args...)
	return err
}

// ledger is what the parent has found in the directory so far.
type ledger struct {
	heads map[samsa.TopicPartition][]string // by offset
	next  map[string]int                    // number of the next record, by partition and worker
	calls map[string]*atomicCall            // by worker and call
}

// atomicCall is how many records of a call there are, and how many there must be.
type atomicCall struct{ found, size int }

// inspect opens the directory after a kill and compares.
func (led *ledger) inspect(t *testing.T, dir string, acks []string, rng *rand.Rand) {
	b := mustOpen(t, dir, samsa.Options{})
	acks = checkChurn(t, b, acks)
	found := ends(t, b)
	known := make(map[samsa.TopicPartition]int64)
	for name, partitions := range crashTopics {
		for i := range partitions {
			tp := samsa.TopicPartition{Topic: name, Partition: int32(i)}
			known[tp] = int64(len(led.heads[tp]))
			if found[tp] < known[tp] {
				t.Fatalf("%s ends at offset %d, it was at %d before", tp, found[tp], known[tp])
			}
		}
	}
	led.spotCheck(t, b, rng)
	readRange(t, b, known, found, led.discover(t))
	for call, c := range led.calls {
		if c.found != c.size {
			t.Errorf("call %q is there with %d records of %d", call, c.found, c.size)
		}
	}
	clear(led.calls)
	clear(led.next)
	for _, ack := range acks {
		led.checkAck(t, ack)
	}
}

// checkChurn compares the other topics with what was acknowledged of them and deletes
// what is left. It returns the other acknowledgements.
func checkChurn(t *testing.T, b *samsa.Broker, acks []string) (others []string) {
	t.Helper()
	there := make(map[string]bool)
	names, err := b.Topics().List(patient(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		there[name] = true
	}
	state := make(map[string]string)
	for _, ack := range acks {
		switch what, name, _ := strings.Cut(ack, " "); what {
		case "create", "doom", "delete":
			state[name] = what
		default:
			others = append(others, ack)
		}
	}
	for name, what := range state {
		if what == "create" && !there[name] || what == "delete" && there[name] {
			t.Errorf("topic %s: acknowledged %s, there is one: %t", name, what, there[name])
		}
	}
	for name := range there {
		if crashTopics[name] == 0 {
			if err := b.Topics().Delete(patient(t), name); err != nil {
				t.Error(err)
			}
		}
	}
	return others
}

// discover returns a function that enters new records: each follows on the one before
// it, in the partition and among those of its worker.
func (led *ledger) discover(t *testing.T) func(samsa.Record, error) {
	return func(r samsa.Record, err error) {
		if err != nil {
			t.Fatal(err)
		}
		tp := samsa.TopicPartition{Topic: r.Topic, Partition: r.Partition}
		if want := int64(len(led.heads[tp])); r.Offset != want {
			t.Fatalf("%s: offset %d follows on %d", tp, r.Offset, want-1)
		}
		head := string(r.Key)
		checkCrashValue(t, tp, r)
		led.heads[tp] = append(led.heads[tp], head)
		var worker string
		var number, call, size int
		if _, err := fmt.Sscan(head, &worker, &number, &call, &size); err != nil {
			t.Fatalf("%s: offset %d: head %q: %v", tp, r.Offset, head, err)
		}
		lane := tp.String() + " " + worker
		if number != led.next[lane] {
			t.Fatalf("%s: offset %d is record %d of worker %s, want %d", tp, r.Offset, number, worker, led.next[lane])
		}
		led.next[lane]++
		id := fmt.Sprint(worker, " ", call)
		if led.calls[id] == nil {
			led.calls[id] = &atomicCall{size: size}
		}
		led.calls[id].found++
	}
}

func checkCrashValue(t *testing.T, tp samsa.TopicPartition, r samsa.Record) {
	t.Helper()
	if !bytes.Equal(r.Value, crashValue(string(r.Key))) {
		t.Fatalf("%s: offset %d: head %q has the wrong value, %d bytes", tp, r.Offset, r.Key, len(r.Value))
	}
}

func (led *ledger) checkAck(t *testing.T, ack string) {
	t.Helper()
	var tp samsa.TopicPartition
	var offset int
	fields := strings.SplitN(ack, " ", 4)
	if len(fields) != 4 {
		t.Fatalf("not an acknowledgement: %q", ack)
	}
	if _, err := fmt.Sscan(ack, &tp.Topic, &tp.Partition, &offset); err != nil {
		t.Fatalf("not an acknowledgement: %q: %v", ack, err)
	}
	if offset >= len(led.heads[tp]) {
		t.Fatalf("acknowledged and lost: %q, %s ends at offset %d", ack, tp, len(led.heads[tp]))
	}
	if head := led.heads[tp][offset]; head != fields[3] {
		t.Fatalf("acknowledged %q, but there is %q", ack, head)
	}
}

// spotCheck reads a few old records of every partition again.
func (led *ledger) spotCheck(t *testing.T, b *samsa.Broker, rng *rand.Rand) {
	t.Helper()
	from, to := make(map[samsa.TopicPartition]int64), make(map[samsa.TopicPartition]int64)
	for tp, heads := range led.heads {
		from[tp] = rng.Int64N(int64(len(heads)))
		to[tp] = min(from[tp]+10, int64(len(heads)))
	}
	readRange(t, b, from, to, led.compare(t, from))
}

// compare returns a function that compares records with those that were found before.
func (led *ledger) compare(t *testing.T, from map[samsa.TopicPartition]int64) func(samsa.Record, error) {
	return func(r samsa.Record, err error) {
		if err != nil {
			t.Fatal(err)
		}
		tp := samsa.TopicPartition{Topic: r.Topic, Partition: r.Partition}
		if r.Offset != from[tp] || string(r.Key) != led.heads[tp][r.Offset] {
			t.Fatalf("%s: offset %d is now %q, at offset %d there was %q", tp, r.Offset, r.Key, from[tp], led.heads[tp][from[tp]])
		}
		checkCrashValue(t, tp, r)
		from[tp]++
	}
}

// inspectAll reads everything once more.
func (led *ledger) inspectAll(t *testing.T, dir string) {
	b := mustOpen(t, dir, samsa.Options{})
	found := ends(t, b)
	records := 0
	for tp, heads := range led.heads {
		if found[tp] != int64(len(heads)) {
			t.Fatalf("%s ends at offset %d, want %d", tp, found[tp], len(heads))
		}
		records += len(heads)
	}
	at := make(map[samsa.TopicPartition]int64)
	readRange(t, b, nil, found, led.compare(t, at))
	for tp, end := range found {
		if at[tp] != end {
			t.Fatalf("%s: read up to offset %d of %d", tp, at[tp], end)
		}
	}
	t.Logf("%d records", records)
}
