//go:build unix

package kafka

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/inside"
	"github.com/samsa-go/samsa/internal/writer"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/partition"
)

// The benchmarks tell the broker's CPU from its client's by processes: the client is this
// program again, told by the environment what to do, and sends frames that were made before.
const (
	clientEnv   = "SAMSA_BENCH_CLIENT" // the address of the server
	lockEnv     = "SAMSA_BENCH_LOCK"   // what it asks of its clients: see BenchmarkLocks
	benchTopic  = "bench"
	benchAhead  = 8 // Produce requests on their way at once
	sixtyFourKB = 64 << 10
)

// batchOf64KB is a batch that takes nearly 64 KB, of JSON records of about 110 bytes.
func batchOf64KB(tb testing.TB, codec log.Codec) log.Batch {
	var b log.Builder
	var last log.Batch
	for i := 0; ; i++ {
		b.Append(1760000000000+int64(i), nil, fmt.Appendf(nil, `{"time":%d,"user":"u%06d","method":"GET","path":"/item/%08x","status":200,"ms":%d,"agent":"curl"}`,
			1760000000000+int64(i)*7, i*7919%1_000_000, uint32(i)*2654435761, i*31%1000), nil)
		if i%64 != 0 {
			continue
		}
		env, err := b.Seal(nil, codec)
		if err != nil {
			tb.Fatal(err)
		}
		if len(env) > sixtyFourKB {
			return last
		}
		last = env
	}
}

// batchOfOne is a batch of one record of 100 bytes.
func batchOfOne(tb testing.TB) log.Batch {
	var b log.Builder
	b.Append(1760000000000, nil, make([]byte, 100), nil)
	batch, err := b.Seal(nil, log.CodecNone)
	if err != nil {
		tb.Fatal(err)
	}
	return batch
}

// benchBroker is a broker on disk with one partition to write to.
type benchBroker struct {
	*samsa.Broker
	srv       *Server
	partition *partition.Partition
}

func openBench(b *testing.B, opts Options, hooks ...samsa.Hook) *benchBroker {
	broker, err := samsa.Open(b.TempDir(), samsa.Options{Hooks: hooks})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := broker.Close(); err != nil {
			b.Error(err)
		}
	})
	if err := broker.Topics().Create(context.Background(), benchTopic, samsa.TopicConfig{Retention: samsa.Unlimited}); err != nil {
		b.Fatal(err)
	}
	srv, err := Listen(broker, "127.0.0.1:0", opts)
	if err != nil {
		b.Fatal(err)
	}
	t, err := inside.Of(broker).Catalogue.Get(benchTopic)
	if err != nil {
		b.Fatal(err)
	}
	p, err := t.Partition(0)
	if err != nil {
		b.Fatal(err)
	}
	return &benchBroker{broker, srv, p}
}

// store appends batch n times without the wire door, as many at once as a client does, and
// returns the CPU time that took.
func (k *benchBroker) store(b *testing.B, batch log.Batch, n int) time.Duration {
	before := cpuTime(b)
	txs := make([]writer.Tx, benchAhead)
	free, envs := make(chan int, benchAhead), make([]log.Batch, benchAhead)
	var failed error
	for i := range txs {
		free <- i
	}
	for range n {
		i := <-free
		envs[i] = append(envs[i][:0], batch...)
		txs[i].Reset()
		txs[i].Appends = append(txs[i].Appends, writer.Append{Partition: k.partition, Batch: envs[i]})
		txs[i].Done = func(err error) {
			failed = errors.Join(failed, err) // one after the other
			free <- i
		}
		inside.Of(k.Broker).Committer.Submit(&txs[i])
	}
	for range txs {
		<-free
	}
	if failed != nil {
		b.Fatal(failed)
	}
	return cpuTime(b) - before
}

// read reads n batches from the store without the wire door, over and over from the first,
// and returns the CPU time that took.
func (k *benchBroker) read(b *testing.B, n int) time.Duration {
	before := cpuTime(b)
	var buf []byte
	for n > 0 {
		var err error
		buf, err = k.partition.Read(0, buf, func(sb log.StoredBatch) bool {
			if sb.Err != nil {
				b.Fatal(sb.Err)
			}
			n--
			return n > 0
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	return cpuTime(b) - before
}

// client has another process do work, and returns the CPU time that it cost this one.
func (k *benchBroker) client(b *testing.B, work string, codec log.Codec, n int) time.Duration {
	exe, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command(exe, "-test.run=^TestBenchClient$", "-test.timeout=0")
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s %s %d %d", clientEnv, k.srv.Addr(), work, codec, n))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	out := bufio.NewScanner(pipe)
	step := func(want string) {
		if !out.Scan() || out.Text() != want {
			b.Errorf("the client says %q, want %q", out.Text(), want)
		}
	}
	step("ready")
	before := cpuTime(b)
	if _, err := io.WriteString(in, "go\n"); err != nil {
		b.Error(err)
	}
	step("done")
	took := cpuTime(b) - before
	_ = in.Close()
	_, _ = io.Copy(io.Discard, pipe)
	if err := cmd.Wait(); err != nil {
		b.Fatalf("the client: %v", err)
	}
	return took
}

// TestBenchClient is the client of the benchmarks, and no test.
func TestBenchClient(t *testing.T) {
	var addr, work string
	var codec log.Codec
	var n int
	env := os.Getenv(clientEnv)
	if env == "" {
		t.Skip("only the benchmarks run it, in a process of its own")
	}
	if _, err := fmt.Sscan(env, &addr, &work, &codec, &n); err != nil {
		t.Fatal(err)
	}
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = nc.Close() }()
	c := &client{Conn: nc, t: t}
	c.unlock(os.Getenv(lockEnv))
	run := func() { c.fetchBatches(n) }
	if work != "fetch" {
		batch := batchOfOne(t)
		if work == "produce" {
			batch = batchOf64KB(t, codec)
		}
		req := produceRequest(1, benchTopic, batch)
		req.SetVersion(9)
		frame := kmsg.NewRequestFormatter(kmsg.FormatterClientID("bench")).AppendRequest(nil, req, 1)
		run = func() { c.produceFrames(frame, n) }
	}
	fmt.Println("ready")
	var word string
	if _, err := fmt.Scan(&word); err != nil {
		t.Fatal(err)
	}
	run()
	fmt.Println("done")
	_, _ = fmt.Scan(&word) // until it was heard
}

// produceFrames sends a Produce request n times and checks the answers.
func (c *client) produceFrames(frame []byte, n int) {
	for sent, answered := 0, 0; answered < n; {
		if sent < n && sent-answered < benchAhead {
			c.write(frame)
			sent++
			continue
		}
		resp := kmsg.NewPtrProduceResponse()
		resp.SetVersion(9)
		if err := resp.ReadFrom(c.receiveFrame(1)[1:]); err != nil {
			c.t.Fatal(err)
		}
		if p := resp.Topics[0].Partitions[0]; p.ErrorCode != 0 {
			c.t.Fatalf("got %+v", p)
		}
		answered++
	}
}

// fetchBatches fetches n batches, over and over from the first.
func (c *client) fetchBatches(n int) {
	for n > 0 {
		for offset := int64(0); n > 0; {
			resp := ask[*kmsg.FetchResponse](c, 11, fetchRequest(benchTopic, offset))
			p := resp.Topics[0].Partitions[0]
			if p.ErrorCode != 0 {
				c.t.Fatalf("got %+v", p)
			}
			for b := log.Batch(p.RecordBatches); len(b) > 0; n-- {
				offset += int64(b.Records())
				b = b[12+binary.BigEndian.Uint32(b[8:]):]
			}
			if offset >= p.HighWatermark {
				break
			}
		}
	}
}

// rounds is how often the wire door and the store alone take turns, so that both meet the same
// machine.
const rounds = 5

// BenchmarkProduceBatch appends batches of 64 KB through the wire door, and, in turns, to
// the committer without it. "door/store" is how many times the CPU of the store alone the
// broker's is.
func BenchmarkProduceBatch(b *testing.B) {
	for _, codec := range []log.Codec{log.CodecNone, log.CodecSnappy, log.CodecLz4, log.CodecZstd} {
		for _, trust := range []bool{false, true} {
			if trust && codec == log.CodecNone {
				continue // it makes no difference
			}
			b.Run(fmt.Sprintf("codec=%s/trust=%t", codec, trust), func(b *testing.B) {
				k, batch := openBench(b, Options{TrustCompressed: trust}), batchOf64KB(b, codec)
				compare(b, batch, func(n int) time.Duration {
					return k.client(b, "produce", codec, n)
				}, func(n int) time.Duration { return k.store(b, batch, n) })
			})
		}
	}
}

// BenchmarkFetchBatch reads batches of 64 KB through the wire door and, in turns, from the
// partition without it.
func BenchmarkFetchBatch(b *testing.B) {
	for _, codec := range []log.Codec{log.CodecNone, log.CodecSnappy} {
		b.Run("codec="+codec.String(), func(b *testing.B) {
			k, batch := openBench(b, Options{}), batchOf64KB(b, codec)
			k.store(b, batch, 1000)
			compare(b, batch, func(n int) time.Duration {
				return k.client(b, "fetch", codec, n)
			}, func(n int) time.Duration { return k.read(b, n) })
		})
	}
}

// compare reports the CPU time a record of both ways to do something with n batches, and
// their ratio. The medians of the turns count.
func compare(b *testing.B, batch log.Batch, door, store func(n int) time.Duration) {
	var doors, stores []time.Duration
	n := max(1, b.N/rounds)
	b.ResetTimer()
	for range rounds {
		doors, stores = append(doors, door(n)), append(stores, store(n))
	}
	b.StopTimer()
	slices.Sort(doors)
	slices.Sort(stores)
	perRecord := func(d []time.Duration) float64 { return float64(d[rounds/2]) / float64(n*batch.Records()) }
	b.ReportMetric(perRecord(doors), "door-cpu-ns/record")
	b.ReportMetric(perRecord(stores), "store-cpu-ns/record")
	b.ReportMetric(perRecord(doors)/perRecord(stores), "door/store")
}

// BenchmarkIdleConnections reports what each of a thousand connections that have asked
// something, and are silent now, holds in memory; that of their client's side is in it.
func BenchmarkIdleConnections(b *testing.B) {
	const n = 1000
	k := openBench(b, Options{})
	conns := make([]net.Conn, n)
	var bytes int64
	for b.Loop() {
		before := held()
		for i := range conns {
			nc, err := net.Dial("tcp", k.srv.Addr().String())
			if err != nil {
				b.Fatal(err)
			}
			conns[i] = nc
			greet(b, nc)
		}
		bytes += held() - before
		for _, nc := range conns {
			_ = nc.Close()
		}
		if err := k.srv.Close(); err != nil {
			b.Fatal(err)
		}
		srv, err := Listen(k.Broker, "127.0.0.1:0", Options{})
		if err != nil {
			b.Fatal(err)
		}
		k.srv = srv
	}
	b.ReportMetric(float64(bytes)/float64(n*b.N), "B/connection")
}

// greet asks for the versions, as clients do first.
func greet(b *testing.B, nc net.Conn) {
	req := kmsg.NewPtrApiVersionsRequest()
	if _, err := nc.Write(kmsg.NewRequestFormatter(kmsg.FormatterClientID("idle")).AppendRequest(nil, req, 1)); err != nil {
		b.Fatal(err)
	}
	var length [4]byte
	if _, err := io.ReadFull(nc, length[:]); err != nil {
		b.Fatal(err)
	}
	if _, err := io.CopyN(io.Discard, nc, int64(binary.BigEndian.Uint32(length[:]))); err != nil {
		b.Fatal(err)
	}
}

// held returns the bytes of heap and stacks in use.
func held() int64 {
	runtime.GC()
	runtime.GC() // what was pooled goes with the second
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse)
}
