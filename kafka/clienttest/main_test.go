package clienttest

import (
	"fmt"
	"os"
	"testing"
)

// The test binary is also the programs that tests run as child processes: the one that the
// environment names in childName, told in childAddr where the door is.
const (
	childName = "SAMSA_CLIENTTEST_CHILD"
	childAddr = "SAMSA_CLIENTTEST_ADDR"
)

var children = map[string]func() error{
	"notes producer":     func() error { notesProducer(); return nil },
	"notes consumer":     notesConsumer,
	"old notes producer": func() error { oldNotesProducer(); return nil },
	"old notes consumer": oldNotesConsumer,
	"transformer":        transformer,
	"consumer member":    consumerMember,
	"docker":             docker,
	"java archives":      archives,
}

func TestMain(m *testing.M) {
	if name := os.Getenv(childName); name != "" {
		if err := children[name](); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	code := m.Run()
	forgetPrograms()
	os.Exit(code)
}
