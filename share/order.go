package share

// order has the records of one key come one after the other. Keys are numbers: two with the same number are one to it,
// and wait for each other. A nil order lets every record come.
type order struct {
	keys    map[uint64][]int64 // offsets that are not done, the first of which can come
	offsets map[int64]uint64   // their keys
}

func newOrder() *order {
	return &order{keys: make(map[uint64][]int64), offsets: make(map[int64]uint64)}
}

// add enters a record behind the others of its key.
func (o *order) add(e Entry) {
	if o == nil || e.Key == 0 {
		return
	}
	o.keys[e.Key] = append(o.keys[e.Key], e.Offset)
	o.offsets[e.Offset] = e.Key
}

// isFirst reports whether a record can come.
func (o *order) isFirst(offset int64) bool {
	if o == nil {
		return true
	}
	key, ok := o.offsets[offset]
	return !ok || o.keys[key][0] == offset
}

// done takes a record out, and returns the one that can come now, if one can that could not before.
func (o *order) done(offset int64) (follower int64, ok bool) {
	if o == nil {
		return 0, false
	}
	key, known := o.offsets[offset]
	if !known {
		return 0, false
	}
	delete(o.offsets, offset)
	all := o.keys[key]
	if len(all) == 1 {
		delete(o.keys, key)
		return 0, false
	}
	if all[0] == offset {
		o.keys[key] = all[1:]
		return all[1], true
	}
	for n, other := range all {
		if other == offset {
			o.keys[key] = append(all[:n], all[n+1:]...)
			break
		}
	}
	return 0, false
}
