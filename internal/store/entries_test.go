package store

import (
	"encoding/binary"
	"hash/crc32"
	"testing"
)

// appendEntry appends an entry as Badger writes it.
func appendEntry(dst []byte, key, value string) []byte {
	start := len(dst)
	dst = append(dst, 0, 0)
	dst = binary.AppendUvarint(dst, uint64(len(key)))
	dst = binary.AppendUvarint(dst, uint64(len(value)))
	dst = binary.AppendUvarint(dst, 0)
	dst = append(append(dst, key...), value...)
	return binary.BigEndian.AppendUint32(dst, crc32.Checksum(dst[start:], castagnoli))
}

func TestLosesEntries(t *testing.T) {
	header := make([]byte, logHeaderSize)
	three := header
	for _, value := range []string{"one", "two", "three"} {
		three = appendEntry(three, "key plus version", value)
	}
	changed := func(pos int) []byte {
		c := append([]byte(nil), three...)
		c[pos]++
		return c
	}
	for name, c := range map[string]struct {
		file []byte
		want bool
	}{
		"nothing":       {nil, false},
		"no entries":    {header, false},
		"whole":         {three, false},
		"zeros behind":  {append(three[:len(three):len(three)], make([]byte, 5000)...), false},
		"torn":          {three[:len(three)-3], false},
		"last damaged":  {changed(len(three) - 1), false},
		"first damaged": {changed(logHeaderSize + 10), true},
		"first header":  {changed(logHeaderSize + 2), true},
	} {
		if got := losesEntries(c.file); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func FuzzEntries(f *testing.F) {
	whole := appendEntry(make([]byte, logHeaderSize), "key plus version", "value")
	f.Add(whole)
	f.Add(whole[:len(whole)-1])
	f.Add([]byte{0, 0, 0xe4, 0x00, 0xf0, 0xff, 0xff, 0xff, 0x0f, 0})
	f.Fuzz(func(t *testing.T, file []byte) {
		if end := wholeEntries(file); end > len(file) {
			t.Errorf("entries up to %d in %d bytes", end, len(file))
		}
		if n := wholeEntry(file); n > len(file) {
			t.Errorf("an entry of %d in %d bytes", n, len(file))
		}
		losesEntries(file)
	})
}
