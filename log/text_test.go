package log

import (
	"encoding"
	"errors"
	"testing"
)

func TestTextForms(t *testing.T) {
	for want, v := range map[string]encoding.TextMarshaler{
		"stored": AckStored, "synced": AckSynced, "none": AckNone,
		"": CompressionDefault, "gzip": CompressionGzip, "snappy": CompressionSnappy, "lz4": CompressionLz4, "zstd": CompressionZstd,
		"read_uncommitted": ReadUncommitted, "read_committed": ReadCommitted,
		"orders/3": TopicPartition{"orders", 3}, "a/b/-1": TopicPartition{"a/b", -1}, "/0": TopicPartition{},
	} {
		if got, err := v.MarshalText(); err != nil || string(got) != want {
			t.Errorf("%#v is %q, error %v", v, got, err)
		}
	}
	for _, v := range []encoding.TextMarshaler{Acks(-1), Acks(3), Compression(-1), Compression(6), Isolation(-1), Isolation(2)} {
		if got, err := v.MarshalText(); !errors.Is(err, ErrInvalid) {
			t.Errorf("%#v is %q, error %v", v, got, err)
		}
	}
}

// FuzzText wants what is taken for a value to be the text of that value, and else that nothing changes.
func FuzzText(f *testing.F) {
	for _, text := range []string{"stored", "none", "", "lz4", "orders/3", "orders", "/", "a/b/-1", "a/2147483648", "Gzip", "read_committed", "committed"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		back(t, text, AckSynced)
		back(t, text, CompressionZstd)
		back(t, text, ReadUncommitted)
		back(t, text, TopicPartition{"t", 7})
	})
}

func back[T interface {
	comparable
	encoding.TextMarshaler
}](t *testing.T, text []byte, before T) {
	t.Helper()
	v := before
	if err := any(&v).(encoding.TextUnmarshaler).UnmarshalText(text); err != nil {
		if v != before || !errors.Is(err, ErrInvalid) {
			t.Errorf("%q: %v, error %v", text, v, err)
		}
		return
	}
	again, err := v.MarshalText()
	if err != nil {
		t.Fatalf("%q is taken for %v: %v", text, v, err)
	}
	w := before
	if err := any(&w).(encoding.TextUnmarshaler).UnmarshalText(again); err != nil || v != w {
		t.Errorf("%q is %v, which is %q, which is %v, error %v", text, v, again, w, err)
	}
}
