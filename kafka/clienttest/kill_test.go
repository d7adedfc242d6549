package clienttest

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"sync"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/samsa-go/samsa"
)

// samsaCommand returns where cmd/samsa is, which is built once. That may take longer than a test has patience: ask before that begins.
func samsaCommand(t *testing.T) string {
	t.Helper()
	name := "samsa"
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	var said []byte
	of, _ := programs.LoadOrStore("samsa", sync.OnceValue(func() string {
		dir, err := os.MkdirTemp("", "samsa-command-")
		if err == nil {
			said, err = exec.Command("go", "build", "-o", filepath.Join(dir, name), "github.com/samsa-go/samsa/cmd/samsa").CombinedOutput()
		}
		if err != nil {
			_ = os.RemoveAll(dir)
			return ""
		}
		return dir
	}))
	dir := of.(func() string)()
	if dir == "" {
		t.Fatalf("samsa cannot be built\n%s", said)
	}
	return filepath.Join(dir, name)
}

// serving is in the line in which samsa serve says where it is found.
var serving = regexp.MustCompile(`serves Kafka clients at ([^ ,]+)`)

const (
	killPartitions = 3
	maxKillAcks    = 20_000 // acknowledged before a kill, at most
)

// A server that is killed while a client keeps it busy has, when it is started again, every
// record that it has acknowledged, where it said it is.
func TestKill(t *testing.T) {
	rounds := 8
	if testing.Short() {
		rounds = 2
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	command, dir := samsaCommand(t), t.TempDir()
	b, err := samsa.Open(dir, samsa.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Topics().Create(t.Context(), "t", samsa.TopicConfig{Partitions: killPartitions}); err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	acked := make(map[place]string)
	for round := range rounds {
		if !t.Run(fmt.Sprintf("round %d", round), func(t *testing.T) {
			killRound(t, command, dir, round, 1+rng.IntN(maxKillAcks), acked)
			checkAcked(t, dir, acked)
		}) {
			t.FailNow()
		}
	}
	t.Logf("%d acknowledgements", len(acked))
}

// place is where a record was said to be.
type place struct {
	partition int32
	offset    int64
}

// killRound starts a server and a producer, kills the server after so many
// acknowledgements, and adds all that came to acked.
func killRound(t *testing.T, command, dir string, round, acks int, acked map[place]string) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, command, "serve", "--listen", "127.0.0.1:0", "--data", dir)
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	addr := serving.FindStringSubmatch(line)
	if addr == nil {
		t.Fatalf("samsa serve said %q (%v)", line, err)
	}
	cl, err := kgo.NewClient(kgo.SeedBrokers(addr[1]), kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.RecordPartitioner(kgo.RoundRobinPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	producing, stop := context.WithCancel(ctx)
	var mu sync.Mutex // guards acked and left
	left := acks
	for i := 0; producing.Err() == nil; i++ {
		r := &kgo.Record{Topic: "t", Value: fmt.Appendf(nil, "round %d record %d", round, i)}
		cl.Produce(producing, r, func(r *kgo.Record, err error) {
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				return // in doubt, or never sent
			}
			acked[place{r.Partition, r.Offset}] = string(r.Value)
			if left--; left == 0 {
				_ = cmd.Process.Kill()
				stop()
			}
		})
	}
	_ = cmd.Wait() // says that it was killed
	cl.Close()     // when it returns no promise is called any more
	mu.Lock()
	defer mu.Unlock()
	if left > 0 {
		t.Fatalf("the server ended by itself, %d acknowledgements before it was to be killed", left)
	}
	stop()
}

// checkAcked opens the directory and looks for what was acknowledged.
func checkAcked(t *testing.T, dir string, acked map[place]string) {
	b, err := samsa.Open(dir, samsa.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}()
	ends, err := b.ListOffsets(t.Context(), "t", samsa.Latest())
	if err != nil {
		t.Fatal(err)
	}
	total := 0
	for _, e := range ends {
		total += int(e.Offset)
	}
	k := &kit{Broker: b, t: t, ctx: t.Context()}
	found := make(map[place]string, total)
	next := make(map[int32]int64)
	for _, r := range k.read("t", total) {
		if r.Offset != next[r.Partition] {
			t.Errorf("offset %d of partition %d after %d", r.Offset, r.Partition, next[r.Partition]-1)
		}
		next[r.Partition] = r.Offset + 1
		found[place{r.Partition, r.Offset}] = string(r.Value)
	}
	for at, value := range acked {
		if found[at] != value {
			t.Errorf("at offset %d of partition %d is %q, acknowledged was %q", at.offset, at.partition, found[at], value)
		}
	}
}
