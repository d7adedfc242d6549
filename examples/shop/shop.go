package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/mail"
	"strconv"
	"strings"
	"time"

	"github.com/samsa-go/samsa"
)

// The topics. A row of the table of stock is how many of a product are left.
const (
	orders = "orders"
	stock  = "stock"
	mails  = "mails"
	dead   = "mails.dead"
)

// The application's own keys: an order is there once for its id, and so is what became of its mail.
const (
	stocked = "stocked/" // and a product: how many there were ever
	ordered = "order/"   // and an id: an order
	mailed  = "mail/"    // and an id: "sent" or "refused"
)

var products = []string{"apple", "book", "chair"}

// restocked is how many of a product come at once.
const restocked = 100

var (
	errSoldOut  = errors.New("sold out")
	errBadOrder = errors.New("bad order")
)

// order is the value of a record of the topics orders and mails, and of a key.
type order struct {
	ID      string `json:"id"` // of the customer's choice: an order that is sent again is the same one
	Product string `json:"product"`
	N       int64  `json:"n"`
	To      string `json:"to"` // an address of mail
}

func (o order) validate() error {
	if _, err := mail.ParseAddress(o.To); err != nil {
		return fmt.Errorf("%w: %w", errBadOrder, err)
	}
	if o.ID == "" || len(o.ID) > 100 || o.N < 1 {
		return fmt.Errorf("%w: it needs an id of 1 to 100 bytes, and at least one thing", errBadOrder)
	}
	return nil
}

// shop is a shop on the topics of a broker.
type shop struct {
	b     *samsa.Broker
	stock *samsa.Table
	queue *samsa.Queue
	flaky float64 // how often the mail server fails
}

// openShop opens the shop that a broker has, or makes one.
func openShop(ctx context.Context, b *samsa.Broker, flaky float64) (s *shop, err error) {
	for name, config := range map[string]samsa.TopicConfig{
		orders: {}, mails: {},
		stock: {CleanupPolicy: samsa.CleanupCompact},
		dead:  {DeadLetters: true},
	} {
		if _, err := b.Topics().Ensure(ctx, name, config); err != nil {
			return nil, err
		}
	}
	s = &shop{b: b, flaky: flaky}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if s.stock, err = b.NewTable(ctx, samsa.TableOptions{Topic: stock, Name: stock}); err != nil {
		return s, err
	}
	s.queue, err = b.NewQueue(ctx, samsa.QueueOptions{
		Group: "mailer", Topics: []string{mails}, DeadLetter: dead, MaxDeliveries: samsa.Unlimited,
		Lock: time.Second, Retry: samsa.Retry{Min: 100 * time.Millisecond, Max: 5 * time.Second},
	})
	if err != nil {
		return s, err
	}
	for _, product := range products {
		if _, err := s.stock.Get([]byte(product)); errors.Is(err, samsa.ErrKeyNotFound) {
			err = s.restock(ctx, product)
			if err != nil {
				return s, err
			}
		} else if err != nil {
			return s, err
		}
	}
	return s, nil
}

func (s *shop) close() (err error) {
	if s.queue != nil {
		err = s.queue.Close()
	}
	if s.stock != nil {
		err = errors.Join(err, s.stock.Close())
	}
	return err
}

// order takes from the stock, stores the order and asks for its mail, or does nothing of all that. One that is there is not done again.
func (s *shop) order(ctx context.Context, o order) error {
	if err := o.validate(); err != nil {
		return err
	}
	text, err := json.Marshal(o)
	if err != nil {
		return err
	}
	return s.b.Update(ctx, func(tx *samsa.Tx) error {
		switch was, err := tx.Get([]byte(ordered + o.ID)); {
		case err == nil && !bytes.Equal(was, text):
			return fmt.Errorf("%w: %s is another order", errBadOrder, o.ID)
		case !errors.Is(err, samsa.ErrKeyNotFound):
			return err // nil, for the same
		}
		if err := s.add(tx, o.Product, -o.N); err != nil {
			return err
		}
		return errors.Join(
			tx.Set([]byte(ordered+o.ID), text),
			tx.Produce(
				samsa.Record{Topic: orders, Key: []byte(o.ID), Value: text},
				samsa.Record{Topic: mails, Key: []byte(o.ID), Value: text},
			),
		)
	})
}

// restock adds to the stock of a product.
func (s *shop) restock(ctx context.Context, product string) error {
	return s.b.Update(ctx, func(tx *samsa.Tx) error {
		key := []byte(stocked + product)
		sum, err := tx.Get(key)
		if err != nil && !errors.Is(err, samsa.ErrKeyNotFound) {
			return err
		}
		n, _ := strconv.ParseInt(string(sum), 10, 64) // "" for none
		return errors.Join(s.add(tx, product, restocked), tx.Set(key, strconv.AppendInt(nil, n+restocked, 10)))
	})
}

// add adds n to how many of a product are left. The revision keeps two from taking the last one.
func (s *shop) add(tx *samsa.Tx, product string, n int64) error {
	t, err := tx.Table(s.stock)
	if err != nil {
		return err
	}
	revision, left := samsa.NoRow, int64(0)
	switch row, err := t.Get([]byte(product)); {
	case err == nil:
		revision = row.Offset
		if left, err = strconv.ParseInt(string(row.Value), 10, 64); err != nil {
			return err
		}
	case !errors.Is(err, samsa.ErrKeyNotFound):
		return err
	case n < 0:
		return fmt.Errorf("%w: there is no product %q", errBadOrder, product)
	}
	if left+n < 0 {
		return fmt.Errorf("%w: %d of %s are left", errSoldOut, left, product)
	}
	return tx.Put(s.stock, []byte(product), strconv.AppendInt(nil, left+n, 10), revision)
}

// mail sends the mails until ctx ends or the queue is closed. That a mail was sent and that it is off the queue are stored together.
func (s *shop) mail(ctx context.Context) error {
	return s.queue.Work(ctx, 4, func(ctx context.Context, d samsa.Delivery) error {
		var o order
		if err := json.Unmarshal(d.Record.Value, &o); err != nil {
			return d.Reject(err.Error())
		}
		if rand.Float64() < s.flaky {
			return errors.New("the mail server is busy") // it comes again, later each time
		}
		return s.b.Update(ctx, func(tx *samsa.Tx) error {
			key := []byte(mailed + o.ID)
			if _, err := tx.Get(key); !errors.Is(err, samsa.ErrKeyNotFound) {
				return errors.Join(fmt.Errorf("the mail of order %s is there twice", o.ID), err)
			}
			if strings.HasSuffix(o.To, ".invalid") {
				return errors.Join(tx.Reject(d, "no such host"), tx.Set(key, []byte("refused")))
			}
			return errors.Join(tx.Ack(d), tx.Set(key, []byte("sent")))
		})
	})
}

// books are what there is of one moment.
type books struct {
	Products []account `json:"products"`
	Orders   int       `json:"orders"`
	Mails    int       `json:"mails"` // sent, or refused for ever
	Balanced bool      `json:"balanced"`
}

// account is the account of a product: Stocked is Sold and Left.
type account struct {
	Product string `json:"product"`
	Stocked int64  `json:"stocked"`
	Sold    int64  `json:"sold"`
	Left    int64  `json:"left"`
}

// books adds everything up. It is an Update that changes nothing: what it reads, of keys and of the table, is of one moment.
func (s *shop) books(ctx context.Context) (sum books, err error) {
	err = s.b.Update(ctx, func(tx *samsa.Tx) error {
		sum = books{Balanced: true}
		sold := make(map[string]int64)
		for kv, err := range tx.Scan([]byte(ordered)) {
			var o order
			if err := errors.Join(err, json.Unmarshal(kv.Value, &o)); err != nil {
				return err
			}
			sold[o.Product] += o.N
			sum.Orders++
		}
		for _, err := range tx.Scan([]byte(mailed)) {
			if err != nil {
				return err
			}
			sum.Mails++
		}
		t, err := tx.Table(s.stock)
		if err != nil {
			return err
		}
		for _, product := range products {
			row, err := t.Get([]byte(product))
			if err != nil {
				return err
			}
			stocked, err := tx.Get([]byte(stocked + product))
			if err != nil {
				return err
			}
			a := account{Product: product, Sold: sold[product]}
			a.Left, err = strconv.ParseInt(string(row.Value), 10, 64)
			if err != nil {
				return err
			}
			if a.Stocked, err = strconv.ParseInt(string(stocked), 10, 64); err != nil {
				return err
			}
			sum.Products = append(sum.Products, a)
			sum.Balanced = sum.Balanced && a.Left >= 0 && a.Left+a.Sold == a.Stocked
		}
		return nil
	})
	return sum, err
}

// latest returns the last n orders, the newest first.
func (s *shop) latest(ctx context.Context, n int) (list []order, err error) {
	for r, err := range s.b.Backward(ctx, samsa.TopicPartition{Topic: orders}, samsa.Latest()) {
		if err != nil || len(list) == n {
			return list, err
		}
		var o order
		if err := json.Unmarshal(r.Value, &o); err != nil {
			return list, err
		}
		list = append(list, o)
	}
	return list, nil
}
