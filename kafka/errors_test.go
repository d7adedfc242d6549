package kafka

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strings"
	"testing"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/log"
)

// The table of codes has every exported error of package log, once.
func TestEveryErrorHasACode(t *testing.T) {
	born := make(map[string]bool)
	ast.Inspect(parse(t, "../log/errors.go"), func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok {
			for _, name := range spec.Names {
				if strings.HasPrefix(name.Name, "Err") {
					born[name.Name] = true
				}
			}
		}
		return true
	})
	if len(born) < 30 {
		t.Fatalf("found only %d errors", len(born))
	}
	coded := make(map[string]int)
	ast.Inspect(parse(t, "errors.go"), func(n ast.Node) bool {
		if lit, ok := n.(*ast.CompositeLit); ok && len(lit.Elts) == 2 {
			if sel, ok := lit.Elts[0].(*ast.SelectorExpr); ok && sel.X.(*ast.Ident).Name == "log" {
				coded[sel.Sel.Name]++
			}
		}
		return true
	})
	for name := range born {
		if coded[name] != 1 {
			t.Errorf("log.%s is %d times in the table of codes", name, coded[name])
		}
	}
	for name := range coded {
		if !born[name] {
			t.Errorf("log.%s has a code and is not in log/errors.go", name)
		}
	}
}

func parse(t *testing.T, file string) *ast.File {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestCodeOf(t *testing.T) {
	k := start(t, samsa.Options{}, Options{})
	for _, tt := range []struct {
		err  error
		want int16
	}{
		{nil, 0},
		{log.ErrUnknownTopic, 3},
		{fmt.Errorf("orders/1: %w: offset 9", log.ErrOffsetOutOfRange), 1},
		{errors.Join(log.ErrDiskFull, errors.New("of 10 bytes")), 56},
		{fmt.Errorf("wrapped: %w", protocolError{codeUnknownTopicID, "no such id"}), 100},
		{badRecords{{3, errKeyless}}, 87},
		{context.Canceled, 13},
	} {
		if got := k.srv.codeOf(tt.err); got != tt.want {
			t.Errorf("%v: got %d, want %d", tt.err, got, tt.want)
		}
	}
	odd := errors.New("something that nobody has thought of")
	if got := k.srv.codeOf(odd); got != -1 || !k.logged(odd) {
		t.Errorf("got %d, logged: %v", got, k.logged(odd))
	}
}

// Nothing is retriable that is not for Kafka's own clients; of what they try again, some is of no use to a Go
// program.
func TestRetriableAsKafka(t *testing.T) {
	// The codes in the table of which kafka-clients 4.4.0 makes a RetriableException.
	retriable := []int16{
		codeCorruptMessage, codeUnknownTopicOrPartition, codeRequestTimedOut, codeNetworkException, codeConcurrentTransactions,
		codeStorageError, codeOffsetNotAvailable,
	}
	inOneProcess := map[error]string{
		log.ErrClosed:            "what is closed stays closed",
		log.ErrFailed:            "until the broker is opened again",
		log.ErrStorage:           "no other disk has the partition",
		log.ErrCorruptRecord:     "it was not damaged on its way",
		log.ErrUnknownTopic:      "there is no metadata that may be old",
		log.ErrUnknownPartition:  "there is no metadata that may be old",
		log.ErrNotDirectory:      "only Open returns it",
		log.ErrNotExist:          "only Open returns it",
		log.ErrOldFormat:         "only Open returns it",
		log.ErrNewerFormat:       "only Open returns it",
		log.ErrNoOffset:          "until somebody commits",
		log.ErrOutcomeUnknown:    "it does not say why",
		context.DeadlineExceeded: "the context has ended for the next call, too",
		context.Canceled:         "the context has ended for the next call, too",
	}
	for _, c := range codes {
		want := slices.Contains(retriable, c.code) && inOneProcess[c.err] == ""
		if got := log.Retriable(c.err); got != want {
			t.Errorf("%v, code %d: retriable %t, want %t", c.err, c.code, got, want)
		}
	}
}
