package machine

import (
	"os"
	"strings"
	"testing"
	"time"
)

func TestMountOf(t *testing.T) {
	const text = `22 1 252:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 22 0:26 / /tmp rw,nosuid shared:2 - tmpfs tmpfs rw,size=1g
31 22 259:1 / /data rw,noatime - xfs /dev/nvme0n1p1 rw
broken line
32 31 259:2 / /data/deep rw - btrfs /dev/nvme0n1p2 rw
`
	for dir, want := range map[string]mount{
		"/":           {"/", "rw,relatime", "ext4", "/dev/vda"},
		"/tmp/x":      {"/tmp", "rw,nosuid", "tmpfs", "tmpfs"},
		"/tmpx":       {"/", "rw,relatime", "ext4", "/dev/vda"},
		"/data":       {"/data", "rw,noatime", "xfs", "/dev/nvme0n1p1"},
		"/data/deep/": {"/data/deep", "rw", "btrfs", "/dev/nvme0n1p2"},
	} {
		if got, ok := mountOf(text, dir); !ok || got != want {
			t.Errorf("%s: %+v, want %+v", dir, got, want)
		}
	}
	if _, ok := mountOf("", "/"); ok {
		t.Error("a mount in no text")
	}
}

func TestFields(t *testing.T) {
	const text = "VmPeak:\t  100 kB\nVmHWM:\t   2048 kB\nmodel name\t: A CPU: fast\n"
	if got := kilobytes(text, "VmHWM"); got != 2<<20 {
		t.Errorf("VmHWM is %d", got)
	}
	if got := kilobytes(text, "VmRSS"); got != 0 {
		t.Errorf("VmRSS is %d", got)
	}
	if got := field(text, "model name"); got != "A CPU: fast" {
		t.Errorf("model name is %q", got)
	}
}

func TestUsed(t *testing.T) {
	before := Used()
	if before.PeakRSS < 1<<20 {
		t.Errorf("%+v", before)
	}
	if before.DiskWritten < 0 {
		t.Skip("this system does not tell what a process writes")
	}
	const n = 4 << 20
	f, err := os.Create(t.TempDir() + "/f")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(make([]byte, n)); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if m, _ := mountOf(read("/proc/self/mountinfo"), f.Name()); m.kind == "tmpfs" {
		t.Skip("the directory for tests is in memory")
	}
	if wrote := Used().DiskWritten - before.DiskWritten; wrote < n || wrote > 2*n {
		t.Errorf("wrote %d bytes, counted are %d", n, wrote)
	}
}

func TestLook(t *testing.T) {
	info := Look(t.TempDir())
	if info.Cores < 1 || info.Memory <= 0 || info.Filesystem == "" || info.Go == "" {
		t.Errorf("%+v", info)
	}
}

func TestBusyTime(t *testing.T) {
	for stat, want := range map[string]time.Duration{
		"cpu  100 20 30 9000 800 4 5 6 70 0\ncpu0 1 2 3\n": 1650 * time.Millisecond, // guests are in user
		"cpu0 100 20 30 9000 800 4 5 6 70 0\n":             0,
		"cpu 1 2\n":                                        0,
		"":                                                 0,
	} {
		if got, ok := busyTime(stat); got != want || ok != (want > 0) {
			t.Errorf("%q: %s, want %s", stat, got, want)
		}
	}
}

// What this process does is not done by others.
func TestOthers(t *testing.T) {
	if share := WatchOthers().Share(); !strings.HasSuffix(share, "%") {
		t.Errorf("others took %q", share)
	}
	busy, own, ok := processorTime()
	if !ok || own <= 0 || own > busy+time.Second {
		t.Errorf("busy for %s, of which %s are ours", busy, own)
	}
}
