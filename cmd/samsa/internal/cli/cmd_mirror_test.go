package cli

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/mirror"
)

// Ctrl-C is how a mirror ends that goes on, and a failure of one that is to copy what there is.
func TestMirrorIsInterrupted(t *testing.T) {
	from := t.TempDir()
	b, err := samsa.Open(from, samsa.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for untilNow, want := range map[bool]error{true: context.Canceled, false: nil} {
		err := testEnv(new(bytes.Buffer), nil).runMirror(ctx, from, t.TempDir(), mirrorFlags{opts: mirror.Options{UntilNow: untilNow}})
		if !errors.Is(err, want) {
			t.Errorf("with UntilNow %v: got %v", untilNow, err)
		}
	}
}

// A mirror has metrics, of itself and of the broker that it copies from, from the moment that it says where.
func TestMirrorServesMetrics(t *testing.T) {
	from := t.TempDir()
	b, err := samsa.Open(from, samsa.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Topics().Create(t.Context(), "t", samsa.TopicConfig{}); err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	said, stderr := io.Pipe()
	e := testEnv(new(bytes.Buffer), nil)
	e.Stderr = stderr
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- e.runMirror(ctx, from, t.TempDir(), mirrorFlags{http: "127.0.0.1:0"}) }()
	line, err := bufio.NewReader(said).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		_, _ = io.Copy(io.Discard, said)
	}()
	url := strings.TrimSpace(strings.TrimPrefix(line, "metrics at "))
	for { // until it has begun
		text := get(t, url)
		if strings.Contains(text, "\nsamsa_topics 1\n") && strings.Contains(text, `samsa_mirror_topic_lag_records{mirror="mirror",from=`) {
			break
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	_ = stderr.Close()
	<-read
}

func get(t *testing.T, url string) string {
	t.Helper()
	answer, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("%s: %v", answer.Status, err)
	}
	return string(text)
}
