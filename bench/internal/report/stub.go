package report

import (
	"io"

	"github.com/samsa-go/samsa/bench/internal/result"
)

func HTML(w io.Writer, run *result.Run, tables []result.Table) error     { return nil }
func Picture(w io.Writer, run *result.Run, tables []result.Table) error  { return nil }
func Markdown(w io.Writer, run *result.Run, tables []result.Table) error { return nil }
