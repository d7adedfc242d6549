package cli

import (
	"context"
	"runtime"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/gdamore/tcell/v2"

	"github.com/samsa-go/samsa/cmd/samsa/internal/escape"
	"github.com/samsa-go/samsa/internal/api"
)

// hostile are names that others give to what is shown.
var hostile = []string{
	"\x1b[31mred\x1b]0;title\a", "\u009b2J", "\u202eback", "a\r\nb\tc", strings.Repeat("漢字", 30), "e\u0301e\u0301e\u0301", "👩‍👩‍👧‍👦 family", "\xff\xfe", strings.Repeat("x", 300), "\u200b", "",
}

// Whatever names there are, on a screen of any size, nothing controls the terminal, and columns stay where they are.
func TestTopOnHostileScreens(t *testing.T) {
	l := &look{At: api.At(time.Now()), Error: &api.Error{Message: "\x1b[2J no\nanswer"}}
	for _, name := range hostile {
		l.Groups = append(l.Groups, topGroup{name, name, 7, 424242})
		l.Topics = append(l.Topics, topRow{Topic: name, Records: 424242})
		l.Slow = append(l.Slow, topPlace{name, name, 3, 424242})
	}
	for _, size := range [][2]int{{0, 0}, {0, 9}, {9, 0}, {1, 1}, {2, 400}, {3000, 2}, {130, 120}, {1500, 1000}} {
		screen := tcell.NewSimulationScreen("UTF-8")
		if err := screen.Init(); err != nil {
			t.Fatal(err)
		}
		screen.SetSize(size[0], size[1])
		draw(screen, l, address{dir: "\x1b[31mdata"})
		cells, width, _ := screen.GetContents()
		places := map[int]bool{}
		for i, c := range cells {
			for _, r := range c.Runes {
				if unicode.IsControl(r) || escape.Turns(r) {
					t.Fatalf("%v: %q is on the screen", size, r)
				}
			}
			if size[0] == 130 && i+5 < len(cells) && strings.HasPrefix(runesOf(cells[i:i+6]), "424242") {
				places[i%width] = true
			}
		}
		if size[0] == 130 && len(places) != 3 { // a column in each table
			t.Errorf("the numbers are at %v", places)
		}
		screen.Fini()
	}
}

func runesOf(cells []tcell.SimCell) string {
	var b strings.Builder
	for _, c := range cells {
		b.WriteString(string(c.Runes))
	}
	return b.String()
}

// readyScreen tells when it can be used.
type readyScreen struct {
	tcell.SimulationScreen
	ready chan struct{}
}

func (s readyScreen) Init() error {
	defer close(s.ready)
	return s.SimulationScreen.Init()
}

func (s readyScreen) post(e tcell.Event) {
	for s.PostEvent(e) != nil { // the queue is full
		runtime.Gosched()
	}
}

// A screen whose size changes all the time is drawn, and a key ends it still.
func TestTopInAResizeStorm(t *testing.T) {
	c := watched(t)
	screen := readyScreen{tcell.NewSimulationScreen("UTF-8"), make(chan struct{})}
	ended := make(chan error, 1)
	go func() { ended <- topScreen(context.Background(), c, screen, time.Millisecond, 0, address{}) }()
	<-screen.ready
	for i := range 500 {
		screen.SetSize(i*7%200, i*13%60)
		screen.post(tcell.NewEventResize(i*7%200, i*13%60))
	}
	screen.post(tcell.NewEventKey(tcell.KeyRune, 'q', tcell.ModNone)) // InjectKey drops it where the queue is full
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// A table stands in columns, whatever is in it.
func TestTablesOfHostileNames(t *testing.T) {
	var out strings.Builder
	e := &env{}
	e.Stdout = &out
	err := printRows(e, []column[string]{{"NAME", func(s string) string { return s }}, {"N", func(string) string { return "|" }}}, hostile)
	if err != nil {
		t.Fatal(err)
	}
	if strings.ContainsFunc(out.String(), func(r rune) bool { return unicode.IsControl(r) && r != '\n' || escape.Turns(r) }) {
		t.Errorf("%q", out.String())
	}
	if n := strings.Count(out.String(), "\n"); n != len(hostile)+1 {
		t.Errorf("%d lines", n)
	}
}
