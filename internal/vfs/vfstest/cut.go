package vfstest

import (
	"maps"
	"math/rand/v2"
	"slices"
)

// Clone returns a disk as it is for who starts the program anew after a crash of the process:
// everything is there, and what was not synced may still be lost with the power. Neither disk
// sees what is done to the other.
func (d *Disk) Clone() *Disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	c := d.empty()
	copies := map[*inode]*inode{}
	copyOf := func(f *inode) *inode {
		if f == nil {
			return nil
		}
		if copies[f] == nil {
			copies[f] = &inode{d: c, name: f.name, now: f.now.clone(), durable: f.durable.clone(), writes: slices.Clone(f.writes)}
		}
		return copies[f]
	}
	for name, f := range d.names {
		c.names[name] = copyOf(f)
	}
	for name, f := range d.kept {
		c.kept[name] = copyOf(f)
	}
	for _, m := range d.moves {
		c.moves = append(c.moves, move{m.name, copyOf(m.file), m.from})
	}
	c.used = d.used
	return c
}

func (d *Disk) empty() *Disk {
	c := NewDisk(d.size)
	c.dirs = maps.Clone(d.dirs)
	return c
}

// Cut returns a disk as it may be after the power was lost: what was synced is there, and of the
// rest what chance, and so the seed, has left. Writes may be lost, whole or by sectors, in any
// order, and so may changes of directories. d goes on as it was.
func (d *Disk) Cut(seed uint64) *Disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	r := rand.New(rand.NewPCG(seed, 0))
	c := d.empty()
	names := maps.Clone(d.kept)
	for _, m := range survivors(r, d.moves) {
		m.apply(names)
	}
	luck := r.IntN(4)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		f := names[name]
		left := f.durable.clone()
		for _, w := range f.left(r, luck) {
			left.apply(w)
		}
		cut := &inode{d: c, name: f.name, now: left, durable: left.clone()}
		c.names[name], c.kept[name] = cut, cut
		c.used += left.size
	}
	return c
}

// survivors returns what is left of changes: none, all, the older ones, or any of them.
func survivors[T any](r *rand.Rand, changes []T) []T {
	switch r.IntN(4) {
	case 0:
		return nil
	case 1:
		return changes
	case 2:
		return changes[:r.IntN(len(changes)+1)]
	}
	var left []T
	for _, c := range changes {
		if r.IntN(2) == 0 {
			left = append(left, c)
		}
	}
	return left
}

// sectorSize is what a disk writes whole or not at all.
const sectorSize = 512

// left returns what is left of the writes of a file. Mostly a cut treats all files alike.
func (f *inode) left(r *rand.Rand, luck int) []write {
	if r.IntN(4) == 0 {
		luck = r.IntN(4)
	}
	switch luck {
	case 0:
		return f.writes
	case 1:
		return nil
	}
	left := survivors(r, f.writes)
	if luck == 2 {
		return left
	}
	var torn []write
	for _, w := range left {
		if w.data == nil {
			torn = append(torn, w)
			continue
		}
		for off := w.off; off < w.off+int64(len(w.data)); {
			end := min(w.off+int64(len(w.data)), (off/sectorSize+1)*sectorSize)
			if r.IntN(8) > 0 {
				torn = append(torn, write{off: off, data: w.data[off-w.off : end-w.off]})
			}
			off = end
		}
	}
	return torn
}

func (c *content) apply(w write) {
	if w.data == nil {
		c.size = max(c.size, w.size)
		return
	}
	c.size = max(c.size, w.off+int64(len(w.data)))
	c.write(w.data, w.off)
}
