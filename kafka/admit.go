package kafka

import (
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/partition"
)

// admit returns the batch that a Produce request of some version has brought for p, ready to
// be stored, or why it cannot be. The batch is records, changed in place: the delete horizon is ours, and a max timestamp that is not that of the records is corrected,
// as Kafka does.
//
// Checked is everything that somebody who reads the batch later relies on: length, CRC,
// codec, counts and offsets, and every record, decompressed if need be. That costs a
// decompression for each batch, as in Kafka; without it a client could store what no
// consumer can pass. In a topic with a compression.type a batch in another codec is compressed
// again. With trust (Options.TrustCompressed) compressed records are taken as they
// are where nothing depends on them.
func admit(p *partition.Partition, version int16, records []byte, trust bool) (log.Batch, error) {
	b, err := onlyBatch(version, records)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p.TopicPartition(), err)
	}
	if err := checkHeader(p, version, b); err != nil {
		return nil, fmt.Errorf("%s: %w", p.TopicPartition(), err)
	}
	may := p.Rules().Timestamps(time.Now().UnixMilli())
	if !trust || !canTrust(p, b, may) {
		if b, err = checkRecords(p, b, may); err != nil {
			return nil, fmt.Errorf("%s: %w", p.TopicPartition(), malformed(err))
		}
	}
	if _, ok := b.DeleteHorizon(); ok {
		b.ClearDeleteHorizon()
	}
	return b, nil
}

// onlyBatch returns the one batch that records must be, or a batch of the message set that they
// may be in old versions.
func onlyBatch(version int16, records []byte) (log.Batch, error) {
	if len(records) == 0 {
		return nil, protocolError{codeInvalidRecord, "no record batch, want exactly one"}
	}
	length, magic, err := log.BatchLength(records)
	switch {
	case err != nil:
		return nil, malformed(err)
	case magic < 2 && version < firstProduceBatches:
		return upgraded(records)
	case magic != 2:
		return nil, protocolError{codeInvalidRecord, fmt.Sprintf("magic %d, want 2 in Produce %d", magic, version)}
	case length >= log.BatchHeaderSize && length < int64(len(records)):
		return nil, protocolError{codeInvalidRecord, "more than one record batch, want exactly one"}
	}
	b, err := log.ParseBatch(records)
	if err != nil && length >= log.BatchHeaderSize && length == int64(len(records)) && !log.Batch(records).CRCHolds() {
		return nil, err // CORRUPT_MESSAGE: the same batch, sent again, may arrive well
	}
	return b, malformed(err)
}

// malformed makes of an error of a batch whose bytes have come as they were sent one that clients do
// not try again, as Kafka does.
func malformed(err error) error {
	if errors.Is(err, log.ErrCorruptRecord) {
		return protocolError{codeInvalidRecord, err.Error()}
	}
	return err
}

// firstZstd is the version of Produce from which zstd may be used (KIP-110).
const firstZstd = 7

// checkHeader checks what a producer may not claim.
func checkHeader(p *partition.Partition, version int16, b log.Batch) error {
	if n, limit := len(b), p.Rules().MaxMessageBytes; n > limit {
		return fmt.Errorf("%w: batch of %d bytes, max.message.bytes is %d", log.ErrRecordTooLarge, n, limit)
	}
	switch {
	case b.BaseOffset() != 0:
		return protocolError{codeInvalidRecord, fmt.Sprintf("base offset %d, want 0: offsets are the broker's to give", b.BaseOffset())}
	case b.Control():
		return protocolError{codeInvalidRecord, "control batches are the broker's to write"}
	case b.LogAppendTime():
		return protocolError{codeInvalidTimestamp, "LogAppendTime is the broker's to set"}
	case b.Codec() == log.CodecZstd && version < firstZstd:
		return protocolError{codeUnsupportedCompressionType, fmt.Sprintf("zstd needs Produce %d, not %d", firstZstd, version)}
	case b.Codec() == log.CodecLz4 && dependentBlocks(b[log.BatchHeaderSize:]):
		return protocolError{codeInvalidRecord, "lz4 blocks that depend on each other, which Java clients do not read"}
	case b.Records() == 0:
		return protocolError{codeInvalidRecord, "batch without records"}
	case !b.Dense():
		return protocolError{codeInvalidRecord, "the number of records differs from that of the offsets"}
	case b.Transactional() && b.ProducerID() < 0:
		return protocolError{codeInvalidRecord, "a transactional batch without a producer id"}
	case b.ProducerID() >= 0 && (b.BaseSequence() < 0 || b.ProducerEpoch() < 0):
		return protocolError{codeInvalidRecord, "a producer id without an epoch or a sequence number"}
	}
	return nil
}

// canTrust reports whether b may be stored on its header's word: its topic does not ask for
// keys or another codec, a header is all that there is to read without decompressing, and its
// timestamps could be those of the records, the first of which has the base timestamp, and are
// allowed. The least of the timestamps is not in a header.
func canTrust(p *partition.Partition, b log.Batch, may partition.Timestamps) bool {
	rules := p.Rules()
	return b.Codec() != log.CodecNone && !rules.KeyRequired && log.TopicCodec(rules.Compression, b.Codec()) == b.Codec() &&
		b.BaseTimestamp() >= 0 && b.MaxTimestamp() >= b.BaseTimestamp() && may.Min <= 0 && may.Has(b.MaxTimestamp())
}

// dependentBlocks reports whether the header of an lz4 frame says that its blocks need those
// before them (https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md, flag B.Indep).
// Kafka's own decoder refuses such frames, so what is stored here could not be read by all.
func dependentBlocks(frame []byte) bool {
	const flags, independent = 4, 1 << 5
	return len(frame) > flags && frame[flags]&independent == 0
}

// plainRatio is what compressed records become, about: more is made room for when it comes.
const plainRatio = 4

// checkRecords checks every record, corrects the max timestamp, and returns the batch in the codec
// of its topic: b, or another if that differs.
func checkRecords(p *partition.Partition, b log.Batch, may partition.Timestamps) (log.Batch, error) {
	records, plain := b.EncodedRecords()
	if !plain {
		buf := getBuffer(plainRatio * len(b))
		defer buf.put()
		var err error
		if buf.b, err = b.AppendRecords(buf.b); err != nil {
			return nil, err
		}
		records = buf.b
	}
	newest, bad, err := inspect(b, records, p.Rules().KeyRequired, may)
	if err != nil {
		return nil, err
	}
	if len(bad) > 0 {
		return nil, bad
	}
	if newest != b.MaxTimestamp() {
		b.SetMaxTimestamp(newest)
	}
	return inCodec(p, b, records)
}

// maxBad bounds the bad records of each kind that are told of a batch, which may have a million.
const maxBad = 1000

// inspect reads all records of b, and checks everything about them. It returns the largest of their timestamps,
// log.NoTimestamp if none has one, and those that their topic refuses.
func inspect(b log.Batch, records []byte, keyRequired bool, may partition.Timestamps) (newest int64, bad badRecords, err error) {
	r := log.NewRecordReader(b, records)
	var rec log.Record
	var keyless badRecords
	for first := true; ; first = false {
		ms, more, err := r.Skim(&rec)
		if err != nil || !more {
			return newest, append(bad, keyless...), err
		}
		if ms != log.NoTimestamp && !may.Has(ms) && len(bad) < maxBad {
			bad = append(bad, badRecord{rec.Offset - b.BaseOffset(), may.Refuse(ms)})
		}
		if keyRequired && rec.Key == nil && len(keyless) < maxBad {
			keyless = append(keyless, badRecord{rec.Offset - b.BaseOffset(), errKeyless})
		}
		if first || ms > newest {
			newest = ms
		}
	}
}

// inCodec returns the batch with the given records in the codec of its topic. It may be too
// large then, though it was not before, or the other way round, which Kafka refuses too.
func inCodec(p *partition.Partition, b log.Batch, records []byte) (log.Batch, error) {
	rules := p.Rules()
	codec := log.TopicCodec(rules.Compression, b.Codec())
	if codec == b.Codec() {
		return b, nil
	}
	out, err := b.Recompress(nil, records, codec)
	if err != nil {
		return nil, err
	}
	if n, limit := len(out), rules.MaxMessageBytes; n > limit {
		return nil, fmt.Errorf("%w: batch of %d bytes as %s, max.message.bytes is %d", log.ErrRecordTooLarge, n, codec, limit)
	}
	return out, nil
}

// badRecords are the records for whose sake a batch is refused, not all of them if they are many.
// As in Kafka the batch is refused for its timestamps if these are wrong too: they come first.
type badRecords []badRecord

type badRecord struct {
	delta int64 // offset of the record in the batch
	err   error
}

var errKeyless = fmt.Errorf("%w: the record has no key, which a compacted topic requires", log.ErrInvalidRecord)

func (bad badRecords) Error() string {
	return fmt.Sprintf("%d records are refused; record %d of the batch: %v", len(bad), bad[0].delta, bad[0].err)
}

func (bad badRecords) Unwrap() error { return bad[0].err }

func (bad badRecords) answer() []kmsg.ProduceResponseTopicPartitionErrorRecord {
	out := make([]kmsg.ProduceResponseTopicPartitionErrorRecord, len(bad))
	for i, r := range bad {
		out[i].RelativeOffset, out[i].ErrorMessage = int32(r.delta), kmsgString(r.err.Error())
	}
	return out
}
