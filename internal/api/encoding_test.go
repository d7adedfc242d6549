package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"testing"
	"time"

	"github.com/samsa-go/samsa"
)

func TestBytesInJSON(t *testing.T) {
	for _, tc := range []struct {
		b    Bytes
		text string
	}{
		{nil, `null`},
		{Bytes{}, `""`},
		{Bytes("a\"<&>\\é\n"), `"a\"<&>\\é\n"`},
		{Bytes("�"), `"�"`},
		{Bytes{0}, `"\u0000"`},
		{Bytes("😀"), `"😀"`},
		{Bytes{0xff}, `{"base64":"/w=="}`},
		{Bytes("\xed\xa0\x80"), `{"base64":"7aCA"}`}, // half of a surrogate pair in UTF-8
	} {
		text, err := encode(tc.b)
		if err != nil || string(text) != tc.text {
			t.Errorf("%q is %s (%v), want %s", []byte(tc.b), text, err, tc.text)
		}
		var back Bytes
		if err := json.Unmarshal(text, &back); err != nil || !bytes.Equal(back, tc.b) || (back == nil) != (tc.b == nil) {
			t.Errorf("%s is %q (%v), want %q", text, []byte(back), err, []byte(tc.b))
		}
	}
	var b Bytes
	if err := json.Unmarshal([]byte(`"\ud83d\ude00 \\ud800"`), &b); err != nil || string(b) != `😀 \ud800` {
		t.Errorf("%q, %v", []byte(b), err)
	}
	for _, wrong := range []string{
		`"\ud800"`, `"\udc00"`, `"\ud800x"`, `"\ud800\ud800"`, `"\uD83D"`, `1`, `true`, `[]`, `{}`, `{"base64":null}`, `{"base64":"/w="}`, `{"base64":"!"}`,
		`{"base64":"/w==","more":1}`,
	} {
		if err := json.Unmarshal([]byte(wrong), &b); !errors.Is(err, samsa.ErrInvalid) {
			t.Errorf("%s is %q, %v", wrong, []byte(b), err)
		}
	}
}

func TestTimesInJSON(t *testing.T) {
	for _, ms := range []int64{0, 1, -1, 1764422361123, math.MaxInt64, math.MinInt64} {
		in := Time{time.UnixMilli(ms)}
		text, err := json.Marshal(in)
		var back Time
		if err == nil {
			err = json.Unmarshal(text, &back)
		}
		if err != nil || back.UnixMilli() != ms {
			t.Errorf("%d is %s and back %d, %v", ms, text, back.UnixMilli(), err)
		}
	}
	if text, err := json.Marshal([]Time{{}, At(time.Time{})}); err != nil || string(text) != `[null,null]` {
		t.Errorf("no time is %s, %v", text, err)
	}
	var tm Time
	var d Duration
	for _, wrong := range []string{`"x"`, `1.5`, `1e3`, `9223372036854775808`, `{}`} {
		if err := json.Unmarshal([]byte(wrong), &tm); !errors.Is(err, samsa.ErrInvalid) {
			t.Errorf("a time %s is %v", wrong, err)
		}
		if err := json.Unmarshal([]byte(wrong), &d); !errors.Is(err, samsa.ErrInvalid) {
			t.Errorf("a duration %s is %v", wrong, err)
		}
	}
}

func TestPositions(t *testing.T) {
	at := time.Date(2026, 11, 29, 13, 19, 21, 5_000_000, time.UTC)
	for _, tc := range []struct {
		text string
		want Position
	}{
		{"", Position{}},
		{"earliest", Earliest()},
		{"latest", Latest()},
		{"offset:9223372036854775807", Offset(math.MaxInt64)},
		{"last:10", Last(10)},
		{"shift:-5", Shift(-5)},
		{"time:2026-11-29T13:19:21.005Z", Since(at)},
		{"time:1796044761005", Since(time.UnixMilli(1796044761005).UTC())},
		{"time:2026-11-29T14:19:21.005+01:00", Since(at.In(time.FixedZone("", 3600)))},
	} {
		p, err := ParsePosition(tc.text)
		if err != nil || p.Kind != tc.want.Kind || p.N != tc.want.N || !p.Time.Equal(tc.want.Time) {
			t.Errorf("%q is %+v, %v", tc.text, p, err)
		}
		if again, err := ParsePosition(p.String()); err != nil || !again.Time.Equal(p.Time) || again.Kind != p.Kind || again.N != p.N {
			t.Errorf("%q is %q and then %+v, %v", tc.text, p, again, err)
		}
	}
	for _, wrong := range []string{"Earliest", "earliest:1", "latest:", "offset", "offset:", "offset:-1", "offset:1.5", "offset:9223372036854775808",
		"last:-1", "time", "time:", "time:yesterday", "shift", "end", ":", "offset: 1"} {
		if p, err := ParsePosition(wrong); !errors.Is(err, samsa.ErrInvalid) {
			t.Errorf("%q is %+v, %v", wrong, p, err)
		}
	}
}

func FuzzBytes(f *testing.F) {
	for _, s := range []string{`null`, `""`, `"\ud83d\ude00"`, `"\ud800"`, `{"base64":"/w=="}`, `"\\\ud800"`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var b Bytes
		if decodeStrictly(text, &b) != nil {
			return
		}
		again, err := encode(b)
		var back Bytes
		if err == nil {
			err = decodeStrictly(again, &back)
		}
		if err != nil || !bytes.Equal(b, back) || (b == nil) != (back == nil) {
			t.Fatalf("%q is %q, then %s, then %q: %v", text, []byte(b), again, []byte(back), err)
		}
	})
}

// Whatever somebody sends, it is read exactly or refused.
func FuzzRequests(f *testing.F) {
	f.Add([]byte(`{"records":[{"partition":1,"timestamp":5,"key":"k","value":null,"headers":[{"key":"h","value":"v"}]}]}`))
	f.Add([]byte(`{"to":"shift:-5","partitions":[{"topic":"t","partition":0}],"dry_run":true}`))
	f.Add([]byte(`{"on":"appends","delay_ms":5}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, v := range []any{new(ProduceRequest), new(ResetGroup), new(NewFault), new(Wait), new(AlterTopic), new(KeyValue)} {
			if decodeStrictly(text, v) != nil {
				continue
			}
			once, err := encode(v)
			if err != nil {
				t.Fatal(err)
			}
			if err := decodeStrictly(once, v); err != nil {
				t.Fatalf("%s of %q: %v", once, text, err)
			}
			twice, err := encode(v)
			if err != nil || !bytes.Equal(once, twice) {
				t.Fatalf("%q is %s and then %s, %v", text, once, twice, err)
			}
		}
	})
}

func FuzzEvents(f *testing.F) {
	f.Add([]byte("event: record\ndata: {}\n\n: ping\n\nid: 0:1\n\nevent: end\ndata: {}\n\n"))
	f.Fuzz(func(_ *testing.T, text []byte) {
		s := newEvents(bytes.NewReader(text))
		for {
			if _, err := s.next(); err != nil {
				return
			}
		}
	})
}
