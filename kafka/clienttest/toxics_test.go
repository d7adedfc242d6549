package clienttest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"time"
)

// toxics are proxies in front of the brokers of a cluster, that a suite has do harm by the API of Toxiproxy, as far as it is needed: they are
// disabled, they are slow, and they reset connections.
type toxics struct {
	api     *httptest.Server
	proxies map[string]*toxic
}

// toxic is one of them. While it is disabled nobody listens at its port.
type toxic struct {
	port   int
	target string

	mu      sync.Mutex // guards what follows
	ln      net.Listener
	links   map[*link]struct{}
	latency time.Duration // of what the broker says
	reset   bool          // what the broker says ends the connection
	serving sync.WaitGroup
}

// link is a connection through a proxy, and the one behind it.
type link struct{ client, server *net.TCPConn }

func (l *link) close() { _, _ = l.client.Close(), l.server.Close() }

// poison has each of lns lead to one of targets, as kafka1 and so on, until the end of the test.
func poison(t *testing.T, lns []net.Listener, targets []string) *toxics {
	t.Helper()
	x := &toxics{proxies: make(map[string]*toxic)}
	for i, ln := range lns {
		p := &toxic{port: ln.Addr().(*net.TCPAddr).Port, target: targets[i], links: make(map[*link]struct{})}
		p.listen(ln)
		x.proxies[fmt.Sprintf("kafka%d", i+1)] = p
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /reset", func(w http.ResponseWriter, _ *http.Request) {
		for _, p := range x.proxies {
			p.set(0, false)
			if err := p.enable(true); err != nil {
				t.Errorf("reset: %v", err)
			}
		}
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("GET /proxies/{name}", x.one(func(*toxic, map[string]any) error { return nil }))
	mux.HandleFunc("POST /proxies/{name}", x.one(func(p *toxic, req map[string]any) error { return p.enable(req["enabled"] == true) }))
	mux.HandleFunc("POST /proxies/{name}/toxics", x.one(func(p *toxic, req map[string]any) error {
		switch req["type"] {
		case "reset_peer":
			p.set(0, true)
		case "latency":
			p.set(time.Duration(req["attributes"].(map[string]any)["latency"].(float64))*time.Millisecond, false)
		default:
			return fmt.Errorf("no toxic %v", req["type"])
		}
		return nil
	}))
	x.api = httptest.NewServer(mux)
	t.Cleanup(func() {
		x.api.Close()
		for _, p := range x.proxies {
			_ = p.enable(false)
			p.serving.Wait()
		}
	})
	return x
}

// one handles a request about a proxy.
func (x *toxics) one(do func(p *toxic, req map[string]any) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		name := r.PathValue("name")
		p := x.proxies[name]
		if p == nil {
			http.NotFound(w, r)
			return
		}
		req := make(map[string]any)
		if r.Method == http.MethodPost {
			if err := json.NewDecoder(r.Body).Decode(&req); err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
		}
		if err := do(p, req); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		p.mu.Lock()
		enabled := p.ln != nil
		p.mu.Unlock()
		_ = json.NewEncoder(w).Encode(map[string]any{"name": name, "listen": "127.0.0.1:" + strconv.Itoa(p.port), "upstream": p.target, "enabled": enabled})
	}
}

// enable begins to listen, or ends that and all connections.
func (p *toxic) enable(on bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case on && p.ln == nil:
		ln, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(p.port)))
		if err != nil {
			return err
		}
		p.listen(ln)
	case !on && p.ln != nil:
		_ = p.ln.Close()
		p.ln = nil
		for l := range p.links {
			l.close()
		}
	}
	return nil
}

// set says what is to happen to what brokers say.
func (p *toxic) set(latency time.Duration, reset bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.latency, p.reset = latency, reset
}

// listen serves at ln until that is closed.
func (p *toxic) listen(ln net.Listener) {
	p.ln = ln
	p.serving.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			p.serving.Go(func() { p.serve(ln, conn.(*net.TCPConn)) })
		}
	})
}

// serve passes on what comes either way, until one end has gone.
func (p *toxic) serve(ln net.Listener, client *net.TCPConn) {
	server, err := new(net.Dialer).DialContext(context.Background(), "tcp", p.target)
	if err != nil {
		_ = client.Close()
		return
	}
	l := &link{client: client, server: server.(*net.TCPConn)}
	defer l.close()
	p.mu.Lock()
	if p.ln != ln {
		p.mu.Unlock()
		return // it was disabled meanwhile
	}
	p.links[l] = struct{}{}
	p.mu.Unlock()
	var there sync.WaitGroup
	there.Go(func() {
		_, _ = io.Copy(l.server, l.client) // ends with either
		l.close()
	})
	p.back(l)
	l.close()
	there.Wait()
	p.mu.Lock()
	delete(p.links, l)
	p.mu.Unlock()
}

// back passes on what the broker says.
func (p *toxic) back(l *link) {
	buf := make([]byte, 64<<10)
	for {
		n, err := l.server.Read(buf)
		p.mu.Lock()
		latency, reset := p.latency, p.reset
		p.mu.Unlock()
		if reset {
			_ = l.client.SetLinger(0) // has Close reset the connection
			return
		}
		time.Sleep(latency)
		if _, werr := l.client.Write(buf[:n]); werr != nil || err != nil {
			return
		}
	}
}

// listenInARow listens at n ports of this machine, one behind the other. They are not of those that the system gives to who asks for any, so
// that who closes one of them can have it again.
func listenInARow(t *testing.T, n int) []net.Listener {
	t.Helper()
	for range 100 {
		first := 20000 + rand.IntN(10000)
		var lns []net.Listener
		for i := range n {
			ln, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(first+i)))
			if err != nil {
				break
			}
			lns = append(lns, ln)
		}
		if len(lns) == n {
			return lns
		}
		for _, ln := range lns {
			_ = ln.Close()
		}
	}
	t.Fatalf("no %d ports in a row are free", n)
	return nil
}
