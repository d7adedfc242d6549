package share

// owners gives members small numbers for as long as they have records. 0 is nobody's.
type owners struct {
	byName map[string]uint32
	all    []owner
	free   []uint32
}

type owner struct {
	name string
	has  int // records
}

// of returns the number of a member, which it gets if it has none. It is lost again with add.
func (o *owners) of(name string) uint32 {
	if n, ok := o.byName[name]; ok {
		return n
	}
	if o.byName == nil {
		o.byName = make(map[string]uint32)
		o.all = make([]owner, 1)
	}
	n := uint32(len(o.all))
	if k := len(o.free); k > 0 {
		n, o.free = o.free[k-1], o.free[:k-1]
		o.all[n] = owner{name: name}
	} else {
		o.all = append(o.all, owner{name: name})
	}
	o.byName[name] = n
	return n
}

// add counts records that a member has got, or lost.
func (o *owners) add(n uint32, records int) {
	w := &o.all[n]
	if w.has += records; w.has == 0 {
		delete(o.byName, w.name)
		*w = owner{}
		o.free = append(o.free, n)
	}
}

func (o *owners) find(name string) (uint32, bool) {
	n, ok := o.byName[name]
	return n, ok
}

func (o *owners) name(n uint32) string {
	if n == 0 {
		return ""
	}
	return o.all[n].name
}
