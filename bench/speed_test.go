package main

import (
	"bytes"
	"os"
	"regexp"
	"testing"

	"github.com/samsa-go/samsa/bench/internal/report"
	"github.com/samsa-go/samsa/bench/internal/result"
)

// The tables of docs/speed.md are those that their results make, and so is the picture of the first, there and in the README.
func TestSpeedShowsResults(t *testing.T) {
	page, err := os.ReadFile("../docs/speed.md")
	if err != nil {
		t.Fatal(err)
	}
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	shown := regexp.MustCompile(`(?s)<!-- go run ./bench -from bench/(results/[^ ]+)\.json -markdown -->\n(.*?)<!-- the end of the table -->`).FindAllSubmatch(page, -1)
	if shown == nil {
		t.Fatal("docs/speed.md names no results")
	}
	for i, s := range shown {
		name := string(s[1])
		run, err := result.Read(name + ".json")
		if err != nil {
			t.Fatal(err)
		}
		tables, err := result.Tables(run)
		if err != nil {
			t.Fatal(err)
		}
		var table, picture bytes.Buffer
		if err := report.Markdown(&table, run, tables); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(bytes.TrimSpace(s[2]), bytes.TrimSpace(table.Bytes())) {
			t.Errorf("the table of docs/speed.md is not that of %s.json, which is:\n%s", name, table.Bytes())
		}
		if i > 0 {
			continue
		}
		if err := report.Picture(&picture, run, tables); err != nil {
			t.Fatal(err)
		}
		if committed, err := os.ReadFile(name + ".svg"); err != nil || !bytes.Equal(committed, picture.Bytes()) {
			t.Errorf("%s.svg is not the picture of %s.json (%v)", name, name, err)
		}
		if !bytes.Contains(readme, []byte("(bench/"+name+".svg)")) || !bytes.Contains(page, []byte("(../bench/"+name+".svg)")) {
			t.Errorf("README.md or docs/speed.md does not show %s.svg", name)
		}
	}
}
