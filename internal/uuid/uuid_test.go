package uuid

import "testing"

// As Kafka's randomUuid.
func TestNew(t *testing.T) {
	asked := 0
	id := newFrom(func(b []byte) {
		asked++
		b[0] = 0xf8 + byte(asked) // a dash, for the first three
		b[6], b[8] = 0xff, 0xff
	})
	if asked != 4 || id[0] != 0xfc || id[6] != 0x4f || id[8] != 0xbf {
		t.Errorf("asked %d times, got %x", asked, id)
	}
	all := make(map[[16]byte]bool)
	for range 1000 {
		id := New()
		if text := Text(id); all[id] || len(text) != 22 || text[0] == '-' {
			t.Errorf("got %q", text)
		}
		all[id] = true
	}
}
