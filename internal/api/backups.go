package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/backup"
)

// Headers of a stream that say which commits are in it: a backup.Mark.
const (
	commitHeader = "Samsa-Commit"
	timeHeader   = "Samsa-Time" // RFC 3339, with fractions
)

// Hold is how far a backup is.
type Hold struct {
	Copied uint64 `json:"copied"` // the backup has all commits up to this one
}

func (c *call) backups() backup.Source { return backup.Of(c.b, backup.SourceOptions{}) }

func holdBackup(c *call) (any, error) {
	var h Hold
	if err := c.decode(&h); err != nil {
		return nil, err
	}
	return nil, c.backups().Hold(c.limited, c.r.PathValue("id"), h.Copied)
}

func releaseBackup(c *call) (any, error) {
	if err := c.none(); err != nil {
		return nil, err
	}
	return nil, c.backups().Release(c.limited, c.r.PathValue("id"))
}

// baseOfBackup streams a snapshot from which a backup begins.
func baseOfBackup(c *call) (any, error) {
	if err := c.none(); err != nil {
		return nil, err
	}
	return stream(func(w http.ResponseWriter) error {
		mark, base, err := c.backups().Base(c.ctx, c.r.PathValue("id"))
		if err != nil {
			return err
		}
		defer end(base)
		setMark(w.Header(), mark)
		_, err = io.Copy(&patient{w: w, ctl: http.NewResponseController(w)}, base)
		return c.endStream(w, err)
	}), nil
}

// framesOfBackup answers with frames behind a commit, as the store has them.
func framesOfBackup(c *call) (any, error) {
	after, err := strconv.ParseUint(c.query.text("after"), 10, 64)
	if err != nil {
		c.query.refuse("after: %w", err)
	}
	if err := c.none(); err != nil {
		return nil, err
	}
	frames, until, err := c.backups().Frames(c.limited, after)
	if err != nil {
		return nil, err
	}
	return stream(func(w http.ResponseWriter) error {
		setMark(w.Header(), until)
		w.Header().Set("Content-Length", strconv.Itoa(len(frames)))
		write(w, frames)
		return nil
	}), nil
}

// setMark writes a mark.
func setMark(h http.Header, m backup.Mark) {
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Cache-Control", "no-store")
	h.Set(commitHeader, strconv.FormatUint(m.Commit, 10))
	h.Set(timeHeader, m.Time.UTC().Format(time.RFC3339Nano))
}

// markOf reads a mark.
func markOf(h http.Header) (m backup.Mark, err error) {
	if m.Commit, err = strconv.ParseUint(h.Get(commitHeader), 10, 64); err == nil {
		m.Time, err = time.Parse(time.RFC3339Nano, h.Get(timeHeader))
	}
	if err != nil {
		err = fmt.Errorf("%w: the answer is not of Samsa's API: %w", samsa.ErrInvalid, err)
	}
	return m, err
}

// Backups returns what backups of the broker are made of: see backup.Run.
func (c *Client) Backups() backup.Source { return remoteSource{c} }

type remoteSource struct{ c *Client }

func backupPath(id, what string) string { return "backups/" + segment(id) + what }

// Hold implements backup.Source.
func (s remoteSource) Hold(ctx context.Context, id string, copied uint64) error {
	return s.c.post(ctx, backupPath(id, "/hold"), Hold{copied}, nil)
}

// Release implements backup.Source.
func (s remoteSource) Release(ctx context.Context, id string) error {
	return s.c.call(ctx, request{http.MethodDelete, backupPath(id, ""), nil, nil}, nil)
}

// Base implements backup.Source.
func (s remoteSource) Base(ctx context.Context, id string) (backup.Mark, io.ReadCloser, error) {
	asked := request{http.MethodPost, backupPath(id, "/base"), nil, nil}
	resp, err := s.c.send(ctx, asked)
	if err != nil {
		return backup.Mark{}, nil, err
	}
	m, err := markOf(resp.Header)
	if err != nil {
		end(resp.Body)
		return m, nil, err
	}
	return m, &whole{resp, func(err error) error { return connectionError(ctx, asked, err) }}, nil
}

// Frames implements backup.Source.
func (s remoteSource) Frames(ctx context.Context, after uint64) ([]byte, backup.Mark, error) {
	asked := request{http.MethodGet, "backup-frames", url.Values{"after": {strconv.FormatUint(after, 10)}}, nil}
	resp, err := s.c.send(ctx, asked)
	if err != nil {
		return nil, backup.Mark{}, err
	}
	defer end(resp.Body)
	m, err := markOf(resp.Header)
	if err != nil {
		return nil, m, err
	}
	frames, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, m, connectionError(ctx, asked, err)
	}
	return frames, m, nil
}

// whole is a stream whose end is one only if its trailer says so.
type whole struct {
	resp   *http.Response
	failed func(error) error
}

func (b *whole) Read(p []byte) (int, error) {
	n, err := b.resp.Body.Read(p)
	if err == nil {
		return n, nil
	}
	if text := b.resp.Trailer.Get(errorTrailer); text != "" {
		return n, trailerError(text)
	}
	if !errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = b.failed(err)
	}
	return n, err
}

func (b *whole) Close() error { return b.resp.Body.Close() }
