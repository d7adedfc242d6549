package kafka

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"runtime"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa"
)

// produceBody makes the body of a Produce request of topics with so many empty partitions
// each, in a version without names or lengths of more than a byte where that is possible.
func produceBody(version int16, topics, partitions int) []byte {
	req := kmsg.NewPtrProduceRequest()
	req.Version, req.Acks = version, 1
	for range topics {
		rt := kmsg.NewProduceRequestTopic()
		for i := range partitions {
			rp := kmsg.NewProduceRequestTopicPartition()
			rp.Partition = int32(i)
			rt.Partitions = append(rt.Partitions, rp)
		}
		req.Topics = append(req.Topics, rt)
	}
	return req.AppendTo(nil)
}

// The walk agrees with the codec about what is whole, in every version, and takes the smallest
// batches that there can be, one in each topic.
func TestProduceSize(t *testing.T) {
	smallest := batch(t, 0, record{1, "", ""})
	for version := int16(0); version <= 13; version++ {
		req := kmsg.NewPtrProduceRequest()
		req.Version, req.Acks = version, 1
		for range 50_000 {
			req.Topics = append(req.Topics, produceRequest(1, "t", smallest).Topics...)
		}
		body := req.AppendTo(nil)
		if _, err := produceSize(body, version, math.MaxInt); err != nil {
			t.Errorf("version %d: %v", version, err)
		}
		small := produceBody(version, 2, 2)
		for n := range small {
			if _, err := produceSize(small[:n], version, math.MaxInt); !errors.Is(err, errMalformed) {
				t.Errorf("version %d: %d of %d bytes are whole", version, n, len(small))
			}
		}
		if _, err := produceSize(small, version, math.MaxInt); err != nil {
			t.Errorf("version %d: %v", version, err)
		}
	}
}

// What a hostile frame makes the decoder take is bounded by what was sent.
func TestHostileFramesCostLittle(t *testing.T) {
	k := start(t, samsa.Options{}, Options{})
	c := &conn{s: k.srv}
	claim := func(prefix ...byte) []byte { // an array that claims to have an element for each byte left
		const left = 8 << 20
		b := binary.BigEndian.AppendUint32(prefix, left)
		return append(b, make([]byte, left)...)
	}
	compactClaim := func(prefix ...byte) []byte {
		const left = 8 << 20
		b := binary.AppendUvarint(prefix, left+1)
		return append(b, make([]byte, left)...)
	}
	tags := func() []byte {
		const n = 1 << 20
		b := binary.AppendUvarint([]byte{0, 0, 1, 0, 0, 0, 0, 1}, n)
		for i := range n {
			b = append(binary.AppendUvarint(b, uint64(i)), 0)
		}
		return b
	}
	for name, tt := range map[string]struct {
		version int16
		body    []byte
	}{
		"topics that are not there":     {3, claim(0xff, 0xff, 0, 1, 0, 0, 0, 0)},
		"compact topics":                {9, compactClaim(0, 0, 1, 0, 0, 0, 0)},
		"partitions that are not there": {3, claim(0xff, 0xff, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 't')},
		"empty partitions":              {9, produceBody(9, 1, 1_000_000)},
		"empty topics":                  {9, produceBody(9, 1_000_000, 0)},
		"tags":                          {9, tags()},
	} {
		t.Run(name, func(t *testing.T) {
			frame := binary.BigEndian.AppendUint16(nil, uint16(kmsg.Produce))
			frame = binary.BigEndian.AppendUint16(frame, uint16(tt.version))
			frame = append(frame, 0, 0, 0, 1, 0xff, 0xff)
			if tt.version >= compactProduce {
				frame = append(frame, 0)
			}
			frame = append(frame, tt.body...)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := c.parse(frame, nil, k.lease())
			runtime.ReadMemStats(&after)
			if !errors.Is(err, errMalformed) {
				t.Errorf("got error %v", err)
			}
			if took := after.TotalAlloc - before.TotalAlloc; took > placesSlack+placesRatio*uint64(len(frame)) {
				t.Errorf("%d bytes for a frame of %d", took, len(frame))
			}
		})
	}
}

// maxProduceRatio is how many times its length a Produce request takes until it is answered, the
// answer included, when it fails in each of its partitions and with the smallest batches
// that there can be.
const maxProduceRatio = 17

func TestProduceCostsAKnownMultiple(t *testing.T) {
	k := start(t, samsa.Options{}, Options{})
	k.create("web_log", samsa.TopicConfig{})
	c := &conn{s: k.srv}
	smallest := batch(t, 0, record{1, "", ""})
	for name, topic := range map[string]string{"unknown topic": "nobody", "unknown partitions": "web_log"} {
		req := produceRequest(1, topic, smallest)
		req.Version = 9
		for i := range 50_000 {
			rp := kmsg.NewProduceRequestTopicPartition()
			rp.Partition, rp.Records = int32(i+1), smallest
			req.Topics[0].Partitions = append(req.Topics[0].Partitions, rp)
		}
		frame := kmsg.NewRequestFormatter().AppendRequest(nil, req, 1)[frameLengthSize:]
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		cl, err := c.parse(frame, &buffer{frame}, k.lease())
		if err != nil {
			t.Fatal(err)
		}
		p := cl.entry.begin(cl, cl.req)
		<-p.done()
		resp, err := p.answer()
		if err != nil {
			t.Fatal(err)
		}
		resp.SetVersion(cl.version)
		_ = appendAnswer(nil, 1, resp)
		runtime.ReadMemStats(&after)
		if ratio := (after.TotalAlloc - before.TotalAlloc) / uint64(len(frame)); ratio > maxProduceRatio {
			t.Errorf("%s: %d times its length", name, ratio)
		}
	}
}

// Whatever other requests claim costs no more than a known multiple of what was sent.
func TestClaimsCostAKnownMultiple(t *testing.T) {
	k := start(t, samsa.Options{}, Options{})
	for _, e := range table {
		if e.key == kmsg.Produce {
			continue
		}
		for version := e.min; version <= e.max; version++ {
			for _, fill := range []byte{0, 1, 2, 0x7f} {
				if ratio := decodeCost(k, e.key, version, fill); ratio > uint64(decodeRatio(e.key.Request())) {
					t.Errorf("%s %d full of %d: %d times its length", e.key.Name(), version, fill, ratio)
				}
			}
		}
	}
}

// decodeCost decodes bodies full of one byte that begin with an array which claims to have as
// many elements as there are bytes, and returns how many times their length the worst takes.
func decodeCost(k *kit, key kmsg.Key, version int16, fill byte) uint64 {
	c := &conn{s: k.srv}
	worst := uint64(0)
	for _, at := range []int{0, 1, 2, 4, 8, 12, 16, 20} { // where the first array may be
		wide, compact := bytes.Repeat([]byte{fill}, 32<<10), bytes.Repeat([]byte{fill}, 32<<10)
		binary.BigEndian.PutUint32(wide[at:], uint32(len(wide)-at-4))
		binary.PutUvarint(compact[at:], uint64(len(compact)-at-4))
		for _, body := range [][]byte{wide, compact} {
			req := key.Request()
			req.SetVersion(version)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			l := k.lease()
			_ = c.decode(req, body, l) // good or bad, it costs
			l.end()
			runtime.ReadMemStats(&after)
			worst = max(worst, (after.TotalAlloc-before.TotalAlloc)/uint64(len(body)))
		}
	}
	return worst
}

// lease returns a new lease of the memory for requests.
func (k *kit) lease() *lease { return &lease{pool: &k.srv.memory.requests} }
