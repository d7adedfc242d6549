package topic

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/samsa-go/samsa/log"
)

func TestConfigAsJSON(t *testing.T) {
	inert := Config{Replicas: 3}
	if err := inert.SetConfig("segment.bytes", "1048576"); err != nil {
		t.Fatal(err)
	}
	for want, c := range map[string]Config{
		`{}`: {},
		`{"partitions":3,"configs":{"cleanup.policy":"compact","retention.ms":"3600000"}}`: {
			Partitions: 3, CleanupPolicy: Compact, Retention: time.Hour},
		`{"configs":{"message.timestamp.after.max.ms":"0","message.timestamp.before.max.ms":"9223372036854775807","retention.bytes":"-1","retention.ms":"-1"}}`: {
			TimestampAfterMax: 1, TimestampBeforeMax: Unlimited, RetentionBytes: Unlimited, Retention: Unlimited},
		`{"configs":{"compression.type":"uncompressed","delete.retention.ms":"1","max.message.bytes":"5000","message.timestamp.type":"LogAppendTime","min.compaction.lag.ms":"60000"}}`: {
			Compression: log.CompressionNone, DeleteRetention: time.Millisecond, MaxMessageBytes: 5000, LogAppendTime: true, MinCompactionLag: time.Minute},
		`{"replicas":3,"configs":{"segment.bytes":"1048576"}}`: inert,
	} {
		got, err := json.Marshal(c)
		if err != nil || string(got) != want {
			t.Errorf("%+v is %s, want %s, error %v", c, got, want, err)
		}
	}
}

// FuzzConfigJSON wants what is taken for a Config to be the same Config as JSON and back.
func FuzzConfigJSON(f *testing.F) {
	for _, s := range []string{`{}`, `{"partitions":3}`, `{"partition":3}`, `{"configs":{"retention.ms":"5","flush.ms":"7"}}`,
		`{"configs":{"retention.ms":5}}`, `{"configs":{"message.timestamp.type":"CreateTime","min.compaction.lag.ms":"0","message.timestamp.after.max.ms":"0"}}`,
		`{"configs":{"cleanup.policy":"delete, compact"}}`, `{"configs":{"nonsense":"1","retention.ms":"x"}}`, `null`, `[`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		before := Config{Partitions: 7}
		c := before
		if err := c.UnmarshalJSON(data); err != nil {
			if c != before || !errors.Is(err, log.ErrInvalidConfig) {
				t.Errorf("%s: %+v, error %v", data, c, err)
			}
			return
		}
		again, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		var d Config
		if err := json.Unmarshal(again, &d); err != nil || c != d {
			t.Errorf("%s is %+v, which is %s, which is %+v, error %v", data, c, again, d, err)
		}
	})
}

func TestTextForms(t *testing.T) {
	for text, want := range map[string]CleanupPolicy{"": 0, "delete": Delete, "compact,delete": Compact | Delete, "consumed": Consumed} {
		var p CleanupPolicy
		if err := p.UnmarshalText([]byte(text)); err != nil || p != want {
			t.Errorf("%q is %v, error %v", text, p, err)
		}
		if got, err := want.MarshalText(); err != nil || string(got) != text {
			t.Errorf("%v is %q, error %v", want, got, err)
		}
	}
	p := Delete
	if err := p.UnmarshalText([]byte("Delete")); !errors.Is(err, log.ErrInvalidConfig) || p != Delete {
		t.Errorf("got %v, error %v", p, err)
	}
	if _, err := (Compact | Consumed).MarshalText(); !errors.Is(err, log.ErrInvalidConfig) {
		t.Errorf("error %v", err)
	}
	id := ID{0xff, 0xfe, 15: 1}
	text, err := id.MarshalText()
	var again ID
	if err != nil || string(text) != "__4AAAAAAAAAAAAAAAAAAQ" || again.UnmarshalText(text) != nil || again != id {
		t.Errorf("%s, error %v, %s", text, err, again)
	}
	for _, bad := range []string{"", "AAAA", "__4AAAAAAAAAAAAAAAAAAR", "__4AAAAAAAAAAAAAAAAAAQ==", "fffe0000000000000000000000000001"} {
		if err := again.UnmarshalText([]byte(bad)); !errors.Is(err, log.ErrInvalidOption) || again != id {
			t.Errorf("%q is %s, error %v", bad, again, err)
		}
	}
}
