package conform

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// kept is the cell of a promise that is kept.
const kept = "yes"

// Report is what Run has found out about the promises at a place.
type Report struct {
	place string
	mu    sync.Mutex        // guards cells
	cells map[string]string // by the name of the promise: "yes", or "no: " and why
}

func (r *Report) set(name, cell string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cells[name] = cell
}

// complete reports whether all promises were tried: with go test -run they may not have been.
func (r *Report) complete() bool {
	n := 0
	for _, a := range areas {
		n += len(a.promises)
	}
	return len(r.cells) == n
}

// The lines between which a page has the table: of all promises, or of those that are not kept everywhere.
var tables = regexp.MustCompile(`(?s)(<!-- promises: (all|differences) -->\n)(.*?)(<!-- end of promises -->\n)`)

// Table returns a page of Markdown with the table of promises and places as the reports say: the columns of their places are made
// anew, and those of others stay. So each place, which may need a machine of its own, writes its column, and compares it: a page is
// its own Table then. The table is between two lines of the page:
//
//	<!-- promises: all -->
//	<!-- end of promises -->
//
// With "differences" in the place of "all" it has the rows of promises that are not kept everywhere. It is an error if the page has
// no such lines, or a report is not of all promises.
func Table(page string, reports ...*Report) (string, error) {
	at := tables.FindStringSubmatchIndex(page)
	if at == nil {
		return "", errors.New("the page has no line <!-- promises: all --> with <!-- end of promises --> behind it")
	}
	whole, old := page[at[4]:at[5]] == "all", page[at[6]:at[7]]
	places, cells := parseTable(old)
	for _, r := range reports {
		if !r.complete() {
			return "", fmt.Errorf("%s: %d promises were tried, and not all", r.place, len(r.cells))
		}
		if !slices.Contains(places, r.place) {
			places = append(places, r.place)
		}
		cells[r.place] = r.cells
	}
	var t strings.Builder
	fmt.Fprintf(&t, "\n| promise | | %s |\n|---|---|%s\n", strings.Join(places, " | "), strings.Repeat("---|", len(places)))
	for _, a := range areas {
		for _, p := range a.promises {
			name, row, differs := a.name+"/"+p.name, "", false
			for _, place := range places {
				cell := cmp.Or(cells[place][name], kept)
				row += " " + cell + " |"
				differs = differs || cell != kept
			}
			if whole || differs {
				fmt.Fprintf(&t, "| `%s` | %s |%s\n", name, strings.ReplaceAll(p.says, "|", `\|`), row)
			}
		}
	}
	return page[:at[6]] + t.String() + "\n" + page[at[8]:], nil
}

// CheckPage has t compare the table of the page at path with what the reports say, or with update write it there. It does neither when t
// has failed, or not all promises were tried.
func CheckPage(t *testing.T, path string, update bool, reports ...*Report) {
	t.Helper()
	for _, r := range reports {
		if t.Failed() || !r.complete() {
			return
		}
	}
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want, err := Table(string(page), reports...)
	switch {
	case err != nil:
		t.Fatalf("%s: %v", path, err)
	case want == string(page):
	case !update:
		t.Errorf("%s has another table than these promises make: run this test with -update", path)
	default:
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// parseTable returns the places of a table, and the cells of each by the name of the promise.
func parseTable(table string) (places []string, cells map[string]map[string]string) {
	cells = make(map[string]map[string]string)
	for line := range strings.Lines(table) {
		row := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		for i := range row {
			row[i] = strings.TrimSpace(row[i])
		}
		switch {
		case len(row) < 3 || strings.HasPrefix(row[0], "---"):
		case places == nil:
			places = row[2:]
			for _, p := range places {
				cells[p] = make(map[string]string)
			}
		default:
			for i, cell := range row[2:] {
				if i < len(places) {
					cells[places[i]][strings.Trim(row[0], "`")] = cell
				}
			}
		}
	}
	return places, cells
}
