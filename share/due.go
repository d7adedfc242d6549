package share

import "slices"

// due is what something is to happen at: the end of a lock or of a delay. What became of the record meanwhile the heap
// does not know.
type due struct{ atMs, offset int64 }

// dues is a heap of them, the soonest first.
type dues []due

func (h dues) less(i, j int) bool { return h[i].atMs < h[j].atMs }

func (h *dues) push(d due) {
	*h = append(*h, d)
	s := *h
	for i := len(s) - 1; i > 0; {
		parent := (i - 1) / 2
		if !s.less(i, parent) {
			return
		}
		s[i], s[parent] = s[parent], s[i]
		i = parent
	}
}

func (h *dues) pop() due {
	s := *h
	top := s[0]
	s[0] = s[len(s)-1]
	*h = s[:len(s)-1]
	h.down(0)
	return top
}

func (h dues) down(i int) {
	for {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(h); child++ {
			if h.less(child, least) {
				least = child
			}
		}
		if least == i {
			return
		}
		h[i], h[least] = h[least], h[i]
		i = least
	}
}

// keep drops those of which fn says no.
func (h *dues) keep(fn func(due) bool) {
	*h = slices.DeleteFunc(*h, func(d due) bool { return !fn(d) })
	if cap(*h) > 4*len(*h)+1024 {
		*h = slices.Clip(slices.Clone(*h))
	}
	for i := len(*h)/2 - 1; i >= 0; i-- {
		h.down(i)
	}
}
