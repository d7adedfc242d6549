package protobuf_test

import (
	"errors"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/typed"
	"github.com/samsa-go/samsa/typed/protobuf"
)

func TestCodec(t *testing.T) {
	codecs := typed.CodecsOf(typed.String(), protobuf.Codec[*durationpb.Duration]())
	for _, want := range []time.Duration{0, 90 * time.Minute} {
		r, err := codecs.Encode(typed.MessageOf("t", "key", durationpb.New(want)))
		if err != nil || r.Value == nil {
			t.Fatalf("%v: %+v, %v", want, r, err)
		}
		if m, err := codecs.Decode(r); err != nil || m.Value.AsDuration() != want {
			t.Errorf("%v came back as %v, %v", want, m.Value, err)
		}
	}
	r, err := codecs.Encode(typed.MessageOf("t", "key", (*durationpb.Duration)(nil)))
	if err != nil || r.Value != nil {
		t.Errorf("a nil message: %+v, %v", r, err)
	}
	var wrong *typed.DecodeError
	if m, err := codecs.Decode(samsa.Record{Value: []byte{0xff}}); !errors.As(err, &wrong) || m.Value != nil {
		t.Errorf("%v, %v", m, err)
	}
}
