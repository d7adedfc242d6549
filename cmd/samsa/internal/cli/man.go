package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// page is a man page that was written.
type page struct {
	File string `json:"file"`
}

// man is the command that writes the man pages.
func (e *env) man() *cobra.Command {
	return &cobra.Command{
		Use:     "man DIRECTORY",
		GroupID: groupSelf,
		Short:   "Write the man pages into a directory",
		Long:    `man writes a man page for each command and each help topic into a directory, which it makes if it must. They say what help says.`,
		Example: `  samsa man ./man1`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := os.MkdirAll(args[0], 0o755); err != nil {
				return err
			}
			pages, err := manPages(cmd.Root())
			if err != nil {
				return err
			}
			var list []page
			for _, p := range pages {
				file := filepath.Join(args[0], p.name)
				if err := os.WriteFile(file, p.text, 0o644); err != nil {
					return err
				}
				list = append(list, page{file})
			}
			return printRows(e, []column[page]{{"FILE", func(p page) string { return p.File }}}, list)
		},
	}
}

// manPage is the text of one page, in roff.
type manPage struct {
	name string
	text []byte
}

// manPages returns the pages of a command and of all below it.
func manPages(cmd *cobra.Command) ([]manPage, error) {
	cmd.DisableAutoGenTag = true
	name := strings.ReplaceAll(cmd.CommandPath(), " ", "-")
	var b bytes.Buffer
	date := time.Unix(0, 0).UTC() // the same text makes the same page
	if err := doc.GenMan(cmd, &doc.GenManHeader{Title: strings.ToUpper(name), Section: "1", Source: "Samsa", Manual: "Samsa", Date: &date}, &b); err != nil {
		return nil, err
	}
	pages := []manPage{{name + ".1", b.Bytes()}}
	for _, sub := range cmd.Commands() {
		if sub.Hidden || sub.Deprecated != "" || sub.Name() == "help" || sub.Name() == "completion" {
			continue
		}
		below, err := manPages(sub)
		if err != nil {
			return nil, err
		}
		pages = append(pages, below...)
	}
	return pages, nil
}
