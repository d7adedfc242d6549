package harness

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// spawner starts children.
type spawner struct {
	dir     string        // where their directories are made
	timeout time.Duration // of one child
}

// do lets a child carry out o in an empty directory, which is removed afterwards.
func (s *spawner) do(ctx context.Context, o order) (answer, error) {
	dir, err := os.MkdirTemp(s.dir, "samsa-bench-")
	if err != nil {
		return answer{}, err
	}
	o.Dir = dir
	a, err := s.run(ctx, o)
	return a, errors.Join(err, os.RemoveAll(dir))
}

// run lets a child carry out o in o.Dir. A child that dies is an answer too.
func (s *spawner) run(ctx context.Context, o order) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	cmd, stderr, err := s.command(ctx, o)
	if err != nil {
		return answer{}, err
	}
	out, err := cmd.Output()
	var a answer
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		a.Failed = fmt.Sprintf("it took longer than %s", s.timeout)
	case ctx.Err() != nil:
		return a, ctx.Err()
	case err != nil:
		a.Failed = fmt.Sprintf("the process ended with %v: %s", err, stderr.last())
	default:
		if err := json.Unmarshal(out, &a); err != nil {
			a.Failed = fmt.Sprintf("the process answered %.100q: %v", out, err)
		}
	}
	return a, nil
}

func (s *spawner) command(ctx context.Context, o order) (*exec.Cmd, *tail, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, nil, err
	}
	in, err := json.Marshal(o)
	if err != nil {
		return nil, nil, err
	}
	stderr := &tail{}
	cmd := exec.CommandContext(ctx, self)
	cmd.Env = append(os.Environ(), ChildVariable+"=1")
	cmd.Stdin = bytes.NewReader(in)
	cmd.Stderr = stderr
	return cmd, stderr, nil
}

// acknowledgements is how many batches a child appends before it is killed.
const acknowledgements = 50

// killed lets a child append, kills it, and lets another one look whether all is there that
// was acknowledged.
func (s *spawner) killed(ctx context.Context, o order) (answer, error) {
	dir, err := os.MkdirTemp(s.dir, "samsa-bench-")
	if err != nil {
		return answer{}, err
	}
	o.Dir = dir
	a, err := s.killAndCheck(ctx, o)
	return a, errors.Join(err, os.RemoveAll(dir))
}

func (s *spawner) killAndCheck(ctx context.Context, o order) (a answer, err error) {
	o.Do = appendForever
	if o.Acked, a.Failed, err = s.appendAndKill(ctx, o); err != nil || a.Failed != "" {
		return a, err
	}
	o.Do = checkSurvivors
	a, err = s.run(ctx, o)
	if a.Failed != "" {
		a.Failed = fmt.Sprintf("killed after %d acknowledged records: %s", o.Acked, a.Failed)
	}
	return a, err
}

// appendAndKill returns how many records were acknowledged, or what failed.
func (s *spawner) appendAndKill(ctx context.Context, o order) (acked int, failed string, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	cmd, stderr, err := s.command(ctx, o)
	if err != nil {
		return 0, "", err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return 0, "", err
	}
	if err := cmd.Start(); err != nil {
		return 0, "", err
	}
	lines := bufio.NewScanner(out)
	for range acknowledgements {
		if !lines.Scan() {
			break
		}
		n, err := strconv.Atoi(lines.Text())
		if err != nil {
			failed = lines.Text() // the answer of a child that could not append
			break
		}
		acked = n
	}
	killed := cmd.Process.Kill()
	_, drained := io.Copy(io.Discard, out)
	_ = cmd.Wait() // it was killed
	if acked < acknowledgements && failed == "" {
		failed = fmt.Sprintf("the process acknowledged %d records and ended: %s", acked, stderr.last())
	}
	return acked, failed, errors.Join(killed, drained)
}

// tail keeps the end of what is written to it.
type tail struct{ b []byte }

const tailBytes = 4 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.b = append(t.b, p...)
	if over := len(t.b) - tailBytes; over > 0 {
		t.b = t.b[over:]
	}
	return len(p), nil
}

// last returns the first line of the last panic, or the last line.
func (t *tail) last() string {
	text := strings.TrimSpace(string(t.b))
	if i := strings.LastIndex(text, "panic: "); i >= 0 {
		text, _, _ = strings.Cut(text[i:], "\n")
	}
	return text[strings.LastIndex(text, "\n")+1:]
}
