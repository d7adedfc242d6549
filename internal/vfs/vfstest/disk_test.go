package vfstest

import (
	"errors"
	"strings"
	"testing"

	"github.com/samsa-go/samsa/internal/vfs"
)

// text returns what a file begins with, "none" without a file.
func text(d *Disk, name string) string {
	f, err := d.Open(name)
	if err != nil {
		return "none"
	}
	size, _ := f.Size()
	b := make([]byte, size)
	_, _ = f.ReadAt(b, 0)
	return strings.TrimRight(string(b), "\x00")
}

// What was synced is there after every cut, what was not after some, and a rename happens or not.
func TestCut(t *testing.T) {
	d := NewDisk(0)
	f, err := d.Create("a", 2000)
	err = errors.Join(err, f.WriteAt(0, []byte("old")), f.Sync(), d.SyncDir("."), f.WriteAt(3, []byte(" new")), d.Rename("a", "b"))
	g, createErr := d.Create("c", 10)
	if err := errors.Join(err, createErr, g.WriteAt(0, []byte("c")), g.Sync()); err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for seed := range uint64(500) {
		c := d.Cut(seed)
		seen[text(c, "a")+"/"+text(c, "b")+"/"+text(c, "c")]++
	}
	for _, want := range []string{"old/none/none", "old new/none/none", "none/old/c", "none/old new/c", "none/old new/none"} {
		if seen[want] == 0 {
			t.Errorf("never %q", want)
		}
	}
	for s := range seen {
		if s = s[:strings.LastIndex(s, "/")]; !strings.Contains(s, "old") {
			t.Errorf("what was synced is gone: %q", s)
		}
	}
	if got := text(d, "b") + text(d.Clone(), "b"); got != "old newold new" {
		t.Errorf("the disk itself has changed, or a kill has lost something: %q", got)
	}
}

// A write that spans sectors may be left in part.
func TestCutTears(t *testing.T) {
	d := NewDisk(0)
	f, err := d.Create("a", 10*sectorSize)
	if err := errors.Join(err, f.Sync(), d.SyncDir("."), f.WriteAt(0, []byte(strings.Repeat("x", 10*sectorSize)))); err != nil {
		t.Fatal(err)
	}
	parts := map[int]bool{}
	for seed := range uint64(500) {
		parts[strings.Count(text(d.Cut(seed), "a"), "x")] = true
	}
	for n := range parts {
		if n%sectorSize != 0 {
			t.Errorf("%d bytes are left: a sector is whole or not there", n)
		}
	}
	if !parts[0] || !parts[10*sectorSize] || len(parts) < 5 {
		t.Errorf("parts left: %v", parts)
	}
}

func TestDiskIsFull(t *testing.T) {
	d := NewDisk(1000)
	f, err := d.Create("a", 600)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Create("b", 500); !errors.Is(err, vfs.ErrNoSpace) {
		t.Errorf("more than there is: %v", err)
	}
	d.Take(1000) // a neighbour takes the rest
	if err := f.WriteAt(0, make([]byte, 600)); err != nil {
		t.Errorf("what was allocated: %v", err)
	}
	if err := f.WriteAt(600, []byte("x")); !errors.Is(err, vfs.ErrNoSpace) {
		t.Errorf("what was not: %v", err)
	}
	if err := d.Remove("a"); err != nil {
		t.Fatal(err)
	}
	if free, total, err := d.Space("."); err != nil || free != 600 || total != 1000 {
		t.Errorf("%d bytes free of %d, %v, want 600 of 1000", free, total, err)
	}
}

func TestCallsFail(t *testing.T) {
	d := NewDisk(0)
	f, err := d.Create("a", 10)
	if err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	d.Before(func(c Call) error {
		if c.Op == "write" || c.Op == "map" || c.Op == "space" {
			return broken
		}
		return nil
	})
	if err := f.WriteAt(0, []byte("x")); !errors.Is(err, broken) {
		t.Errorf("write: %v", err)
	}
	if _, _, err := f.Map(1); !errors.Is(err, broken) {
		t.Errorf("map: %v", err)
	}
	if _, _, err := d.Space("."); !errors.Is(err, broken) {
		t.Errorf("space: %v", err)
	}
	d.Before(nil)
	if got := text(d, "a"); got != "" {
		t.Errorf("a call that failed has written %q", got)
	}
}

// Who reads bytes that are unmapped does not find what was there.
func TestUnmappedIsGone(t *testing.T) {
	d := NewDisk(0)
	f, err := d.Create("a", 10)
	if err != nil {
		t.Fatal(err)
	}
	data, unmap, err := f.Map(10)
	if err != nil {
		t.Fatal(err)
	}
	if err := unmap(); err != nil || data[0] == 0 {
		t.Errorf("unmapped, with %v, and still there: %v", err, data)
	}
}
