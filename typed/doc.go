// Package typed reads and writes topics as keys and values of Go types: what package samsa does with
// bytes, it does with K and V.
//
//	orders := typed.CodecsOf(typed.String(), typed.JSON[Order]())
//	p, err := typed.NewProducer(ctx, b, orders, samsa.ProducerOptions{})
//	p.Produce(ctx, typed.MessageOf("orders", "7", Order{Item: "tea"}), nil)
//
//	c, err := typed.NewConsumer(ctx, b, orders, samsa.ConsumerOptions{Topics: []string{"orders"}})
//	for m, err := range c.Records(ctx) { ... m.Value.Item ... }
//
// A Producer, Consumer, Queue or Table of this package is one of package samsa with some methods that take and
// return Messages; all others are those of package samsa. In a transaction Codecs.Encode makes the records.
//
// # What cannot be decoded
//
// A record that is none of K and V comes as a *DecodeError, in the place of its message, and what reads goes
// on: the program says what becomes of it. It may skip the record, stop, or put it aside, as
// the error and the message have the whole record.
//
// # Several types in a topic
//
// A Codec sees the whole record: Union chooses one of several by a header.
//
// # Tombstones
//
// A record without value, a tombstone of a compacted topic, has the zero Value: see
// Message.Tombstone. Codecs.Tombstone makes one.
package typed
