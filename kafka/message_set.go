package kafka

import "github.com/samsa-go/samsa/log"

// Clients older than Kafka 0.11 send and read message sets (message_format.go). What they send becomes
// one batch, with the codec that they have used; what they read is made of batches, without compression.

// firstBatches are the versions of Produce and Fetch from which on records are batches.
const (
	firstProduceBatches = 3
	firstFetchBatches   = 4
)

// upgraded returns a message set as a batch.
func upgraded(set []byte) (log.Batch, error) {
	var b log.Builder
	codec, err := appendMessageSet(&b, set)
	if err != nil {
		return nil, err
	}
	env, err := b.Seal(nil, codec)
	if err != nil {
		return nil, err
	}
	return env, nil
}

// fetchMagic returns the magic of what a version of Fetch reads.
func fetchMagic(version int16) int8 {
	switch {
	case version >= firstFetchBatches:
		return 2
	case version >= 2:
		return 1
	}
	return 0
}

// readDowngraded reads what part wants as messages, in memory of their own.
func (f *fetching) readDowngraded(part *fetchedPart, limit int) {
	batch := getBuffer(firstAnswerBytes)
	defer batch.put()
	var out []byte
	var broken error
	batch.b, part.err = part.partition.Fetch(f.c.ctx, f.c.clientID, log.ReadUncommitted, part.offset, batch.b, func(sb log.StoredBatch) bool {
		all := sb.Err == nil && sb.Batch.Control() // these clients know no markers
		if broken = sb.Err; broken == nil && !all {
			f.c.s.memory.inspect(func() {
				out, all, broken = f.appendDowngraded(out, part, sb.Batch, limit)
			})
		}
		return all
	})
	if len(out) > 0 {
		part.read = pieces{all: [][]byte{out}, bytes: len(out)}
	} else if part.err == nil {
		part.err = broken // else it comes the next time, first
	}
}

// appendDowngraded appends as much of a batch as part wants and has room for to dst, as
// messages. From before the fetch offset there is nothing, and the first message of the
// partition comes whatever its size: old clients ask for the same partition first again and
// again. all tells whether the batch is done with.
func (f *fetching) appendDowngraded(dst []byte, part *fetchedPart, b log.Batch, limit int) (out []byte, all bool, err error) {
	records, plain := b.EncodedRecords()
	if !plain {
		buf := getBuffer(plainRatio * len(b))
		defer buf.put()
		if buf.b, err = b.AppendRecords(buf.b); err != nil {
			return dst, false, err
		}
		records = buf.b
	}
	had := len(dst)
	d := downgrade{
		magic: fetchMagic(f.c.version), from: part.offset,
		limit: limit - had, atLeastOne: had == 0 && (f.bytes == 0 || f.bytes < f.maxBytes),
	}
	return d.append(dst, b, records)
}
