package avro_test

import (
	"encoding/binary"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	parser "github.com/twmb/avro"
	"github.com/twmb/franz-go/pkg/sr"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/adapters/registry"
	"github.com/samsa-go/samsa/adapters/registry/registrytest"
	"github.com/samsa-go/samsa/samsatest"
	"github.com/samsa-go/samsa/typed"
	"github.com/samsa-go/samsa/typed/avro"
)

type Order struct {
	Item  string `avro:"item"`
	Cents int64  `avro:"cents"`
}

const (
	first  = `{"type":"record","name":"Order","fields":[{"name":"item","type":"string"}]}`
	second = `{"type":"record","name":"Order","fields":[{"name":"cents","type":"long","default":7},{"name":"item","type":"string"}]}`
)

func client(t *testing.T, url string) *sr.Client {
	t.Helper()
	c, err := sr.NewClient(sr.URLs(url))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestCodec(t *testing.T) {
	codecs := typed.CodecsOf(typed.None(), avro.Codec[*Order](parser.MustParse(second)))
	r, err := codecs.Encode(typed.MessageOf("t", struct{}{}, &Order{"tea", 250}))
	if err != nil || string(r.Value) != "\xf4\x03\x06tea" {
		t.Fatalf("%q, %v", r.Value, err)
	}
	if m, err := codecs.Decode(r); err != nil || *m.Value != (Order{"tea", 250}) {
		t.Errorf("%+v, %v", m.Value, err)
	}
	if r, err := codecs.Encode(typed.MessageOf[struct{}, *Order]("t", struct{}{}, nil)); err != nil || r.Value != nil {
		t.Errorf("nil: %+v, %v", r, err)
	}
	for _, value := range []string{"", "\xf4", "\xf4\x03\x06te", "\xf4\x03\x06tea ", "\xf4\x03\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01"} {
		var wrong *typed.DecodeError
		if m, err := codecs.Decode(samsa.Record{Topic: "t", Offset: 7, Value: []byte(value)}); !errors.As(err, &wrong) || wrong.Record.Offset != 7 || m.Value != nil {
			t.Errorf("%q: %+v, %v", value, m.Value, err)
		}
	}
}

// What was written with an earlier schema is read by a later one, and the other way round.
func TestRegistered(t *testing.T) {
	ctx := t.Context()
	b := samsatest.New(t)
	c := client(t, registrytest.New(t, b))
	old, err := avro.Registered[Order](ctx, c, "orders-value", first)
	if err != nil {
		t.Fatal(err)
	}
	now, err := avro.Registered[*Order](ctx, c, "orders-value", second)
	if err != nil {
		t.Fatal(err)
	}
	written, err := old.Append([]byte{}, Order{"tea", 250})
	if err != nil || string(written) != "\x00\x00\x00\x00\x01\x06tea" {
		t.Errorf("%q, %v", written, err)
	}
	if o, err := now.Decode(samsa.Record{Value: written}); err != nil || *o != (Order{"tea", 7}) {
		t.Errorf("an earlier one: %+v, %v", o, err)
	}
	written, err = now.Append([]byte{}, &Order{"tea", 250})
	if err != nil || string(written) != "\x00\x00\x00\x00\x02\xf4\x03\x06tea" {
		t.Errorf("%q, %v", written, err)
	}
	if o, err := old.Decode(samsa.Record{Value: written}); err != nil || o != (Order{"tea", 0}) {
		t.Errorf("a later one: %+v, %v", o, err)
	}
	if nothing, err := now.Append([]byte{}, nil); nothing != nil || err != nil {
		t.Errorf("nil: %q, %v", nothing, err)
	}
	if _, err := avro.Registered[Order](ctx, c, "orders-value", `"int"`); err == nil {
		t.Error("what is not compatible is registered")
	}
	other, err := c.CreateSchema(ctx, "other", sr.Schema{Type: sr.TypeJSON, Schema: `{}`})
	if err != nil {
		t.Fatal(err)
	}
	for _, value := range []string{"", "\x00\x00\x00\x00", "\x01\x00\x00\x00\x01\x06tea", "\x00\xff\xff\xff\xff", "\x00\x00\x00\x00\x63\x06tea", "\x00\x00\x00\x00\x01\x06te", "\x00\x00\x00\x00" + string(rune(other.ID)) + "{}"} {
		if o, err := old.Decode(samsa.Record{Value: []byte(value)}); err == nil || errors.Is(err, avro.ErrRegistry) {
			t.Errorf("%q: %+v, %v", value, o, err)
		}
	}
	if _, err := avro.Registered[Order](ctx, c, "price-value", `{"type":"record","name":"Price","fields":[{"name":"cents","type":"long"}]}`); err != nil {
		t.Fatal(err)
	}
	type line struct {
		Price struct {
			Cents int64 `avro:"cents"`
		} `avro:"price"`
	}
	ref := sr.SchemaReference{Name: "Price", Subject: "price-value", Version: 1}
	lines, err := avro.Registered[line](ctx, c, "lines-value", `{"type":"record","name":"Line","fields":[{"name":"price","type":"Price"}]}`, ref)
	if err != nil {
		t.Fatal(err)
	}
	var l line
	l.Price.Cents = 9
	written, err = lines.Append(nil, l)
	if is, e := lines.Decode(samsa.Record{Value: written}); err != nil || e != nil || is != l {
		t.Errorf("with a reference: %+v, %v, %v", is, err, e)
	}
}

// A registry that is away is told from a record that is wrong, and a schema is asked for once.
func TestRegistryAway(t *testing.T) {
	b := samsatest.New(t)
	r, err := registry.New(t.Context(), b, registry.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var asked, away atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		asked.Add(1)
		if away.Load() > 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		r.ServeHTTP(w, q)
	}))
	defer func() {
		s.Close()
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}()
	c := client(t, s.URL)
	if _, err := c.CreateSchema(t.Context(), "orders-value", sr.Schema{Schema: first}); err != nil {
		t.Fatal(err)
	}
	now, err := avro.Registered[Order](t.Context(), c, "orders-value", second)
	if err != nil {
		t.Fatal(err)
	}
	record := samsa.Record{Value: append(binary.BigEndian.AppendUint32([]byte{0}, 1), "\x06tea"...)}
	away.Store(1)
	if _, err := now.Decode(record); !errors.Is(err, avro.ErrRegistry) {
		t.Errorf("%v", err)
	}
	away.Store(0)
	before := asked.Load()
	for range 10 {
		if o, err := now.Decode(record); err != nil || o.Item != "tea" {
			t.Errorf("%+v, %v", o, err)
		}
	}
	if n := asked.Load() - before; n != 1 {
		t.Errorf("it was asked %d times", n)
	}
}
