package vfstest

import "maps"

const pageSize = 4096

// content is the bytes of a file, in pages; one that is missing is all zero. A page is never
// changed once it is there, so that copies can share it.
type content struct {
	size  int64
	pages map[int64][]byte
}

func (c *content) clone() content { return content{c.size, maps.Clone(c.pages)} }

func (c *content) read(p []byte, off int64) {
	for len(p) > 0 {
		at := off % pageSize
		n := min(len(p), int(pageSize-at))
		if page := c.pages[off/pageSize]; page != nil {
			copy(p[:n], page[at:])
		} else {
			clear(p[:n])
		}
		p, off = p[n:], off+int64(n)
	}
}

// write writes within the size; what is beyond it is dropped.
func (c *content) write(p []byte, off int64) {
	p = p[:max(0, min(int64(len(p)), c.size-off))]
	if c.pages == nil {
		c.pages = make(map[int64][]byte)
	}
	for len(p) > 0 {
		at := off % pageSize
		n := min(len(p), int(pageSize-at))
		page := make([]byte, pageSize)
		copy(page, c.pages[off/pageSize])
		copy(page[at:], p[:n])
		c.pages[off/pageSize] = page
		p, off = p[n:], off+int64(n)
	}
}
