// Outbox is a shop that tells another service of each order by HTTP. An order and the message about it are stored in one
// transaction: neither is there without the other. A queue sends the message until the service has taken it.
//
//	go run ./examples/outbox
//	curl -X PUT -d 'three books' localhost:8080/orders/7
//
// Without -to it tells itself, and prints what it is told.
// The service may get a message twice, when the answer to the first one is lost: the header Idempotency-Key tells it so.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/samsa-go/samsa"
)

const (
	outbox = "outbox"
	dead   = "outbox-dead" // what the service has refused
	group  = "sender"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	data := flag.String("data", filepath.Join(os.TempDir(), "samsa-outbox"), "directory of the orders")
	listen := flag.String("listen", "localhost:8080", "where the shop listens")
	to := flag.String("to", "", "`URL` of whom it tells of orders; itself, if there is none, and it prints them")
	flag.Parse()
	if err := run(ctx, *data, *listen, *to, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "outbox:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, dir, listen, to string, out io.Writer) (err error) {
	b, err := samsa.Open(dir, samsa.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	for _, topic := range []string{outbox, dead} {
		if _, err := b.Topics().Ensure(ctx, topic, samsa.TopicConfig{Retention: samsa.Unlimited}); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	shop := shop(b)
	if to == "" {
		to = "http://" + l.Addr().String() + "/told"
		shop.HandleFunc("POST /told", told(out))
	}
	fmt.Fprintf(out, "curl -X PUT -d 'three books' http://%s/orders/7\n", l.Addr())
	server := &http.Server{Handler: shop, ReadHeaderTimeout: 10 * time.Second}
	stopped := make(chan error, 1)
	go func() {
		err := server.Serve(l)
		cancel(err)
		stopped <- err
	}()
	client := &http.Client{}
	err = send(ctx, b, client, to)
	client.CloseIdleConnections() // Shutdown waits for those that were not used
	if ctx.Err() != nil {
		err = nil
	}
	if e := server.Shutdown(context.WithoutCancel(ctx)); e != nil {
		err = errors.Join(err, e)
	}
	if e := <-stopped; !errors.Is(e, http.ErrServerClosed) {
		err = errors.Join(err, e)
	}
	return err
}

// shop takes orders. The same order may come again, for the client knows of no answer that was lost.
func shop(b *samsa.Broker) *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("PUT /orders/{id}", func(w http.ResponseWriter, r *http.Request) {
		order, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 64<<10))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		status, err := take(r.Context(), b, r.PathValue("id"), order)
		switch {
		case errors.Is(err, samsa.ErrInvalid):
			http.Error(w, err.Error(), http.StatusBadRequest) // an id that is too long
		case err != nil:
			http.Error(w, err.Error(), http.StatusServiceUnavailable) // send it again
		default:
			w.WriteHeader(status)
		}
	})
	return mux
}

// told is the other service, where there is none.
func told(out io.Writer) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		order, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 64<<10))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		fmt.Fprintf(out, "told of order %s: %s\n", r.Header.Get("Idempotency-Key"), order)
	}
}

// take stores an order and the message about it, unless it is there.
func take(ctx context.Context, b *samsa.Broker, id string, order []byte) (status int, err error) {
	key := []byte("order/" + id)
	err = b.Update(ctx, func(tx *samsa.Tx) error {
		old, err := tx.Get(key)
		switch {
		case err == nil && bytes.Equal(old, order):
			status = http.StatusOK
			return nil
		case err == nil:
			status = http.StatusConflict
			return nil
		case !errors.Is(err, samsa.ErrKeyNotFound):
			return err
		}
		status = http.StatusCreated
		if err := tx.Set(key, order); err != nil {
			return err
		}
		return tx.Produce(samsa.Record{Topic: outbox, Key: []byte(id), Value: order})
	})
	return status, err
}

// send sends what is in the outbox until ctx ends. A message that fails is sent again later, with growing pauses. What the service
// refuses is a dead letter.
func send(ctx context.Context, b *samsa.Broker, client *http.Client, to string) error {
	q, err := b.NewQueue(ctx, samsa.QueueOptions{Group: group, Topics: []string{outbox}, DeadLetter: dead, MaxDeliveries: samsa.Unlimited})
	if err != nil {
		return err
	}
	defer q.Close()
	return q.Work(ctx, 8, func(ctx context.Context, d samsa.Delivery) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(d.Record.Value))
		if err != nil {
			return err
		}
		req.Header.Set("Idempotency-Key", url.PathEscape(string(d.Record.Key))) // a header cannot have all that an id can
		resp, err := client.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		switch status := resp.StatusCode; {
		case status < 300:
			return nil
		case status >= 400 && status < 500 && status != http.StatusRequestTimeout && status != http.StatusTooManyRequests:
			return d.Reject(resp.Status)
		}
		return errors.New(resp.Status)
	})
}
