package store

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/cespare/xxhash/v2"
)

// A stream is a snapshot of a store outside of it: all keys, in order, with their values.
// Integers are big endian.
//
//	magic "samsasnp" | version u32 = 2
//	blocks:     length u32 > 0 | xxhash64 of what follows | entries
//	            entry: key length u16 | value length u32 | key | value
//	the end:    length u32 = 0 | xxhash64 of what follows | entries in all u64
//
// A block has at least one entry and, unless that alone is larger, at most 256 KiB.
//
// In version 1 the value of a batch key is its batch behind 1 u8 | xxhash64 of the batch u64.
const (
	streamMagic   = "samsasnp"
	streamVersion = 2
	streamBlock   = 256 << 10
	entryHead     = 2 + 4
)

// WriteStream writes all of s to w, and returns when w has it. It keeps one block in memory.
// While it writes it holds nothing of s, whose store can be closed then: the next block is
// ErrClosed.
func WriteStream(ctx context.Context, w io.Writer, s Snapshot) error {
	return WriteStreamOf(ctx, w, s, func([]byte) bool { return true })
}

// WriteStreamOf is WriteStream of the keys that are to be kept.
func WriteStreamOf(ctx context.Context, w io.Writer, s Snapshot, keep func(key []byte) bool) error {
	sw := streamWriter{w: bufio.NewWriterSize(w, streamBlock)}
	head := binary.BigEndian.AppendUint32([]byte(streamMagic), streamVersion)
	if _, err := sw.w.Write(head); err != nil {
		return err
	}
	for next := []byte{}; next != nil; {
		if err := ctx.Err(); err != nil {
			return err
		}
		from := next
		next = nil
		err := s.Scan(Range{From: from}, func(e Entry) (bool, error) {
			if !keep(e.Key) {
				return true, nil
			}
			if !sw.fits(e) {
				next = bytes.Clone(e.Key)
				return false, nil
			}
			return true, sw.add(e)
		})
		if err != nil {
			return err
		}
		if err := sw.flush(); err != nil {
			return err
		}
	}
	return sw.end()
}

type streamWriter struct {
	w       *bufio.Writer
	block   []byte
	entries uint64
}

// fits reports whether e may go into the block.
func (s *streamWriter) fits(e Entry) bool {
	return len(s.block) == 0 || len(s.block)+entryHead+len(e.Key)+e.Size <= streamBlock
}

func (s *streamWriter) add(e Entry) error {
	at := len(s.block)
	s.block = binary.BigEndian.AppendUint16(s.block, uint16(len(e.Key)))
	s.block = binary.BigEndian.AppendUint32(s.block, 0)
	s.block = append(s.block, e.Key...)
	value := len(s.block)
	var err error
	if s.block, err = e.AppendValue(s.block); err != nil {
		return fmt.Errorf("key %q: %w", e.Key, err)
	}
	binary.BigEndian.PutUint32(s.block[at+2:], uint32(len(s.block)-value))
	s.entries++
	return nil
}

// flush writes the block, if there is one.
func (s *streamWriter) flush() error {
	if len(s.block) == 0 {
		return nil
	}
	head := binary.BigEndian.AppendUint32(nil, uint32(len(s.block)))
	head = binary.BigEndian.AppendUint64(head, xxhash.Sum64(s.block))
	_, err := s.w.Write(head)
	if err == nil {
		_, err = s.w.Write(s.block)
	}
	s.block = s.block[:0]
	return err
}

func (s *streamWriter) end() error {
	count := binary.BigEndian.AppendUint64(nil, s.entries)
	end := binary.BigEndian.AppendUint64(make([]byte, 4), xxhash.Sum64(count))
	if _, err := s.w.Write(append(end, count...)); err != nil {
		return err
	}
	return s.w.Flush()
}

// ReadStream commits to st, which is empty and belongs to the caller, what WriteStream has
// written. When it fails st may hold a part. What is wrong with the bytes is ErrBadStream, or
// ErrNewerFormat. Nothing is read behind the end, where something else may follow. One block
// is in memory at a time.
func ReadStream(ctx context.Context, r io.Reader, st Store) error {
	s := streamReader{r: r}
	return s.run(ctx, func(block []byte) error { return s.restore(block, st) })
}

// CheckStream reads what WriteStream has written, with the errors of ReadStream, and calls fn for each entry, whose bytes are valid until it
// returns.
func CheckStream(ctx context.Context, r io.Reader, fn func(key, value []byte) error) error {
	s := streamReader{r: r}
	return s.run(ctx, func(block []byte) error { return s.each(block, fn) })
}

type streamReader struct {
	r       io.Reader
	block   bytes.Buffer
	last    []byte // key
	entries uint64
	version uint32
}

// run calls fn for each block.
func (s *streamReader) run(ctx context.Context, fn func(block []byte) error) error {
	if err := s.head(); err != nil {
		return err
	}
	for {
		block, err := s.next()
		if err != nil || block == nil {
			return err
		}
		if err := Join(ctx.Err(), fn(block)); err != nil {
			return err
		}
	}
}

// head reads what comes before the first block.
func (s *streamReader) head() error {
	var head [len(streamMagic) + 4]byte
	if err := s.fill(head[:]); err != nil {
		return err
	}
	if string(head[:len(streamMagic)]) != streamMagic {
		return fmt.Errorf("%w: it begins with %q", ErrBadStream, head[:len(streamMagic)])
	}
	switch s.version = binary.BigEndian.Uint32(head[len(streamMagic):]); {
	case s.version > streamVersion:
		return fmt.Errorf("%w: snapshot of version %d, this library knows %d", ErrNewerFormat, s.version, streamVersion)
	case s.version == 0:
		return fmt.Errorf("%w: version 0", ErrBadStream)
	}
	return nil
}

func (s *streamReader) fill(b []byte) error {
	_, err := io.ReadFull(s.r, b)
	return cutShort(err)
}

func cutShort(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: it ends too early", ErrBadStream)
	}
	return err
}

// next returns the next block, verified, or nil at the end.
func (s *streamReader) next() ([]byte, error) {
	var head [4 + 8]byte
	if err := s.fill(head[:]); err != nil {
		return nil, err
	}
	n := int64(binary.BigEndian.Uint32(head[:]))
	end := n == 0
	if end {
		n = 8
	}
	if limit := int64(max(streamBlock, entryHead+maxKeySize+storeLimits().Bytes)); n > limit {
		return nil, fmt.Errorf("%w: a block of %d bytes, at most %d", ErrBadStream, n, limit)
	}
	s.block.Reset()
	if _, err := io.CopyN(&s.block, s.r, n); err != nil { // grows with what really comes
		return nil, cutShort(err)
	}
	block := s.block.Bytes()
	if xxhash.Sum64(block) != binary.BigEndian.Uint64(head[4:]) {
		return nil, fmt.Errorf("%w: checksum mismatch after %d entries", ErrBadStream, s.entries)
	}
	if !end {
		return block, nil
	}
	if n := binary.BigEndian.Uint64(block); n != s.entries {
		return nil, fmt.Errorf("%w: %d entries came, there were %d", ErrBadStream, s.entries, n)
	}
	return nil, nil
}

// restore commits the entries of a block, together as far as one commit may hold them.
func (s *streamReader) restore(block []byte, st Store) error {
	var b Batch
	limits := st.Limits()
	err := s.each(block, func(key, value []byte) error {
		if b.Len() > 0 && (b.Len() == limits.Entries || b.Bytes()+len(key)+len(value) > limits.Bytes) {
			if err := commitNow(st, &b); err != nil {
				return err
			}
			b.Reset()
		}
		b.Set(key, value)
		return nil
	})
	if err != nil {
		return err
	}
	return commitNow(st, &b)
}

// each calls fn for the entries of a block, checked. Their bytes are the block's.
func (s *streamReader) each(block []byte, fn func(key, value []byte) error) error {
	for len(block) > 0 {
		key, value, rest, err := cutEntry(block)
		if err != nil {
			return err
		}
		if s.entries > 0 && bytes.Compare(key, s.last) <= 0 {
			return fmt.Errorf("%w: key %q comes after %q", ErrBadStream, key, s.last)
		}
		if key[0] == prefixStore {
			return fmt.Errorf("%w: key %q", ErrBadStream, key)
		}
		if s.version == 1 && key[0] == prefixBatch {
			if value, err = unwrap(value); err != nil {
				return fmt.Errorf("%w: key %q: %w", ErrBadStream, key, err)
			}
		}
		s.last = append(s.last[:0], key...)
		s.entries++
		if err := fn(key, value); err != nil {
			return err
		}
		block = rest
	}
	return nil
}

// unwrap returns the batch in a value of a stream of version 1.
func unwrap(value []byte) ([]byte, error) {
	const head = 1 + 8
	if len(value) <= head || value[0] != 1 || xxhash.Sum64(value[head:]) != binary.BigEndian.Uint64(value[1:]) {
		return nil, errWrapped
	}
	return value[head:], nil
}

var errWrapped = errors.New("it is not what wraps a batch in version 1")

func commitNow(st Store, b *Batch) error {
	if err := st.Room(b.Bytes(), false); err != nil {
		return err
	}
	return st.Commit(b)
}

// cutEntry returns the first entry of a block, and what is behind it.
func cutEntry(block []byte) (key, value, rest []byte, err error) {
	if len(block) < entryHead {
		return nil, nil, nil, fmt.Errorf("%w: an entry of %d bytes", ErrBadStream, len(block))
	}
	k, v := int64(binary.BigEndian.Uint16(block)), int64(binary.BigEndian.Uint32(block[2:]))
	body := block[entryHead:]
	if k == 0 || k > maxKeySize || v == 0 || k+v > int64(len(body)) {
		return nil, nil, nil, fmt.Errorf("%w: a key of %d bytes and a value of %d in a block with %d left", ErrBadStream, k, v, len(body))
	}
	return body[:k], body[k : k+v], body[k+v:], nil
}
