package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/metrics"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/samsa-go/samsa"
)

// What a broker takes: memory while much goes through it, memory and goroutines while nothing does, and the time of
// an open.

// childBodies gets the children of these tests.
var _ = func() bool {
	childBodies["through"], childBodies["flood"] = letThrough, floodUntilKilled
	return true
}()

// sizeOf returns a size in MB that the environment may change.
func sizeOf(tb testing.TB, name string, megabytes int64) int64 {
	if n, err := strconv.ParseInt(os.Getenv(name), 10, 64); err == nil {
		megabytes = n
		tb.Logf("%d MB", n)
	}
	return megabytes
}

// flood produces so many megabytes of JSON records of about 100 bytes to topic t, and calls each whenever one more was handed over.
func flood(b *samsa.Broker, opts samsa.ProducerOptions, megabytes int64, each func()) error {
	values := make([][]byte, 10_000)
	for i := range values {
		values[i] = fmt.Appendf(nil, `{"time":%d,"user":"u%06d","method":"GET","path":"/item/%08x","status":%d,"ms":%d}`,
			1760000000000+int64(i)*7, i*7919%1_000_003, uint32(i)*2654435761, 200+i%5*100, i*31%1000)
	}
	p, err := b.NewProducer(context.Background(), opts)
	if err != nil {
		return err
	}
	var failed error
	promise := func(_ samsa.Record, err error) { failed = errors.Join(failed, err) }
	for i, done := 0, int64(0); done < megabytes*1e6; i++ {
		value := values[i%len(values)]
		before := done / 1e6
		if done += int64(len(value)); done/1e6 > before {
			each()
		}
		p.Produce(context.Background(), samsa.Record{Topic: "t", Value: value}, promise)
	}
	return errors.Join(p.Close(), failed)
}

// TestMemoryWhileMuchGoesThrough bounds the memory of a process through whose broker records go,
// while three consumers read so slowly that retention overtakes them. THROUGH_MB=20000 is the long form.
func TestMemoryWhileMuchGoesThrough(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector takes memory of its own")
	}
	const mostHeap, mostResident = 150e6, 256e6
	megabytes := sizeOf(t, "THROUGH_MB", 50)
	cmd, stderr := childCommand(t, "through", t.TempDir(), fmt.Sprint(megabytes))
	out, err := cmd.Output()
	var heap, resident int64
	if _, scan := fmt.Sscan(string(out), &heap, &resident); err != nil || scan != nil {
		t.Fatalf("the child: %v, %v\n%s", err, scan, stderr)
	}
	t.Logf("%d MB: heap %d MB, resident %d MB at most", megabytes, heap/1e6, resident/1e6)
	if heap > mostHeap || resident > mostResident {
		t.Errorf("the heap took %d bytes, %d were resident; at most %d and %d may be", heap, resident, int(mostHeap), int(mostResident))
	}
}

// letThrough is the child. Its arguments are the directory and how many megabytes go through. It writes a line: the most
// bytes that its heap has had, and that were resident.
func letThrough(args []string) error {
	ctx := context.Background()
	megabytes, err := strconv.ParseInt(args[1], 10, 64)
	if err != nil {
		return err
	}
	b, err := samsa.Open(args[0], samsa.Options{})
	if err != nil {
		return err
	}
	keep := min(1e9, megabytes*1e6/8)
	if err := b.Topics().Create(ctx, "t", samsa.TopicConfig{RetentionBytes: keep}); err != nil {
		return err
	}
	var slow []*slowConsumer
	for every := range 3 {
		c, err := b.NewConsumer(ctx, samsa.ConsumerOptions{Topics: []string{"t"}})
		if err != nil {
			return err
		}
		slow = append(slow, &slowConsumer{c: c, every: 1 << (2 * every), turn: make(chan struct{}, 1)})
	}
	var wg sync.WaitGroup
	for _, s := range slow {
		wg.Go(s.run)
	}
	peak, count := int64(0), 0
	err = flood(b, samsa.ProducerOptions{}, megabytes, func() {
		peak = max(peak, heapInUse())
		count++
		for _, s := range slow {
			s.mayPoll(count)
		}
	})
	for _, s := range slow {
		close(s.turn)
	}
	wg.Wait()
	for _, s := range slow {
		err = errors.Join(err, s.err, s.c.Close())
	}
	if err = errors.Join(err, b.Close()); err != nil {
		return err
	}
	return tell("%d %d\n", peak, mostResident())
}

// slowConsumer polls once while so many megabytes are produced.
type slowConsumer struct {
	c     *samsa.Consumer
	every int
	turn  chan struct{} // capacity 1: it may poll
	held  []samsa.Record
	err   error
}

func (s *slowConsumer) mayPoll(produced int) {
	if produced%s.every == 0 {
		select {
		case s.turn <- struct{}{}:
		default:
		}
	}
}

func (s *slowConsumer) run() {
	for range s.turn {
		if s.held, s.err = s.c.Poll(context.Background()); s.err != nil {
			return
		}
	}
}

// heapInUse returns the bytes of the heap's spans that are in use.
func heapInUse() int64 {
	s := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/unused:bytes"}}
	metrics.Read(s)
	return int64(s[0].Value.Uint64() + s[1].Value.Uint64())
}

// mostResident returns the most bytes that were resident, 0 where the system does not tell.
func mostResident() int64 {
	status, err := os.ReadFile("/proc/self/status")
	line := regexp.MustCompile(`VmHWM:\s*(\d+) kB`).FindSubmatch(status)
	if err != nil || line == nil {
		return 0
	}
	n, _ := strconv.ParseInt(string(line[1]), 10, 64) // they are digits
	return n << 10
}

// A broker with which nothing happens takes a few goroutines and little memory.
func TestBrokerAtRest(t *testing.T) {
	for name, opts := range map[string]samsa.Options{"disk": {}, "memory": {InMemory: true}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dir := ""
				if !opts.InMemory {
					dir = filepath.Join(t.TempDir(), "data")
				}
				goroutines, heap := runtime.NumGoroutine(), heapAlive()
				b := mustOpen(t, dir, opts)
				mustCreate(t, b, "t", 1)
				if _, err := b.Produce(t.Context(), samsa.Record{Topic: "t", Value: []byte("v")}); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				goroutines, heap = runtime.NumGoroutine()-goroutines, heapAlive()-heap
				t.Logf("%d goroutines, %d bytes", goroutines, heap)
				if goroutines > 5 || heap > 5e6 {
					t.Errorf("%d goroutines and %d bytes of heap; at most 5 and 5 MB may be", goroutines, heap)
				}
			})
		})
	}
}

// heapAlive returns the bytes of the heap that are alive.
func heapAlive() int64 {
	runtime.GC()
	runtime.GC() // sync.Pool
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// plainly is for as many bytes on disk as were produced.
var plainly = samsa.ProducerOptions{Compression: samsa.CompressionNone}

// BenchmarkOpen opens a directory that was closed, and one whose owner was killed while it wrote. OPEN_MB=10000 is
// the long form: how many megabytes of records it has.
func BenchmarkOpen(b *testing.B) {
	megabytes := sizeOf(b, "OPEN_MB", 100)
	dir := b.TempDir()
	broker := mustOpen(b, dir, samsa.Options{})
	mustCreate(b, broker, "t", 1)
	if err := flood(broker, plainly, megabytes, func() {}); err != nil {
		b.Fatal(err)
	}
	mustClose(b, broker)
	benchmarkOpen(b, fmt.Sprintf("store=disk/MB=%d/end=clean", megabytes), dir, samsa.Options{}, func(int) {})
	benchmarkOpen(b, fmt.Sprintf("store=disk/MB=%d/end=killed", megabytes), dir, samsa.Options{}, func(n int) {
		killWhen(b, "flood", after(1+n*211%int(min(megabytes, 1000))), dir)
	})
	benchmarkOpen(b, "store=memory", "", samsa.Options{InMemory: true}, func(int) {})
}

// benchmarkOpen opens what before has left in dir, again and again.
func benchmarkOpen(b *testing.B, name, dir string, opts samsa.Options, before func(n int)) {
	b.Run(name, func(b *testing.B) {
		most := time.Duration(0)
		for n := 0; b.Loop(); n++ {
			b.StopTimer()
			before(n)
			b.StartTimer()
			began := time.Now()
			broker, err := samsa.Open(dir, opts)
			took := time.Since(began)
			b.StopTimer()
			if err != nil {
				b.Fatal(err)
			}
			mustClose(b, broker)
			most = max(most, took)
			b.StartTimer()
		}
		b.ReportMetric(float64(most)/1e6, "max-ms")
	})
}

// floodUntilKilled is the child. Its argument is the directory. It writes a line for each megabyte that it has handed over.
func floodUntilKilled(args []string) error {
	b, err := samsa.Open(args[0], samsa.Options{})
	if err != nil {
		return err
	}
	var failed error
	err = flood(b, plainly, 1e6, func() { failed = errors.Join(failed, tell("stored\n")) })
	return errors.Join(err, failed)
}
