package main

import (
	"bytes"
	"context"
	"io"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// Every mail is sent or a dead letter, whatever the server does.
func TestQueue(t *testing.T) {
	for name, flaky := range map[string]float64{"reliable": 0, "flaky": 0.4, "down": 1} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var out bytes.Buffer
				if err := run(t.Context(), config{workers: 4, rate: 20, total: 60, flaky: flaky, send: 10 * time.Millisecond}, &out); err != nil {
					t.Fatal(err)
				}
				last := regexp.MustCompile(`sent (\d+), failed attempts (\d+), dead letters (\d+)\n`).FindAllStringSubmatch(out.String(), -1)
				if len(last) == 0 {
					t.Fatalf("nothing was shown:\n%s", out.String())
				}
				figure := func(i int) int {
					n, err := strconv.Atoi(last[len(last)-1][i])
					if err != nil {
						t.Fatal(err)
					}
					return n
				}
				sent, failed, dead := figure(1), figure(2), figure(3)
				if sent+dead != 60 || dead < 3 {
					t.Errorf("of 60 mails %d were sent, %d are dead letters; three have no host", sent, dead)
				}
				if flaky == 0 && (failed > 0 || dead != 3) || flaky == 1 && sent > 0 {
					t.Errorf("sent %d, failed %d, dead %d", sent, failed, dead)
				}
				why := "1 deliveries, no such host"
				if flaky == 1 { // the newest dead letters, which are shown, are those that were tried to the end
					why = "4 deliveries, 421 try again later"
				}
				if !strings.Contains(out.String(), why) {
					t.Errorf("no dead letter tells why, %s:\n%s", why, out.String())
				}
			})
		})
	}
}

// On a terminal the screen is drawn in place; the end of ctx, Ctrl-C, ends everything, and the next start goes on.
func TestAgain(t *testing.T) {
	dir := t.TempDir()
	for range 2 {
		ctx, cancel := context.WithCancel(t.Context())
		var out bytes.Buffer
		err := run(ctx, config{workers: 4, data: dir, rate: 200, terminal: true}, writerFunc(func(p []byte) (int, error) {
			cancel()
			return out.Write(p)
		}))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(out.String(), "\x1b[H\x1b[J") {
			t.Errorf("the screen begins with %q", out.String())
		}
	}
}

func TestConfigIsChecked(t *testing.T) {
	if err := run(t.Context(), config{}, io.Discard); err == nil {
		t.Error("no workers are accepted")
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
