package cli

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/gdamore/tcell/v2"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/api"
)

// watched is a broker in memory that top looks at.
func watched(t *testing.T) *api.Client {
	t.Helper()
	b, err := samsa.Open("", samsa.Options{InMemory: true, AutoCreateTopics: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	for range 5 {
		if _, err := b.Produce(t.Context(), samsa.Record{Topic: "web_log", Value: []byte("v")}); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Groups().AlterOffsets(t.Context(), "billing", samsa.To(samsa.AtOffset(2)), samsa.TopicPartition{Topic: "web_log"}); err != nil {
		t.Fatal(err)
	}
	return api.Direct(api.Handler(b, api.Options{}))
}

// text returns what a screen shows.
func text(s tcell.SimulationScreen) string {
	cells, width, _ := s.GetContents()
	var b strings.Builder
	for i, c := range cells {
		if i > 0 && i%width == 0 {
			b.WriteByte('\n')
		}
		b.WriteString(string(c.Runes))
	}
	return b.String()
}

// A look says what a broker has, with rates since the look before; it fits any screen.
func TestTopDraws(t *testing.T) {
	c := watched(t)
	l, err := takeLook(t.Context(), c, &look{At: api.At(time.Now().Add(-time.Hour)), sums: map[string]counters{"web_log": {produced: 1}}})
	if err != nil {
		t.Fatal(err)
	}
	if l.RecordsPerS <= 0 || l.BytesPerS == nil || len(l.Topics) != 1 || l.Topics[0].Records != 5 || len(l.Groups) != 1 || l.Groups[0].Lag != 3 || len(l.Slow) != 1 {
		t.Errorf("got %+v", l)
	}
	l.RecordsPerS, l.Topics[0].RecordsPerS = 12.5, 12.5
	l.Error = &api.Error{Message: "the broker does not answer"}
	for _, size := range [][2]int{{120, 30}, {30, 5}, {1, 1}} {
		screen := tcell.NewSimulationScreen("UTF-8")
		if err := screen.Init(); err != nil {
			t.Fatal(err)
		}
		screen.SetSize(size[0], size[1])
		draw(screen, l, address{dir: "data"})
		if got := text(screen); size[0] == 120 {
			for _, want := range []string{"samsa top  data", "12.5 records/s", "TOPIC", "web_log", "GROUP", "billing", "Empty", "SLOWEST", "the broker does not answer"} {
				if !strings.Contains(got, want) {
					t.Errorf("%q is not on the screen:\n%s", want, got)
				}
			}
		}
		screen.Fini()
	}
}

// q ends it, and the screen is given back.
func TestTopEnds(t *testing.T) {
	c := watched(t)
	for name, end := range map[string]func(tcell.SimulationScreen, context.CancelFunc){
		"q":      func(s tcell.SimulationScreen, _ context.CancelFunc) { s.InjectKey(tcell.KeyRune, 'q', tcell.ModNone) },
		"Ctrl-C": func(s tcell.SimulationScreen, _ context.CancelFunc) { s.InjectKey(tcell.KeyCtrlC, 0, tcell.ModNone) },
		"signal": func(_ tcell.SimulationScreen, cancel context.CancelFunc) { cancel() },
	} {
		t.Run(name, func(t *testing.T) {
			screen := tcell.NewSimulationScreen("UTF-8")
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			done := make(chan error, 1)
			go func() {
				done <- topScreen(ctx, c, begun{screen, func() { end(screen, cancel) }}, time.Hour, 0, address{})
			}()
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
}

// begun is a screen that tells when something is shown.
type begun struct {
	tcell.SimulationScreen
	shown func()
}

// Show shows what was drawn.
func (b begun) Show() {
	b.SimulationScreen.Show()
	b.shown()
}
