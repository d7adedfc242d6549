package samsa_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/samsa-go/samsa"
)

func ExampleBroker_NewTable() {
	b := memory()
	defer b.Close()
	ctx := context.Background()
	must(b.Topics().Create(ctx, "accounts", samsa.TopicConfig{CleanupPolicy: samsa.CleanupCompact}))
	set := func(key, value string) samsa.Record {
		return samsa.Record{Topic: "accounts", Key: []byte(key), Value: []byte(value)}
	}
	_, err := b.Produce(ctx, set("alice", "10"), set("bob", "20"))
	must(err)
	t, err := b.NewTable(ctx, samsa.TableOptions{Topic: "accounts"})
	must(err)
	defer t.Close()

	written, err := b.Produce(ctx, set("alice", "15"), set("carol", "30"))
	must(err)
	must(t.WaitFor(ctx, written...)) // a program reads what it has written
	alice, err := t.Get([]byte("alice"))
	must(err)
	fmt.Printf("%s has %s, since offset %d\n", alice.Key, alice.Value, alice.Offset)
	for rec, err := range t.Range(samsa.TableRange{From: []byte("b")}) {
		must(err)
		fmt.Printf("%s has %s\n", rec.Key, rec.Value)
	}
	// Output:
	// alice has 15, since offset 2
	// bob has 20
	// carol has 30
}

func ExampleTable_Watch() {
	b := memory()
	defer b.Close()
	ctx := context.Background()
	must(b.Topics().Create(ctx, "flags", samsa.TopicConfig{CleanupPolicy: samsa.CleanupCompact}))
	_, err := b.Produce(ctx, samsa.Record{Topic: "flags", Key: []byte("dark-mode"), Value: []byte("on")})
	must(err)
	t, err := b.NewTable(ctx, samsa.TableOptions{Topic: "flags"})
	must(err)
	defer t.Close()
	for change, err := range t.Watch(ctx) {
		must(err)
		switch rec := change.Record; {
		case change.Mark:
			fmt.Println("that is all for now")
			_, err := b.Produce(ctx, samsa.Record{Topic: "flags", Key: []byte("dark-mode")}) // a tombstone
			must(err)
		case rec.Value == nil:
			fmt.Printf("%s has gone\n", rec.Key)
			return
		default:
			fmt.Printf("%s is %s\n", rec.Key, rec.Value)
		}
	}
	// Output:
	// dark-mode is on
	// that is all for now
	// dark-mode has gone
}

func ExampleTx_Table() {
	b := memory()
	defer b.Close()
	ctx := context.Background()
	must(b.Topics().Create(ctx, "accounts", samsa.TopicConfig{CleanupPolicy: samsa.CleanupCompact}))
	t, err := b.NewTable(ctx, samsa.TableOptions{Topic: "accounts"})
	must(err)
	defer t.Close()
	deposit := func(tx *samsa.Tx) error {
		accounts, err := tx.Table(t)
		if err != nil {
			return err
		}
		balance, seen := 0, samsa.NoRow
		switch row, err := accounts.Get([]byte("alice")); {
		case err == nil:
			seen = row.Offset
			if balance, err = strconv.Atoi(string(row.Value)); err != nil {
				return err
			}
		case !errors.Is(err, samsa.ErrKeyNotFound):
			return err
		}
		return tx.Put(t, []byte("alice"), []byte(strconv.Itoa(balance+10)), seen)
	}
	must(b.Update(ctx, deposit))
	must(b.Update(ctx, deposit))
	must(t.WaitFor(ctx))
	row, err := t.Get([]byte("alice"))
	must(err)
	fmt.Printf("alice has %s\n", row.Value)
	// Output: alice has 20
}

func ExampleTx_Put() {
	b := memory()
	defer b.Close()
	ctx := context.Background()
	must(b.Topics().Create(ctx, "accounts", samsa.TopicConfig{CleanupPolicy: samsa.CleanupCompact}))
	t, err := b.NewTable(ctx, samsa.TableOptions{Topic: "accounts"})
	must(err)
	defer t.Close()
	key := []byte("alice")
	open := func(tx *samsa.Tx) error { return tx.Put(t, key, []byte("10"), samsa.NoRow) }
	fmt.Println("opened:", b.Update(ctx, open))
	fmt.Println("opened again:", errors.Is(b.Update(ctx, open), samsa.ErrConflict))

	must(t.WaitFor(ctx))
	row, err := t.Get(key)
	must(err)
	fmt.Printf("seen: %s\n", row.Value)
	change := func(tx *samsa.Tx) error { return tx.Put(t, key, []byte("15"), row.Offset) }
	fmt.Println("changed:", b.Update(ctx, change))
	fmt.Println("changed again:", errors.Is(b.Update(ctx, change), samsa.ErrConflict))
	// Output:
	// opened: <nil>
	// opened again: true
	// seen: 10
	// changed: <nil>
	// changed again: true
}

func ExampleReadTx_Tables() {
	b := memory()
	defer b.Close()
	ctx := context.Background()
	tables := make(map[string]*samsa.Table)
	for _, topic := range []string{"stock", "sales"} {
		must(b.Topics().Create(ctx, topic, samsa.TopicConfig{CleanupPolicy: samsa.CleanupCompact}))
		t, err := b.NewTable(ctx, samsa.TableOptions{Topic: topic})
		must(err)
		defer t.Close()
		tables[topic] = t
	}
	must(b.Update(ctx, func(tx *samsa.Tx) error { // a book is sold
		return tx.Produce(
			samsa.Record{Topic: "stock", Key: []byte("book"), Value: []byte("7")},
			samsa.Record{Topic: "sales", Key: []byte("sale-1"), Value: []byte("book")})
	}))
	must(b.View(ctx, func(tx *samsa.ReadTx) error {
		both, err := tx.Tables(tables["stock"], tables["sales"])
		if err != nil {
			return err
		}
		stock, err := both[0].Get([]byte("book"))
		if err != nil {
			return err
		}
		sold := 0
		for _, err := range both[1].Range(samsa.TableRange{}) {
			if err != nil {
				return err
			}
			sold++
		}
		fmt.Printf("%d sold, %s left\n", sold, stock.Value)
		return nil
	}))
	// Output: 1 sold, 7 left
}
