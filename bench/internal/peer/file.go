package peer

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"sync"
)

func plainFile() *Peer {
	return &Peer{
		Name:  File,
		Title: "plain file",
		About: "Length and bytes of each record, one write(2) a batch, no checksums, no index on disk: the physical limit. Synced: fsync after each batch.",
		Open:  openFiles,
	}
}

// fileLog is a file for each partition.
type fileLog struct {
	synced bool
	files  []*filePartition
	bell   bell
}

// filePartition is a file of records: length u32, value.
type filePartition struct {
	mu    sync.Mutex // held while the file grows
	f     *os.File
	buf   []byte
	size  int64
	count int64
	marks []int64 // where every markEvery-th record begins, from record 0
}

const markEvery = 1024

func openFiles(_ context.Context, dir string, o Options) (Log, error) {
	l := &fileLog{synced: o.Synced}
	for i := range o.Partitions {
		p, err := openFilePartition(filepath.Join(dir, fmt.Sprintf("partition-%d", i)))
		if err != nil {
			return nil, errors.Join(err, l.Close())
		}
		l.files = append(l.files, p)
	}
	return l, nil
}

// openFilePartition opens or creates a file and reads it through to find its records. What
// is left of a record that was being written when the process died is cut off.
func openFilePartition(path string) (*filePartition, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	p := &filePartition{f: f}
	r := &fileReader{p: p, r: bufio.NewReaderSize(f, 1<<20)}
	for {
		at := p.size
		value, err := r.value(math.MaxInt64)
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			break
		}
		if err != nil {
			return nil, errors.Join(err, f.Close())
		}
		p.added(at, len(value))
	}
	if err := f.Truncate(p.size); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return p, nil
}

// added notes a record that begins at that position.
func (p *filePartition) added(at int64, n int) {
	if p.count%markEvery == 0 {
		p.marks = append(p.marks, at)
	}
	p.count++
	p.size = at + 4 + int64(n)
}

func (l *fileLog) Append(_ context.Context, partition int, batch [][]byte) error {
	if err := l.files[partition].append(batch, l.synced); err != nil {
		return err
	}
	l.bell.ring()
	return nil
}

func (p *filePartition) append(batch [][]byte, synced bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.buf = p.buf[:0]
	for _, value := range batch {
		p.buf = binary.BigEndian.AppendUint32(p.buf, uint32(len(value)))
		p.buf = append(p.buf, value...)
	}
	if _, err := p.f.WriteAt(p.buf, p.size); err != nil {
		return err
	}
	if synced {
		if err := p.f.Sync(); err != nil {
			return err
		}
	}
	for _, value := range batch {
		p.added(p.size, len(value))
	}
	return nil
}

func (l *fileLog) Sync(context.Context) error {
	var errs []error
	for _, p := range l.files {
		errs = append(errs, p.f.Sync())
	}
	return errors.Join(errs...)
}

func (l *fileLog) Read(_ context.Context, partition int, from int64) (Reader, error) {
	p := l.files[partition]
	r := &fileReader{p: p, bell: &l.bell}
	p.mu.Lock()
	defer p.mu.Unlock()
	if from > p.count {
		return nil, fmt.Errorf("record %d of %d", from, p.count)
	}
	if mark := from / markEvery; mark < int64(len(p.marks)) {
		r.at, r.skip = p.marks[mark], from%markEvery
	} else {
		r.at = p.size
	}
	r.r = bufio.NewReaderSize(&growing{p.f, r.at}, 1<<20)
	return r, nil
}

func (l *fileLog) Close() error {
	var errs []error
	for _, p := range l.files {
		errs = append(errs, p.f.Close())
	}
	return errors.Join(errs...)
}

type fileReader struct {
	p    *filePartition
	bell *bell
	r    *bufio.Reader
	at   int64 // position in the file
	skip int64 // records to go before the first one wanted
	head [4]byte
	buf  []byte // of a record that is larger than what is read at once
}

func (r *fileReader) Next(ctx context.Context, visit func([]byte)) (int, error) {
	return r.bell.await(ctx, func() (int, error) { return r.take(visit) })
}

// take visits what is there.
func (r *fileReader) take(visit func([]byte)) (n int, err error) {
	r.p.mu.Lock()
	end := r.p.size
	r.p.mu.Unlock()
	for n < readRecords && r.at < end {
		value, err := r.value(end - r.at)
		if err != nil {
			return n, err
		}
		r.at += 4 + int64(len(value))
		if r.skip > 0 {
			r.skip--
			continue
		}
		visit(value)
		n++
	}
	return n, nil
}

// value reads the next record, which must end within limit bytes.
func (r *fileReader) value(limit int64) ([]byte, error) {
	if _, err := io.ReadFull(r.r, r.head[:]); err != nil {
		return nil, err
	}
	n := int(binary.BigEndian.Uint32(r.head[:]))
	if n > maxFileRecord || int64(n)+4 > limit {
		return nil, fmt.Errorf("a record of %d bytes", n)
	}
	if n <= r.r.Size() { // in place
		value, err := r.r.Peek(n)
		if err != nil {
			return nil, err
		}
		_, err = r.r.Discard(n)
		return value, err
	}
	if n > cap(r.buf) {
		r.buf = make([]byte, n)
	}
	r.buf = r.buf[:n]
	_, err := io.ReadFull(r.r, r.buf)
	return r.buf, err
}

const maxFileRecord = 1 << 28

// growing reads a file that others append to: an end that has moved by the next call is none.
type growing struct {
	f  *os.File
	at int64
}

func (g *growing) Read(p []byte) (int, error) {
	n, err := g.f.ReadAt(p, g.at)
	g.at += int64(n)
	if n > 0 {
		return n, nil
	}
	return 0, err
}

func (r *fileReader) Close() error { return nil }
