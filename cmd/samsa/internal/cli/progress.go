package cli

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
)

// progress shows how far something is that may take long: on a terminal, from a second on, and then five times a second at most. Its methods
// may be called by anybody. A nil progress shows nothing.
type progress struct {
	w     io.Writer
	what  string
	total int64 // 0 when it is not known
	bytes bool  // it counts bytes
	now   func() time.Time
	after time.Duration // of silence until it is shown

	stop func()         // ends what draws it while nothing is counted
	runs sync.WaitGroup // that

	mu    sync.Mutex
	n     int64
	began time.Time
	still time.Time // since then nothing was printed
	shown time.Time // last; zero when nothing is
	width int       // of what is shown
}

const (
	progressAfter = time.Second
	progressEvery = 200 * time.Millisecond
	barWidth      = 24
)

// progress returns a progress of total things, on stderr if that is a terminal, in the place of the one before.
func (e *env) progress(what string, total int64, bytes bool) *progress {
	e.bar.Load().end()
	if !onTerminal(e.Stderr) {
		return nil
	}
	p := newProgress(e.Stderr, what, total, bytes, time.Now)
	if e.barAfter != 0 {
		p.after = e.barAfter
	}
	p.add(0)
	ticks, stop := time.NewTicker(progressEvery), make(chan struct{})
	p.stop = sync.OnceFunc(func() { close(stop) })
	p.runs.Go(func() {
		defer ticks.Stop()
		for {
			select {
			case <-ticks.C:
				p.add(0)
			case <-stop:
				return
			}
		}
	})
	e.bar.Store(p)
	return p
}

func newProgress(w io.Writer, what string, total int64, bytes bool, now func() time.Time) *progress {
	p := &progress{w: w, what: what, total: total, bytes: bytes, now: now, after: progressAfter, began: now()}
	p.still = p.began
	return p
}

// screen is stdout when it is a terminal as stderr is: what is printed there takes the place of the progress.
type screen struct {
	file *os.File
	e    *env
}

// Write implements io.Writer.
func (s screen) Write(b []byte) (int, error) {
	s.e.bar.Load().hide()
	return s.file.Write(b)
}

// add adds n to what is done.
func (p *progress) add(n int64) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.n += n
	if now := p.now(); now.Sub(p.still) >= p.after && now.Sub(p.shown) >= progressEvery {
		p.shown = now
		p.show(p.line(now))
	}
}

// hide takes away what is shown, until there is silence again.
func (p *progress) hide() {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.still = p.now()
	p.clear()
}

// end takes away what is shown. Nothing is shown then.
func (p *progress) end() {
	if p == nil {
		return
	}
	if p.stop != nil {
		p.stop()
		p.runs.Wait()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
}

// clear writes blanks over what is shown. The caller holds mu.
func (p *progress) clear() {
	if !p.shown.IsZero() {
		p.show("")
		fmt.Fprintf(p.w, "\r")
		p.shown, p.width = time.Time{}, 0
	}
}

// show writes text over what is shown.
func (p *progress) show(text string) {
	fmt.Fprintf(p.w, "\r%s%s", text, strings.Repeat(" ", max(0, p.width-len(text))))
	p.width = len(text)
}

// line returns what is to be shown: what, a bar, a number, a rate, and how long it takes yet.
func (p *progress) line(now time.Time) string {
	amount := func(n int64) string {
		if p.bytes {
			return size(n)
		}
		return count(n)
	}
	took := now.Sub(p.began)
	rate := float64(p.n) / max(took.Seconds(), 1e-3)
	if p.n == 0 {
		return fmt.Sprintf("%s  %s", p.what, took.Round(time.Second))
	}
	if p.total <= 0 {
		return fmt.Sprintf("%s  %s  %s/s", p.what, amount(p.n), amount(int64(rate)))
	}
	done := min(1, float64(p.n)/float64(p.total))
	full := int(done * barWidth)
	text := fmt.Sprintf("%s  [%s%s] %3.0f%%  %s of %s  %s/s", p.what, strings.Repeat("#", full), strings.Repeat(".", barWidth-full),
		done*100, amount(p.n), amount(p.total), amount(int64(rate)))
	if rate > 0 && p.n < p.total {
		left := time.Duration(float64(p.total-p.n) / rate * float64(time.Second))
		text += "  " + left.Round(time.Second).String()
	}
	return text
}

// Write counts bytes, so that a progress may be beside an io.Writer.
func (p *progress) Write(b []byte) (int, error) {
	p.add(int64(len(b)))
	return len(b), nil
}
