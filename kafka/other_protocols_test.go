package kafka

import (
	"bytes"
	"crypto/tls"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa"
)

// Who asks a broker with HTTP gets a line that says what it is, whatever it asks and sends.
func TestHTTP(t *testing.T) {
	k := start(t, samsa.Options{}, Options{})
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	for _, method := range []string{"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH"} {
		var body io.Reader
		if method == "POST" {
			body = bytes.NewReader(make([]byte, 50_000))
		}
		req, err := http.NewRequestWithContext(t.Context(), method, "http://"+k.srv.Addr().String()+"/metrics", body)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := transport.RoundTrip(req)
		if err != nil {
			t.Errorf("%s: %v", method, err)
			continue
		}
		text, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		says := strings.Contains(string(text), "Kafka broker") && strings.Count(string(text), "\n") == 1
		if err != nil || resp.StatusCode != http.StatusBadRequest || says == (method == "HEAD") {
			t.Errorf("%s: status %d, %q, error %v", method, resp.StatusCode, text, err)
		}
	}
	if !k.logged(errHTTP) {
		t.Error("the log does not say so")
	}
}

// In the middle of Kafka's protocol there is no HTTP: no answer gets between those of requests.
func TestHTTPBehindRequests(t *testing.T) {
	k := start(t, samsa.Options{}, Options{})
	k.create("web_log", samsa.TopicConfig{})
	c := k.dial()
	req := fetchRequest("web_log", 0)
	c.send(12, req)
	c.write([]byte("GET / HTTP/1.1\r\n\r\n"))
	if sent, _ := io.ReadAll(c); bytes.Contains(sent, []byte("HTTP")) {
		t.Errorf("got %q", sent)
	}
}

// A client with TLS is cut off at once, and the log says why.
func TestTLS(t *testing.T) {
	k := start(t, samsa.Options{}, Options{})
	_, err := tls.Dial("tcp", k.srv.Addr().String(), &tls.Config{ServerName: "localhost"})
	if err == nil || !k.logged(errTLS) {
		t.Errorf("error %v, logged: %v", err, k.logged(errTLS))
	}
	ask[*kmsg.MetadataResponse](k.dial(), 1, kmsg.NewPtrMetadataRequest())
}

// A length that no request has ends the connection when it is there, and so does one that its
// kind of request has not.
func TestWrongLengthEndsAtOnce(t *testing.T) {
	k := start(t, samsa.Options{}, Options{MaxFrameBytes: 8 << 20})
	for _, sent := range [][]byte{
		{0, 0, 0, 0}, {0, 0, 0, 7}, {0xff, 0xff, 0xff, 0xff}, {0x7f, 0xff, 0xff, 0xff},
		{0, 0x80, 0, 1},       // a byte more than any may have
		{0, 0x20, 0, 1, 0, 3}, // a byte more than one without records may have
	} {
		c := k.dial()
		c.write(sent)
		c.ended()
		if len(k.logs.TakeAll()) == 0 {
			t.Errorf("%x: nothing is logged", sent)
		}
	}
}
