package share

import "testing"

// A gap in the log costs nothing, however wide it is: it is taken in, taken in again, cut and left behind.
func TestWideGap(t *testing.T) {
	const wide = int64(1) << 61
	r := Rules{LockMs: 1000}
	one := func(p *Partition, offset int64) {
		t.Helper()
		got := p.Acquire(0, "m", 0, wide*2, 10, r)
		if len(got) != 1 || got[0].First != offset || got[0].Last != offset {
			t.Fatalf("got %+v, want %d", got, offset)
		}
	}
	begin := func() *Partition {
		p := NewPartition(3)
		p.Take(0, wide+9, false, []Entry{{Offset: 5}, {Offset: wide + 7}}, r)
		if p.Open() != 2 || p.Start() != 5 || p.Next() != wide+10 {
			t.Fatalf("open %d, start %d, next %d", p.Open(), p.Start(), p.Next())
		}
		return p
	}
	t.Run("acknowledged", func(t *testing.T) {
		p := begin()
		if got := p.Acquire(0, "m", 0, wide*2, 10, r); len(got) != 2 || got[1].First != wide+7 {
			t.Fatalf("got %+v", got)
		}
		if at := p.FirstReady(0); at != -1 {
			t.Errorf("%d is ready", at)
		}
		p.Settle(0, []Ack{{First: 5, Last: 5, Types: []AckType{Accept}}}, r)
		if p.Start() != wide+7 || len(p.window.blocks) > 2 {
			t.Errorf("start %d, %d blocks", p.Start(), len(p.window.blocks))
		}
	})
	t.Run("taken in again", func(t *testing.T) {
		p := begin()
		p.Reorder(true)
		p.Take(0, wide+9, false, []Entry{{Offset: 5, Key: 1}, {Offset: wide + 7, Key: 1}}, r)
		one(p, 5)
	})
	t.Run("cut", func(t *testing.T) {
		p := begin()
		p.Cut(wide / 2)
		if p.Start() != wide+7 {
			t.Errorf("start %d", p.Start())
		}
		one(p, wide+7)
	})
	t.Run("another one behind", func(t *testing.T) {
		p := begin()
		p.Take(0, wide+wide/2, false, []Entry{{Offset: wide + wide/4}}, r)
		if p.Open() != 3 || len(p.window.blocks) > 8 {
			t.Errorf("open %d, %d blocks", p.Open(), len(p.window.blocks))
		}
	})
	t.Run("after a restart", func(t *testing.T) {
		far := wide + 7
		p, err := Restore(encodeStart(5), map[int64][]byte{far / chunkOffsets: allDone.encode()}, wide*2)
		if err != nil {
			t.Fatal(err)
		}
		p.Take(0, far+chunkOffsets, false, []Entry{{Offset: 5}, {Offset: far + chunkOffsets}}, r)
		if p.Open() != 2 || len(p.window.blocks) > 4 {
			t.Errorf("open %d, %d blocks", p.Open(), len(p.window.blocks))
		}
		if got := p.Acquire(0, "m", 0, wide*2, 10, r); len(got) != 2 || got[1].First != far+chunkOffsets {
			t.Errorf("got %+v", got)
		}
	})
}
