package mirror

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/samsa-go/samsa"
)

// set sets keys, and deletes those whose value is "-".
func (k *kit) set(b *samsa.Broker, keys map[string]string) {
	k.t.Helper()
	k.ok(b.Update(k.ctx, func(tx *samsa.Tx) error {
		for key, value := range keys {
			var err error
			if value == "-" {
				err = tx.Delete([]byte(key))
			} else {
				err = tx.Set([]byte(key), []byte(value))
			}
			if err != nil {
				return err
			}
		}
		return nil
	}))
}

func (k *kit) keys(b *samsa.Broker) map[string]string {
	k.t.Helper()
	all := map[string]string{}
	k.ok(b.View(k.ctx, func(tx *samsa.ReadTx) error {
		for kv, err := range tx.Scan(nil) {
			if err != nil {
				return err
			}
			all[string(kv.Key)] = string(kv.Value)
		}
		return nil
	}))
	return all
}

// Keys of the application move with it, and back.
func TestCopyKeys(t *testing.T) {
	k := newKit(t)
	many := map[string]string{"empty": ""}
	for i := range 2500 {
		many[fmt.Sprint("n/", i)] = fmt.Sprint(i)
	}
	for i := range 3 {
		many[fmt.Sprint("large/", i)] = string(bytes.Repeat([]byte{byte(i)}, 700<<10))
	}
	k.set(k.from, many)
	there := func(opts KeysOptions) int64 {
		n, err := CopyKeys(k.ctx, k.from, k.to, opts)
		k.ok(err)
		return n
	}
	k.want(there(KeysOptions{}), int64(len(many)))
	k.want(k.keys(k.to), k.keys(k.from))
	k.want(there(KeysOptions{}), int64(0)) // again, and nothing is to be done

	k.set(k.to, map[string]string{"a": "first", "n/7": "changed", "n/8": "-", "z": "last"}) // the program is there now
	_, err := CopyKeys(k.ctx, k.to, k.from, KeysOptions{})
	k.fails(err, ErrNotOurs)
	k.want(k.keys(k.from)["n/7"], "7")
	n, err := CopyKeys(k.ctx, k.to, k.from, KeysOptions{Replace: true})
	k.ok(err)
	k.want(n, int64(4))
	k.want(k.keys(k.from), k.keys(k.to))

	k.set(k.from, map[string]string{"n/1": "x", "z": "y", "zz": "new"})
	k.want(there(KeysOptions{Prefix: []byte("z"), Replace: true}), int64(2))
	k.want([]string{k.keys(k.to)["n/1"], k.keys(k.to)["zz"]}, []string{"1", "new"})

	_, err = CopyKeys(k.ctx, k.from, nil, KeysOptions{})
	k.fails(err, samsa.ErrInvalidOption)
	k.ok(k.to.Close())
	_, err = CopyKeys(k.ctx, k.from, k.to, KeysOptions{})
	k.fails(err, samsa.ErrClosed)
}

// What the source has none of goes, or keeps the rest from being copied.
func TestCopyNoKeys(t *testing.T) {
	k := newKit(t)
	k.set(k.to, map[string]string{"a": "1", "b": "2"})
	_, err := CopyKeys(k.ctx, k.from, k.to, KeysOptions{})
	k.fails(err, ErrNotOurs)
	n, err := CopyKeys(k.ctx, k.from, k.to, KeysOptions{Replace: true})
	k.ok(err)
	k.want(n, int64(2))
	k.want(len(k.keys(k.to)), 0)
}
