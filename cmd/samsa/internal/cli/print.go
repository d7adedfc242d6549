package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/rivo/uniseg"

	"github.com/samsa-go/samsa/cmd/samsa/internal/escape"
)

// column is one of a table, for people.
type column[T any] struct {
	name string // numbers stand to the right where it begins with >
	of   func(T) string
}

// printRows prints rows: as a table with a heading, or with --json as a line of JSON each. Of no rows a table has nothing, not even the heading,
// and columns are left out that are empty.
func printRows[T any](e *env, columns []column[T], rows []T) error {
	if e.json {
		for _, r := range rows {
			if err := e.printJSON(r); err != nil {
				return err
			}
		}
		return nil
	}
	if len(rows) == 0 {
		return nil
	}
	cells := make([][]string, len(rows)+1)
	var right []bool
	for _, c := range columns {
		column, empty := make([]string, len(rows)), true
		for i, r := range rows {
			column[i] = cell(c.of(r))
			empty = empty && column[i] == ""
		}
		if empty {
			continue
		}
		name := strings.TrimPrefix(c.name, ">")
		right = append(right, name != c.name)
		for i, cell := range append([]string{name}, column...) {
			cells[i] = append(cells[i], cell)
		}
	}
	return printTable(e.Stdout, cells, right, e.colour())
}

// printList is printRows of all things of a kind, "topics" say. That there are none Stderr says, as kubectl does: no script takes it for one. With
// --json nobody is told, as there are no lines.
func printList[T any](e *env, kind string, columns []column[T], rows []T) error {
	if len(rows) == 0 && !e.json {
		_, err := fmt.Fprintf(e.Stderr, "no %s\n", kind)
		return err
	}
	return printRows(e, columns, rows)
}

// cell returns text as a cell shows it, in which nothing controls a terminal or breaks a line: names of groups, say, are what clients want.
func cell(text string) string {
	return strings.NewReplacer("\n", `\x0a`, "\t", `\x09`).Replace(string(harmless([]byte(text))))
}

// printTable prints lines of cells in columns, the first line as a heading.
func printTable(w io.Writer, cells [][]string, right []bool, colour bool) error {
	widths := make([]int, len(right))
	for _, line := range cells {
		for i, c := range line {
			widths[i] = max(widths[i], uniseg.StringWidth(c))
		}
	}
	var b strings.Builder
	for n, line := range cells {
		var l strings.Builder
		for i, c := range line {
			pad := strings.Repeat(" ", widths[i]-uniseg.StringWidth(c))
			if right[i] {
				c = pad + c
			} else {
				c += pad
			}
			l.WriteString(c + "  ")
		}
		text := strings.TrimRight(l.String(), " ")
		if n == 0 && colour {
			text = "\x1b[1m" + text + "\x1b[0m"
		}
		b.WriteString(text + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// printJSON prints v as a line of JSON.
func (e *env) printJSON(v any) error {
	var line bytes.Buffer
	enc := json.NewEncoder(&line)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return err
	}
	text := line.Bytes()
	if onTerminal(e.Stdout) {
		text = escape.JSON(text)
	}
	_, err := e.Stdout.Write(text)
	return err
}

// say prints a line for people, or with --json v as one of JSON.
func (e *env) say(v any, format string, args ...any) error {
	if e.json {
		return e.printJSON(v)
	}
	_, err := e.Stdout.Write(append(harmless(fmt.Appendf(nil, format, args...)), '\n'))
	return err
}

// colour reports whether Stdout takes colours: a terminal does, unless NO_COLOR is set or it is a dumb one.
func (e *env) colour() bool {
	return onTerminal(e.Stdout) && e.Getenv("NO_COLOR") == "" && e.Getenv("TERM") != "dumb"
}
