package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/cmd/samsa/internal/backend"
	"github.com/samsa-go/samsa/internal/api"
)

// written is a file that was written.
type written struct {
	File  string `json:"file"`
	Bytes int64  `json:"bytes"`
}

func (e *env) snapshot() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "snapshot FILE",
		GroupID: groupData,
		Short:   "Write all that a broker has into a file",
		Long: `snapshot writes one moment of a broker, its topics, groups, keys and records, into a file, while the broker goes on; - is stdout. The file is there
when it is whole, and one of that name is not written over. samsa restore makes a directory of it. It is for a broker of Samsa, -d or --api.`,
		Example: `  samsa -d ./data snapshot monday.samsa
  samsa -d ./data snapshot - | gzip > monday.samsa.gz`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return e.samsa(cmd.Context(), false, "a snapshot", func(ctx context.Context, s backend.Samsa) error {
				total := int64(0)
				if stats, err := s.Stats(ctx); err == nil {
					total = stats.DiskBytes
				}
				p := e.progress("snapshot", total, true)
				defer p.end()
				if args[0] == "-" {
					return s.Snapshot(ctx, api.SnapshotRequest{}, beside(e.Stdout, p))
				}
				n, err := writeNew(args[0], func(w io.Writer) error { return s.Snapshot(ctx, api.SnapshotRequest{}, beside(w, p)) })
				if err != nil {
					return err
				}
				p.end()
				return e.say(written{args[0], n}, "wrote %s, %s", args[0], size(n))
			})
		},
	}
	return cmd
}

// beside returns a writer to w that p counts.
func beside(w io.Writer, p *progress) io.Writer {
	if p == nil {
		return w
	}
	return io.MultiWriter(w, p)
}

// writeNew makes a file that is not there yet, of what f writes, and returns its size. It is there when it is whole and synced.
func writeNew(name string, f func(io.Writer) error) (n int64, err error) {
	if _, err := os.Lstat(name); err == nil {
		return 0, fmt.Errorf("%s: %w", name, os.ErrExist)
	}
	part, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".part*")
	if err != nil {
		return 0, err
	}
	defer func() {
		if err != nil {
			_, _ = part.Close(), os.Remove(part.Name())
		}
	}()
	if err := f(part); err != nil {
		return 0, err
	}
	if err := part.Sync(); err != nil {
		return 0, err
	}
	info, err := part.Stat()
	if err != nil {
		return 0, err
	}
	if err := part.Close(); err != nil {
		return 0, err
	}
	return info.Size(), nameNew(part.Name(), name)
}

// nameNew gives a file its name, unless there is one of that name by now, and makes the name durable.
func nameNew(part, name string) error {
	err := os.Link(part, name) // unlike Rename it writes nothing over
	switch {
	case err == nil:
		err = os.Remove(part)
	case !errors.Is(err, fs.ErrExist): // a file system without links
		err = os.Rename(part, name)
	}
	if err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(name))
	if err != nil {
		return err
	}
	_ = dir.Sync() // not every system can
	return dir.Close()
}

// restored is what was made of a snapshot.
type restored struct {
	Dir    string `json:"dir"`
	Topics int    `json:"topics"`
	Bytes  int64  `json:"bytes"` // of the snapshot
}

func (e *env) restore() *cobra.Command {
	return &cobra.Command{
		Use:     "restore FILE DIRECTORY",
		GroupID: groupData,
		Short:   "Make a directory of data of a snapshot",
		Long: `restore makes a directory of what samsa snapshot has written; - is stdin. The directory must be missing or empty. Every byte is checked: a snapshot
that is damaged or not whole is told, with exit code 7, and leaves no directory.`,
		Example: `  samsa restore backup.samsa ./again
  gunzip < backup.samsa.gz | samsa restore - ./again`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			in := e.Stdin
			if args[0] != "-" {
				f, err := openFile(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				defer func() { _ = f.Close() }()
				in = f
			}
			p := e.progress("restore", sizeOf(in), true)
			defer p.end()
			counted := &counter{r: newInput(cmd.Context(), in), p: p}
			b, err := samsa.Restore(cmd.Context(), args[1], counted, samsa.Options{})
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, b.Close()) }()
			stats, err := b.Stats(cmd.Context())
			if err != nil {
				return err
			}
			p.end()
			return e.say(restored{args[1], stats.Topics, counted.n}, "restored %s into %s", plural(int64(stats.Topics), "topic"), args[1])
		},
	}
}

// counter counts what is read.
type counter struct {
	r io.Reader
	p *progress
	n int64
}

func (c *counter) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n += int64(n)
	c.p.add(int64(n))
	return n, err
}
