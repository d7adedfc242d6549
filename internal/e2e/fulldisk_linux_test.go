package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/samsa-go/samsa"
)

// smallFileSystems calls test with a directory on a tmpfs, an ext4 and a btrfs of that size, where they can be
// made and mounted; the smallest btrfs has 300 MiB.
func smallFileSystems(t *testing.T, size int64, test func(t *testing.T, dir string)) {
	t.Run("tmpfs", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		mountOrSkip(t, exec.Command("mount", "-t", "tmpfs", "-o", fmt.Sprintf("size=%d", size), "samsa-test", dir), dir)
		test(t, dir)
	})
	for name, mkfs := range map[string][]string{"ext4": {"mkfs.ext4", "-q", "-m", "0"}, "btrfs": {"mkfs.btrfs", "-q"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			image, dir, size := filepath.Join(t.TempDir(), "image"), t.TempDir(), size
			if name == "btrfs" {
				size = max(size, 300<<20)
			}
			if err := errors.Join(os.WriteFile(image, nil, 0o600), os.Truncate(image, size)); err != nil {
				t.Fatal(err)
			}
			if out, err := exec.Command(mkfs[0], append(mkfs[1:], image)...).CombinedOutput(); err != nil {
				t.Skipf("cannot make a file system here: %v: %s", err, out)
			}
			mountOrSkip(t, exec.Command("mount", "-o", "loop", image, dir), dir)
			test(t, dir)
		})
	}
}

func mountOrSkip(t *testing.T, mount *exec.Cmd, dir string) {
	t.Helper()
	if out, err := mount.CombinedOutput(); err != nil {
		t.Skipf("cannot mount a small file system here: %v: %s", err, out)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Errorf("unmount %s: %v", dir, err)
		}
	})
}

// neighbour writes a file until nothing is free, a piece for each turn.
func neighbour(t *testing.T, path string, piece []byte, turns <-chan struct{}) {
	f, err := os.Create(path)
	if err != nil {
		t.Error(err)
		return
	}
	defer func() { _ = f.Close() }()
	for {
		<-turns
		_, err := f.Write(piece)
		if err == nil {
			continue
		}
		if !errors.Is(err, unix.ENOSPC) {
			t.Error(err)
		}
		if len(piece) <= 4<<10 {
			return
		}
		piece = piece[:4<<10]
	}
}

// A neighbour fills the disk while a broker is written to, at once or with a piece for each record: the broker
// lives, has all that was acknowledged, and goes on when there is room, by the neighbour or by a topic that goes.
// NEIGHBOUR_ROUNDS has more of it.
func TestNeighbourFillsTheDisk(t *testing.T) {
	smallFileSystems(t, 128<<20, func(t *testing.T, disk string) {
		for name, c := range map[string]struct{ ahead, piece int }{
			"at once": {1000, 256 << 10}, "fast": {0, 256 << 10}, "slow": {0, 64 << 10},
		} {
			t.Run(name, func(t *testing.T) {
				for range long(t, "NEIGHBOUR_ROUNDS", 1) {
					neighbourRound(t, disk, c.ahead, c.piece)
				}
			})
		}
	})
}

// neighbourRound has the neighbour take pieces of so many bytes, and so many of them before the broker's first record.
func neighbourRound(t *testing.T, disk string, ahead, piece int) {
	ctx := patient(t)
	dir := filepath.Join(disk, "data")
	open := func() *samsa.Broker {
		return mustOpen(t, dir, samsa.Options{MinFreeBytes: 8 << 20, RetentionInterval: 100 * time.Millisecond, Produce: samsa.ProduceOptions{Compression: samsa.CompressionNone}})
	}
	d := diskFiller{b: open(), stored: make(map[samsa.TopicPartition][]samsa.Record)}
	for _, topic := range []string{"keep", "waste"} {
		mustCreate(t, d.b, topic, 1)
	}
	value := make([]byte, 20_000)
	_, _ = rand.NewChaCha8([32]byte{}).Read(value)
	produce := func(topic string) bool {
		err := d.produce(ctx, samsa.Record{Topic: topic, Value: value[:1+rand.IntN(len(value)-1)]})
		if err != nil && !errors.Is(err, samsa.ErrDiskFull) {
			t.Fatal(err)
		}
		return err == nil
	}
	for range 1500 { // 15 MB
		produce("waste")
	}
	ballast, full, turns := filepath.Join(disk, "ballast"), make(chan struct{}), make(chan struct{}, ahead)
	for range ahead {
		turns <- struct{}{}
	}
	go func() {
		defer close(full)
		neighbour(t, ballast, bytes.Repeat([]byte("mine"), piece/4), turns)
	}()
	for n, done := 0, false; !done; n++ {
		if n < 2000 {
			produce("keep")
		}
		select {
		case <-full:
			done = true
		case turns <- struct{}{}:
		}
	}
	d.check(t)
	if rand.IntN(2) == 0 {
		mustClose(t, d.b)
		d.b = open()
		d.check(t)
	}
	if err := d.b.Topics().Delete(ctx, "waste"); err != nil {
		t.Fatalf("delete on a full disk: %v", err)
	}
	delete(d.stored, samsa.TopicPartition{Topic: "waste"})
	if _, err := d.b.Sweep(ctx); err != nil {
		t.Fatalf("sweep on a full disk: %v", err)
	}
	resumes(t, ctx, func() bool { return produce("keep") })
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	resumes(t, ctx, func() bool { return produce("keep") })
	d.check(t)
	mustClose(t, d.b)
	d.b = open()
	d.check(t)
	mustClose(t, d.b)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
}

// resumes waits until there is room again.
func resumes(t *testing.T, ctx context.Context, produce func() bool) {
	t.Helper()
	for !produce() {
		select {
		case <-ctx.Done():
			t.Fatal("there is no room")
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// A topic of 8 MB is written for ever on a disk of 64 MB. FOREVER_MB has more of it.
func TestTopicOnSmallDisk(t *testing.T) {
	smallFileSystems(t, 64<<20, func(t *testing.T, disk string) {
		ctx := patient(t)
		b := mustOpen(t, filepath.Join(disk, "data"), samsa.Options{Produce: samsa.ProduceOptions{Compression: samsa.CompressionNone}})
		if err := b.Topics().Create(ctx, "t", samsa.TopicConfig{RetentionBytes: 8e6}); err != nil {
			t.Fatal(err)
		}
		value := make([]byte, 100_000)
		_, _ = rand.NewChaCha8([32]byte{}).Read(value)
		full, megabytes := 0, long(t, "FOREVER_MB", 150)
		for n := 0; n < megabytes*1e6; n += len(value) {
			resumes(t, ctx, func() bool {
				_, err := b.Produce(ctx, samsa.Record{Topic: "t", Value: value})
				if errors.Is(err, samsa.ErrDiskFull) {
					full++
				} else if err != nil {
					t.Fatal(err)
				}
				return err == nil
			})
		}
		t.Logf("the disk was full %d times", full)
		mustClose(t, b)
	})
}
