//go:build linux

package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/samsa-go/samsa"
)

// The disk-full tests fill a small file system of their own. They need the right to
// mount one, and skip without it.

const (
	smallDiskBytes = 192 << 20
	ballastBytes   = 48 << 20
	reserveBytes   = 64 << 20
)

// smallDisk mounts a tmpfs for the test.
func smallDisk(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("samsa-test", dir, "tmpfs", 0, fmt.Sprintf("size=%d", smallDiskBytes)); err != nil {
		t.Skipf("cannot mount a small file system here: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil { // a test that has failed may have files open there
			t.Errorf("unmount %s: %v", dir, err)
		}
	})
	return dir
}

// diskFiller produces to a broker until the disk is full, and remembers what was stored.
type diskFiller struct {
	b      *samsa.Broker
	stored map[samsa.TopicPartition][]samsa.Record
}

// fill produces records to topics, in turn, until ErrDiskFull, with nothing to be given back.
func (d *diskFiller) fill(t *testing.T, topics ...string) {
	t.Helper()
	ctx := patient(t)
	swept := false
	for i := 0; ; i++ {
		value := bytes.Repeat(fmt.Appendf(nil, "%8d", i), 16<<10)
		err := d.produce(ctx, samsa.Record{Topic: topics[i%len(topics)], Value: value})
		switch {
		case err == nil:
			swept = false
		case !errors.Is(err, samsa.ErrDiskFull):
			t.Fatal(err)
		case swept:
			return
		default:
			if _, err := d.b.Sweep(ctx); err != nil {
				t.Fatal(err)
			}
			swept = true
		}
		if i > smallDiskBytes/len(value) {
			t.Fatal("more was stored than the disk can hold")
		}
	}
}

func (d *diskFiller) produce(ctx context.Context, r samsa.Record) error {
	got, err := d.b.Produce(ctx, r)
	d.note(got...)
	return err
}

// note remembers what is stored.
func (d *diskFiller) note(stored ...samsa.Record) {
	for _, r := range stored {
		tp := samsa.TopicPartition{Topic: r.Topic, Partition: r.Partition}
		d.stored[tp] = append(d.stored[tp], r)
	}
}

// check compares everything that is in the broker with what was stored.
func (d *diskFiller) check(t *testing.T) {
	t.Helper()
	for tp, end := range ends(t, d.b) {
		if end != int64(len(d.stored[tp])) {
			t.Errorf("%s ends at offset %d, want %d", tp, end, len(d.stored[tp]))
		}
	}
	if errs := checkRecords(t, d.b, d.stored); len(errs) > 0 {
		t.Errorf("errors of Poll: %v", errs)
	}
}

// full fails the test when there is always room for an append that is larger than those of
// fill, of any kind. Some may still find room: the store gives back in the background what the last ones have freed.
func (d *diskFiller) full(t *testing.T, topic string) {
	t.Helper()
	ctx := patient(t)
	r := samsa.Record{Topic: topic, Value: bytes.Repeat([]byte("one too many"), 70<<10)}
	p, err := d.b.NewProducer(ctx, samsa.ProducerOptions{Compression: samsa.CompressionNone})
	if err != nil {
		t.Fatal(err)
	}
	defer mustClose(t, p)
	for what, produce := range map[string]func() ([]samsa.Record, error){
		"produce":    func() ([]samsa.Record, error) { return d.b.Produce(ctx, r, r) },
		"a producer": func() ([]samsa.Record, error) { return p.ProduceSync(ctx, r) },
	} {
		got, err := produce()
		for n := 0; err == nil && n < smallDiskBytes/len(r.Value); n++ {
			d.note(got...)
			got, err = produce()
		}
		if !errors.Is(err, samsa.ErrDiskFull) {
			t.Errorf("%s on a full disk: %v", what, err)
		}
	}
}

func writeBallast(t *testing.T, disk string) string {
	t.Helper()
	path := filepath.Join(disk, "ballast")
	if err := os.WriteFile(path, make([]byte, ballastBytes), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func openSmall(t *testing.T, disk string) *samsa.Broker {
	return mustOpen(t, filepath.Join(disk, "data"), samsa.Options{
		MinFreeBytes: reserveBytes,
		Produce:      samsa.ProduceOptions{Compression: samsa.CompressionNone},
	})
}

// TestDiskFullUntilOthersMakeRoom: another program's file goes, and appends resume.
func TestDiskFullUntilOthersMakeRoom(t *testing.T) {
	t.Parallel()
	disk := smallDisk(t)
	ballast := writeBallast(t, disk)
	d := diskFiller{b: openSmall(t, disk), stored: make(map[samsa.TopicPartition][]samsa.Record)}
	mustCreate(t, d.b, "keep", 1)
	mustCreate(t, d.b, "other", 1)
	d.fill(t, "keep", "other")
	d.full(t, "keep")
	d.check(t)

	mustClose(t, d.b)
	d.b = openSmall(t, disk)
	d.fill(t, "keep") // what the close gave back
	d.full(t, "keep")
	d.check(t)

	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	if err := d.produce(patient(t), samsa.Record{Topic: "keep", Value: []byte("there is room again")}); err != nil {
		t.Errorf("produce after room was made: %v", err)
	}
	d.fill(t, "keep")
	d.full(t, "keep")
	d.check(t)
	mustClose(t, d.b)
}

// TestDiskFullUntilTopicDeleted: a topic goes, its space comes back, appends resume.
func TestDiskFullUntilTopicDeleted(t *testing.T) {
	t.Parallel()
	disk := smallDisk(t)
	d := diskFiller{b: openSmall(t, disk), stored: make(map[samsa.TopicPartition][]samsa.Record)}
	mustCreate(t, d.b, "keep", 1)
	mustCreate(t, d.b, "waste", 1)
	d.fill(t, "keep", "waste", "waste", "waste")
	for range 2 { // the second goes over what the first has left behind
		ctx := patient(t)
		if err := d.b.Topics().Delete(ctx, "waste"); err != nil {
			t.Fatalf("delete on a full disk: %v", err)
		}
		delete(d.stored, samsa.TopicPartition{Topic: "waste"})
		if _, err := d.b.Sweep(ctx); err != nil {
			t.Fatalf("sweep on a full disk: %v", err)
		}
		d.check(t)
		mustCreate(t, d.b, "waste", 1)
		if err := d.produce(ctx, samsa.Record{Topic: "keep", Value: []byte("there is room again")}); err != nil {
			t.Fatalf("produce after a topic was deleted: %v", err)
		}
		d.fill(t, "waste")
		d.full(t, "keep")
		d.check(t)
	}
	mustClose(t, d.b)
	d.b = openSmall(t, disk)
	d.fill(t, "waste") // what the close gave back
	d.full(t, "waste")
	d.check(t)
	mustClose(t, d.b)
}

// TestDiskFullByOthers: another program leaves less room than the reserve, and less than
// it takes to move what is to be kept out of a value file. To give back the space of a
// deleted topic may then have to wait, but the process lives and nothing is lost.
func TestDiskFullByOthers(t *testing.T) {
	t.Parallel()
	disk := smallDisk(t)
	d := diskFiller{b: openSmall(t, disk), stored: make(map[samsa.TopicPartition][]samsa.Record)}
	mustCreate(t, d.b, "keep", 1)
	mustCreate(t, d.b, "waste", 1)
	d.fill(t, "keep", "waste", "waste")
	mustClose(t, d.b)

	const left = reserveBytes/4 + 2<<20 // enough to delete a topic
	ballast := filepath.Join(disk, "ballast")
	if err := os.WriteFile(ballast, make([]byte, reserveBytes), 0o600); err != nil && !errors.Is(err, unix.ENOSPC) {
		t.Fatal(err)
	}
	info, err := os.Stat(ballast)
	if err != nil {
		t.Fatal(err)
	}
	for size := info.Size(); ; size -= 1 << 20 { // as large a file as leaves that much
		if err := os.Truncate(ballast, size); err != nil {
			t.Fatal(err)
		}
		var st unix.Statfs_t
		if err := unix.Statfs(disk, &st); err != nil {
			t.Fatal(err)
		}
		if int64(st.Bavail)*int64(st.Bsize) >= left {
			break
		}
	}
	cmd, stderr := childCommand(t, "giveback", filepath.Join(disk, "data"), "waste")
	if err := cmd.Run(); err != nil {
		t.Errorf("the child: %v\n%.1000s", err, stderr)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	d.b = openSmall(t, disk)
	delete(d.stored, samsa.TopicPartition{Topic: "waste"})
	d.check(t)
	if _, err := d.b.Sweep(patient(t)); err != nil {
		t.Errorf("sweep with room: %v", err)
	}
	if err := d.produce(patient(t), samsa.Record{Topic: "keep", Value: []byte("there is room again")}); err != nil {
		t.Errorf("produce with room: %v", err)
	}
	d.check(t)
	mustClose(t, d.b)
}

// TestDiskFullUnderLoad: many producers at once run into the reserve, with as much on
// its way to the store as there can be. The process lives, and all that was
// acknowledged is there.
func TestDiskFullUnderLoad(t *testing.T) {
	t.Parallel()
	disk := smallDisk(t)
	b := openSmall(t, disk)
	const topics = 8
	p, err := b.NewProducer(t.Context(), samsa.ProducerOptions{Compression: samsa.CompressionNone, BatchBytes: 1 << 19, BufferedBytes: 64 << 20})
	if err != nil {
		t.Fatal(err)
	}
	for i := range topics {
		mustCreate(t, b, fmt.Sprint("t", i), 1)
	}
	value := make([]byte, 256<<10)
	for i := range value {
		value[i] = byte(i * i >> 8)
	}
	ctx := patient(t)
	acked := make(map[samsa.TopicPartition]int64)
	refused := 0
	for i := range 2 * smallDiskBytes / len(value) {
		p.Produce(ctx, samsa.Record{Topic: fmt.Sprint("t", i%topics), Value: value}, func(r samsa.Record, err error) {
			switch {
			case err == nil:
				acked[samsa.TopicPartition{Topic: r.Topic, Partition: r.Partition}] = r.Offset + 1
			case errors.Is(err, samsa.ErrDiskFull):
				refused++
			default:
				t.Errorf("produce: %v", err)
			}
		})
	}
	mustClose(t, p)
	if refused == 0 {
		t.Error("the disk was not full")
	}
	for range 2 {
		for tp, end := range ends(t, b) {
			if end != acked[tp] {
				t.Errorf("%s ends at offset %d, acknowledged up to %d", tp, end, acked[tp])
			}
		}
		readRange(t, b, nil, acked, func(r samsa.Record, err error) {
			if err != nil || !bytes.Equal(r.Value, value) {
				t.Errorf("%s/%d: offset %d: %v", r.Topic, r.Partition, r.Offset, err)
			}
		})
		mustClose(t, b)
		b = openSmall(t, disk)
	}
	mustClose(t, b)
}

// TestOpenReadOnlyFileSystem: what TestOpenReadOnly does, for the superuser.
func TestOpenReadOnlyFileSystem(t *testing.T) {
	disk := smallDisk(t)
	written(t, filepath.Join(disk, "data"))
	if err := os.Mkdir(filepath.Join(disk, "empty"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("", disk, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Skipf("cannot make a file system read-only here: %v", err)
	}
	for _, name := range []string{"data", "empty", "missing"} {
		refused(t, disk, filepath.Join(disk, name), samsa.ErrReadOnly)
	}
}
