package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/samsa-go/samsa"
)

const (
	look       = 200 * time.Millisecond // how often a file is looked at: it tells nobody that it grew
	batch      = 1000                   // lines of a transaction
	batchBytes = 8 << 20                // of them, and what the last line has beyond: a transaction takes 32 MiB
)

// place is how far a file was read. It is stored, as JSON, with the lines.
type place struct {
	First []byte // line of the file, which tells it from the others that have its name; JSON has no strings of any bytes
	At    int64  // the byte behind the last line
}

// follower reads a file, and the ones that get its name.
type follower struct {
	b    *samsa.Broker
	name string
	file *os.File // nil while there is none
	rest []byte   // behind the last line, without an end so far
	at   place
}

// follow brings the lines of the file of a name into the topic until ctx ends.
func follow(ctx context.Context, b *samsa.Broker, name string) error {
	f := &follower{b: b, name: name}
	defer func() { f.close() }()
	if err := f.resume(ctx); err != nil {
		return err
	}
	for {
		err := f.step(ctx)
		if err != nil {
			return err
		}
		select {
		case <-time.After(look):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (f *follower) close() {
	if f.file != nil {
		f.file.Close()
		f.file = nil
	}
}

// key is where the place is stored.
func (f *follower) key() []byte { return []byte("place/" + f.name) }

// resume opens the file that was read last, under its name or the one that it has since, where it was left.
func (f *follower) resume(ctx context.Context) error {
	var last place
	err := f.b.View(ctx, func(tx *samsa.ReadTx) error {
		text, err := tx.Get(f.key())
		if errors.Is(err, samsa.ErrKeyNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		return json.Unmarshal(text, &last)
	})
	if err != nil || last.At == 0 {
		return err
	}
	for _, name := range []string{f.name, f.name + ".1"} {
		file, err := os.Open(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		first, err := bufio.NewReader(file).ReadBytes('\n')
		if err != nil && !errors.Is(err, io.EOF) || !bytes.Equal(first, last.First) {
			file.Close()
			continue
		}
		f.file, f.at = file, last
		_, err = file.Seek(last.At, io.SeekStart)
		return err
	}
	return nil // it is gone: the one that has the name is new
}

// step reads what there is. When the name is another file's by then, the writer may go on with the old one for a while: the other one's turn
// comes when there was nothing more at a look.
func (f *follower) step(ctx context.Context) error {
	for {
		if f.file == nil {
			file, err := os.Open(f.name)
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err != nil {
				return err
			}
			f.file, f.at, f.rest = file, place{}, nil
		}
		rotated, err := f.rotated() // before it is read: what comes behind the end is then of a writer that has not heard of it
		if err != nil {
			return err
		}
		grown, err := f.read(ctx)
		if err != nil || grown || !rotated {
			return err
		}
		if len(f.rest) > 0 { // the last line has no end
			if err := f.store(ctx, [][]byte{f.rest}); err != nil {
				return err
			}
		}
		f.close()
	}
}

// rotated reports whether the name is another file's.
func (f *follower) rotated() (bool, error) {
	mine, err := f.file.Stat()
	if err != nil {
		return false, err
	}
	if mine.Size() < f.at.At {
		return false, fmt.Errorf("%s has %d bytes, of which %d were read: it was cut off", f.file.Name(), mine.Size(), f.at.At)
	}
	named, err := os.Stat(f.name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil // its successor is not there yet
	}
	return err == nil && !os.SameFile(mine, named), err
}

// read stores the lines that there are, and reports whether there was anything.
func (f *follower) read(ctx context.Context) (grown bool, err error) {
	in := bufio.NewReader(f.file)
	var lines [][]byte
	size := 0 // of lines
	for {
		part, err := in.ReadBytes('\n')
		ended := errors.Is(err, io.EOF)
		if err != nil && !ended {
			return grown, err
		}
		grown = grown || len(part) > 0
		f.rest = append(f.rest, part...)
		if !ended {
			lines = append(lines, f.rest)
			size += len(f.rest)
			f.rest = nil
		}
		if len(lines) == batch || size >= batchBytes || ended && len(lines) > 0 {
			if err := f.store(ctx, lines); err != nil {
				return grown, err
			}
			lines, size = nil, 0
		}
		if ended {
			return grown, nil
		}
	}
}

// store stores lines with the place behind them.
func (f *follower) store(ctx context.Context, lines [][]byte) error {
	to := f.at
	records := make([]samsa.Record, 0, len(lines))
	for _, line := range lines {
		if to.At == 0 {
			to.First = line
		}
		to.At += int64(len(line))
		records = append(records, samsa.Record{Topic: topic, Key: []byte(f.name), Value: bytes.TrimRight(line, "\r\n")})
	}
	text, err := json.Marshal(to)
	if err != nil {
		return err
	}
	err = f.b.Update(ctx, func(tx *samsa.Tx) error {
		if err := tx.Set(f.key(), text); err != nil {
			return err
		}
		return tx.Produce(records...)
	})
	if err == nil {
		f.at = to
	}
	return err
}
