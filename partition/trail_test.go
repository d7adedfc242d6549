package partition

import (
	"fmt"
	"testing"

	"github.com/samsa-go/samsa/log"
)

// staged stages a batch of a key, from an offset on.
func staged(t *testing.T, p *Partition, offset int64, key string, value []byte, codec log.Codec) {
	t.Helper()
	var build log.Builder
	build.Append(0, []byte(key), value, nil)
	b, err := build.Seal(nil, codec)
	if err != nil {
		t.Fatal(err)
	}
	b.SetBaseOffset(offset)
	p.Staged(b)
}

// length returns how many links there are from l on, and the end of the last.
func length(l *Link) (n int, end int64) {
	for ; l != nil; l = l.Next() {
		n, end = n+1, l.End
	}
	return n, end
}

// Who does not follow a trail for long holds on to little of it, and to what may be any key.
func TestTrailIsBounded(t *testing.T) {
	var p Partition
	defer p.Trail()()
	at := p.Last()
	const batches = 100_000
	most := 0
	for i := range batches {
		staged(t, &p, int64(i), fmt.Sprint(i), nil, log.CodecNone)
		at = p.Bounded(at)
		if i%10_000 == 0 {
			n, _ := length(at)
			most = max(most, n)
		}
	}
	n, end := length(at)
	if most = max(most, n); most > maxTrail/linkSize+3 {
		t.Errorf("%d links", most)
	}
	if next := at.Next(); !next.All || next.End >= end {
		t.Errorf("the first link behind: all %v, to %d", next.All, next.End)
	}
	if end != batches {
		t.Errorf("the last link ends at %d", end)
	}
}

// The keys of a batch that takes long to decompress are not found out.
func TestTrailOfABatchThatBlowsUp(t *testing.T) {
	var p Partition
	defer p.Trail()()
	for i, size := range []int{1 << 10, 16 << 20} {
		staged(t, &p, int64(i), "key", make([]byte, size), log.CodecZstd)
		if all := p.Last().All; all != (size > trailRecords) {
			t.Errorf("a batch of %d bytes: all keys %v", size, all)
		}
	}
}
