package serve

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
)

// running is a server that runs until end is called, or the test ends.
type running struct {
	announcement
	end func() // may be called again; what is below is to be read after it

	out string          // all that it has said
	log strings.Builder // as it goes
}

// begin runs c until the test ends, with the output and the log of the surroundings its own.
func begin(t *testing.T, c *Config, in Surroundings) *running {
	t.Helper()
	r := &running{}
	ctx, cancel := context.WithCancel(t.Context())
	read, write := io.Pipe()
	in.Stdout, in.Stderr, in.JSON = write, &r.log, true
	ended := make(chan error, 1)
	go func() {
		ended <- c.Run(ctx, in)
		_ = write.Close()
	}()
	lines := bufio.NewScanner(read)
	if !lines.Scan() || json.Unmarshal(lines.Bytes(), &r.announcement) != nil {
		cancel()
		_ = read.Close()
		t.Fatalf("got %q, error %v", lines.Text(), <-ended)
	}
	r.out = lines.Text()
	r.end = sync.OnceFunc(func() {
		http.DefaultClient.CloseIdleConnections()
		cancel()
		for lines.Scan() {
			r.out += "\n" + lines.Text()
		}
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(r.end)
	return r
}

// parsed is parse of arguments that are right.
func parsed(t *testing.T, args ...string) *Config {
	t.Helper()
	c, err := parse(args)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
