package workload

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/samsa-go/samsa/bench/internal/data"
	"github.com/samsa-go/samsa/bench/internal/peer"
)

// Limits end a workload: whichever comes first. A workload that reads writes first, within
// the same limits, and reads all of that.
type Limits struct {
	Records   int           `json:"records"`
	Time      time.Duration `json:"time"`
	KeepBytes int64         `json:"keep_bytes"` // of retention, which writes several times as much
}

// Outcome is what a workload came to.
type Outcome struct {
	Records  int64         `json:"records"` // that the time counts for
	Bytes    int64         `json:"bytes"`   // of their values
	Elapsed  time.Duration `json:"elapsed"`
	Mallocs  uint64        `json:"mallocs"`             // during that time, of the whole process
	Appended int64         `json:"appended"`            // bytes of values, also before the time
	PeakDisk int64         `json:"peak_disk,omitempty"` // of retention: the most that the directory had
	// Latencies in ns, or nil for a workload without.
	Latencies *hdrhistogram.Histogram `json:"-"`
}

// Rate returns records a second.
func (o Outcome) Rate() float64 { return float64(o.Records) / o.Elapsed.Seconds() }

// NewHistogram returns an empty histogram for latencies in ns: up to 10 minutes, to three
// significant digits.
func NewHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(1, int64(10*time.Minute), 3)
}

// cannot is why a peer does not have what a workload needs. It is errors.ErrUnsupported.
type cannot string

func (c cannot) Error() string { return string(c) }

func (c cannot) Is(target error) bool { return target == errors.ErrUnsupported }

// Run does the work of c on p in dir, which is empty, and removes nothing. The error is errors.ErrUnsupported when
// the peer does not have what the work needs.
func Run(ctx context.Context, p *peer.Peer, dir string, c Case, l Limits) (Outcome, error) {
	work, _ := Find(c.Work)
	if err := c.Validate(); err != nil {
		return Outcome{}, err
	}
	if c.Acks == Synced && p.NoSync != "" {
		return Outcome{}, cannot("cannot fsync: " + p.NoSync)
	}
	if p.QueueOnly && c.Work != Queue {
		return Outcome{}, cannot("is a queue: what was read once is gone")
	}
	values, err := data.Values(c.Data, c.Size)
	if err != nil {
		return Outcome{}, err
	}
	r := &run{peer: p, dir: dir, c: c, limits: l, values: values, ctx: ctx}
	if err := r.open(); err != nil {
		return Outcome{}, fmt.Errorf("open: %w", err)
	}
	if err := work.run(r); err != nil {
		return Outcome{}, errors.Join(err, r.close())
	}
	return r.out, r.close()
}

// run is a workload that runs.
type run struct {
	ctx    context.Context
	peer   *peer.Peer
	dir    string
	c      Case
	limits Limits
	values [][]byte

	log     peer.Log
	began   time.Time
	mallocs uint64
	out     Outcome
}

func (r *run) open() (err error) {
	keep := int64(0)
	if r.c.Work == Retention {
		keep = r.limits.KeepBytes
	}
	r.log, err = r.peer.Open(r.ctx, r.dir, peer.Options{
		Partitions: r.c.Partitions,
		Synced:     r.c.Acks == Synced,
		Codec:      r.c.Codec,
		BatchBytes: r.c.Batch * r.c.Size,
		Writers:    max(1, r.c.Goroutines),
		KeepBytes:  keep,
		Queue:      r.c.Work == Queue,

		Transactions: r.c.Work == Transactions,
	})
	return err
}

func (r *run) close() error {
	if r.log == nil {
		return nil
	}
	err := r.log.Close()
	r.log = nil
	if err != nil {
		return fmt.Errorf("close: %w", err)
	}
	return nil
}

// reopen closes and opens the log of a peer that can outlive that.
func (r *run) reopen() error {
	if r.peer.Volatile {
		return nil
	}
	if err := r.close(); err != nil {
		return err
	}
	if err := r.open(); err != nil {
		return fmt.Errorf("reopen: %w", err)
	}
	return nil
}

// begin starts the time, with no garbage of what was before.
func (r *run) begin() {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	r.mallocs = m.Mallocs
	r.began = time.Now()
}

// end stops the time, which counts for n records.
func (r *run) end(n int) {
	r.out.Elapsed = max(time.Since(r.began), 1)
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	r.out.Mallocs = m.Mallocs - r.mallocs
	r.out.Records = int64(n)
	r.out.Bytes = int64(n) * int64(r.c.Size)
}

// more reports whether a record may follow n others.
func (r *run) more(n int) bool { return n < r.limits.Records && time.Since(r.began) < r.limits.Time }

// batch returns the i-th batch of n records. The pool is walked through in turn.
func (r *run) batch(buf [][]byte, i, n int) [][]byte {
	buf = buf[:0]
	for at := i * n; len(buf) < n; at++ {
		buf = append(buf, r.values[at%len(r.values)])
	}
	return buf
}

// touched is what a reader has seen of records: enough to make it read them.
type touched struct {
	records int
	bytes   int64
	sum     uint64
}

func (t *touched) visit(value []byte) {
	t.records++
	t.bytes += int64(len(value))
	if len(value) > 0 {
		t.sum += uint64(value[0]) + uint64(value[len(value)-1])
	}
}

// check compares what was read with n records that were written.
func (r *run) check(t touched, n int) error {
	if t.records != n || t.bytes != int64(n)*int64(r.c.Size) {
		return fmt.Errorf("read %d records of %d bytes, written were %d of %d", t.records, t.bytes, n, int64(n)*int64(r.c.Size))
	}
	return nil
}

// diskUsage returns the bytes that the files below dir take.
func diskUsage(dir string) (total int64, err error) {
	err = filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return ignoreGone(err)
		}
		info, err := d.Info()
		if err != nil {
			return ignoreGone(err)
		}
		total += allocated(info)
		return nil
	})
	return total, err
}

// ignoreGone forgets the error of a file that was removed meanwhile.
func ignoreGone(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}
