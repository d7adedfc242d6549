package store

import (
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"

	"github.com/samsa-go/samsa/internal/vfs"
)

// spares are the tables that are allocated for checkpoints on a full disk. A table that was written into one
// takes all of its space, however small it is. The next checkpoint on a full disk joins it with what is newer,
// and it stands ready again. So there are always enough of them, as long as there is one more than these tables
// and the tree need.
type spares struct {
	ready []uint64         // numbers
	lent  map[uint64]int64 // bytes that were written into the others, by number
	need  int64            // bytes that are to stand ready
}

// leastSpares is how many spares there are at least, also while the store is closed.
const leastSpares = 2

func (p *space) sparePath(number uint64) string { return path.Join(indexName, spareFileName(number)) }

// A spare has a name of its own, which no manifest knows: so nobody mistakes it for a table.
func spareFileName(number uint64) string { return fmt.Sprintf("%010d.spare", number) }

func parseSpareFileName(name string) (uint64, bool) {
	digits, ok := strings.CutSuffix(name, ".spare")
	n, err := strconv.ParseUint(digits, 10, 64)
	return n, ok && err == nil && spareFileName(n) == name
}

// foundSpare takes a spare that was there before the store was opened, unless it has another size.
func (p *space) foundSpare(number uint64, size int64) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.table = max(p.table, number+1)
	if size != p.tableSize {
		return p.s.fs.Remove(p.sparePath(number))
	}
	p.tables.ready = append(p.tables.ready, number)
	return nil
}

// foundTable notes a table whose file is larger than it: it was a spare.
func (p *space) foundTable(t tableInfo, size int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if size > t.size && size == p.tableSize {
		p.tables.lent[t.number] = t.size
	}
}

// expect sets how much is to stand ready: what a tree of so many bytes takes, with what was written into spares.
func (p *space) expect(tree int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := &p.tables
	t.need = max(leastSpares*p.tableSize, tree+p.tableSize/4)
	for _, used := range t.lent {
		t.need += used
	}
}

// cover makes sure that enough spares stand ready.
func (p *space) cover() error {
	for {
		p.mu.Lock()
		missing, number := p.surplus() < 0, p.table
		if missing {
			p.table++
		}
		p.mu.Unlock()
		if !missing {
			return nil
		}
		f, err := p.s.fs.Create(p.sparePath(number), p.tableSize)
		if err == nil {
			err = f.Close()
		}
		if err != nil {
			return full(err)
		}
		p.mu.Lock()
		p.tables.ready = append(p.tables.ready, number)
		p.mu.Unlock()
	}
}

// trim removes spares that are not needed.
func (p *space) trim() error {
	for {
		p.mu.Lock()
		if p.surplus() < p.tableSize {
			p.mu.Unlock()
			return nil
		}
		t := &p.tables
		number := t.ready[len(t.ready)-1]
		t.ready = t.ready[:len(t.ready)-1]
		p.mu.Unlock()
		if err := p.s.fs.Remove(p.sparePath(number)); err != nil {
			return err
		}
	}
}

// surplus returns how many bytes stand ready that are not needed; it is negative when some are missing. p.mu is held.
func (p *space) surplus() int64 { return int64(len(p.tables.ready))*p.tableSize - p.tables.need }

// takeTable returns a file for a table of that size: a new one or, with spares, one that stands
// ready.
func (p *space) takeTable(size int64, spares bool) (uint64, vfs.File, error) {
	p.mu.Lock()
	number := p.table
	p.table++
	p.mu.Unlock()
	f, err := p.s.fs.Create(p.s.tablePath(number), size)
	if !errors.Is(err, vfs.ErrNoSpace) || !spares {
		return number, f, err
	}
	p.mu.Lock()
	t := &p.tables
	if len(t.ready) == 0 || size > p.tableSize {
		p.mu.Unlock()
		return 0, nil, err
	}
	number, t.ready = t.ready[0], t.ready[1:]
	t.lent[number] = size
	p.mu.Unlock()
	if err := p.s.fs.Rename(p.sparePath(number), p.s.tablePath(number)); err != nil {
		return 0, nil, err
	}
	f, err = p.s.fs.Open(p.s.tablePath(number))
	return number, f, err
}

// removeTable removes a table that no manifest names and nobody reads. If it was a spare, and is
// needed as such, it becomes one again.
func (p *space) removeTable(number uint64) error {
	p.mu.Lock()
	t := &p.tables
	_, lent := t.lent[number]
	delete(t.lent, number)
	keep := lent && p.surplus() < 0 && !p.closed
	p.mu.Unlock()
	if !keep {
		return p.s.fs.Remove(p.s.tablePath(number))
	}
	if err := p.s.fs.Rename(p.s.tablePath(number), p.sparePath(number)); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	t.ready = append(t.ready, number)
	return nil
}

// joins reports whether the spares that stand ready have room for a tree of so many bytes, and for all that was written
// into spares before.
func (p *space) joins(tree int64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	room := p.left(tree)
	for _, used := range p.tables.lent {
		room -= used
	}
	return room >= 0
}

// left returns how many bytes surely find room in the spares that stand ready, beside a tree. p.mu is held.
func (p *space) left(tree int64) int64 { return int64(len(p.tables.ready))*(p.tableSize/4*3) - tree }

// joinable returns how many of the runs, which are the newest first, a checkpoint writes once more with a tree of
// so many bytes, to have spares back. The ready ones have room for all of it.
func (p *space) joinable(runs []*run, tree int64) (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	room := p.left(tree)
	for i, r := range runs {
		for _, t := range r.tables {
			room -= t.info.size
			if _, lent := p.tables.lent[t.info.number]; lent && room >= 0 {
				n = i + 1
			}
		}
		if room < 0 {
			break
		}
	}
	return n
}
