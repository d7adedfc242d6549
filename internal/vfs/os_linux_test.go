package vfs

import (
	"bytes"
	"os"
	"testing"
)

// What the file system does not map is read.
func TestMapIsRefused(t *testing.T) {
	const name = "/proc/sys/kernel/random/boot_id"
	want, err := os.ReadFile(name)
	if err != nil {
		t.Skip(err)
	}
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	data, unmap, err := mapFile(f, len(want))
	if err != nil || !bytes.Equal(data, want) {
		t.Fatalf("got %q, %v, want %q", data, err, want)
	}
	if err := unmap(); err != nil {
		t.Fatal(err)
	}
}
