package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/samsa-go/samsa"
)

// Each record of a file says in this header which file it is from and at which byte its
// line ends, so that the next start knows where to go on.
const positionHeader = "position"

// feed produces the lines of in, keyed by their first word, until in ends or ctx does.
// A file is followed: at its end feed waits for more.
func feed(ctx context.Context, b *samsa.Broker, file string, in io.Reader) error {
	p, err := b.NewProducer(ctx, samsa.ProducerOptions{})
	if err != nil {
		return err
	}
	defer p.Close()
	failed := make(chan error, 1)
	promise := func(_ samsa.Record, err error) {
		if err != nil {
			select {
			case failed <- err:
			default:
			}
		}
	}
	lines := lines(ctx, in, file != "")
	for {
		select {
		case <-ctx.Done():
			return p.Flush(context.Background())
		case err := <-failed:
			return err
		case l, ok := <-lines:
			if !ok {
				return p.Flush(context.Background())
			}
			if l.err != nil {
				return l.err
			}
			rec := samsa.Record{Topic: topic, Value: l.text}
			if word, _, _ := bytes.Cut(l.text, []byte(" ")); len(word) > 0 {
				rec.Key = word
			}
			if file != "" {
				rec.Headers = []samsa.Header{{Key: positionHeader, Value: fmt.Append(nil, l.end, " ", file)}}
			}
			p.Produce(ctx, rec, promise)
		}
	}
}

// line is a line without its end, or the error that ended reading.
type line struct {
	text []byte
	end  int64 // of the line in the file, behind its newline
	err  error
}

// lines reads in, in a goroutine of its own: a read of a terminal or a pipe does not end
// with ctx, and may outlive the program's last moments.
func lines(ctx context.Context, in io.Reader, follow bool) <-chan line {
	out := make(chan line, 1000)
	var at int64
	if f, ok := in.(io.Seeker); ok && follow {
		at, _ = f.Seek(0, io.SeekCurrent)
	}
	go func() {
		defer close(out)
		r := bufio.NewReader(in)
		var text []byte
		for {
			part, err := r.ReadBytes('\n')
			at += int64(len(part))
			text = append(text, part...)
			complete := err == nil || errors.Is(err, io.EOF) && !follow && len(text) > 0
			if complete {
				select {
				case out <- line{text: bytes.TrimRight(text, "\r\n"), end: at}:
				case <-ctx.Done():
					return
				}
				text = nil
			}
			switch {
			case errors.Is(err, io.EOF) && follow:
				select {
				case <-time.After(200 * time.Millisecond): // a file tells nobody that it grew
				case <-ctx.Done():
					return
				}
			case errors.Is(err, io.EOF):
				return
			case err != nil:
				out <- line{err: err}
				return
			}
		}
	}()
	return out
}

// openAt opens the file behind the last line of it that is stored already.
func openAt(ctx context.Context, b *samsa.Broker, file string) (*os.File, error) {
	var at int64
	ends, err := b.ListOffsets(ctx, topic, samsa.Latest())
	if err != nil {
		return nil, err
	}
	for _, end := range ends {
		if end.Offset == 0 {
			continue
		}
		pos, err := lastPosition(ctx, b, end, file)
		if err != nil {
			return nil, err
		}
		at = max(at, pos)
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	if info, err := f.Stat(); err == nil && info.Size() < at {
		at = 0 // the file was rotated: another one has its name now
	}
	_, err = f.Seek(at, io.SeekStart)
	return f, err
}

// lastPosition returns the position of the last record of a partition that is from file.
func lastPosition(ctx context.Context, b *samsa.Broker, end samsa.PartitionOffset, file string) (int64, error) {
	c, err := b.NewConsumer(ctx, samsa.ConsumerOptions{Partitions: map[string][]int32{topic: {end.Partition}}})
	if err != nil {
		return 0, err
	}
	defer c.Close()
	var last int64
	for rec, err := range c.Records(ctx) {
		if err != nil {
			return 0, err
		}
		for _, h := range rec.Headers {
			pos, name, _ := bytes.Cut(h.Value, []byte(" "))
			if n, err := strconv.ParseInt(string(pos), 10, 64); err == nil && h.Key == positionHeader && string(name) == file {
				last = max(last, n)
			}
		}
		if rec.Offset == end.Offset-1 {
			break
		}
	}
	return last, nil
}
