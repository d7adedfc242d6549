package api

import (
	"bytes"

	"github.com/samsa-go/samsa"
)

func listKeys(c *call) (any, error) {
	with, after, limit, cut := c.query.bytes("prefix"), c.query.bytes("after"), c.query.limit(100), c.query.cut()
	if err := c.none(); err != nil {
		return nil, err
	}
	opts := samsa.ScanOptions{Prefix: with}
	if after != nil {
		opts.Start = append(bytes.Clone(after), 0)
	}
	p := KeyPage{Keys: []KeyValue{}}
	size := 0
	err := c.b.View(c.limited, func(tx *samsa.ReadTx) error {
		for kv, err := range tx.ScanWith(opts) {
			if err == nil {
				err = c.limited.Err()
			}
			if err != nil {
				return err
			}
			if n := len(p.Keys); n == limit || n > 0 && size+len(kv.Key)+cutTo(len(kv.Value), cut) > maxPage {
				p.Next = p.Keys[n-1].Key
				return nil
			}
			size += len(kv.Key) + cutTo(len(kv.Value), cut)
			value, whole := shorten(kv.Value, cut)
			p.Keys = append(p.Keys, KeyValue{Key: kv.Key, Value: value, ValueSize: whole})
		}
		return nil
	})
	return p, err
}

func getKey(c *call) (any, error) {
	key := c.query.bytes("key")
	if err := c.none(); err != nil {
		return nil, err
	}
	kv := KeyValue{Key: key}
	err := c.b.View(c.limited, func(tx *samsa.ReadTx) (err error) {
		kv.Value, err = tx.Get(key)
		return err
	})
	return kv, err
}

func setKey(c *call) (any, error) {
	var kv KeyValue
	if err := c.decode(&kv); err != nil {
		return nil, err
	}
	return nil, c.b.Update(c.limited, func(tx *samsa.Tx) error { return tx.Set(kv.Key, kv.Value) })
}

func deleteKey(c *call) (any, error) {
	key := c.query.bytes("key")
	if err := c.none(); err != nil {
		return nil, err
	}
	return nil, c.b.Update(c.limited, func(tx *samsa.Tx) error { return tx.Delete(key) })
}
