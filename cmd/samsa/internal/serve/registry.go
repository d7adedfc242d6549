package serve

import (
	"context"
	"errors"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/cmd/samsa/internal/backend"
	"github.com/samsa-go/samsa/cmd/samsa/internal/schema"
	"github.com/samsa-go/samsa/console"
)

// registryFlag is a flag for the URL of a schema registry.
type registryFlag struct {
	url      string
	registry *schema.Registry // nil for none
}

// String returns the URL, without the password that may stand in it.
func (f *registryFlag) String() string {
	return backend.Redacted(f.url)
}

// Set sets the URL. Whether it is one says open, whose error has no password in it.
func (f *registryFlag) Set(address string) error {
	f.url = address
	return nil
}

// open makes what decodes. It asks the registry nothing.
func (f *registryFlag) open() (err error) {
	if f.url != "" {
		f.registry, err = schema.New(f.url)
	}
	return err
}

// Type names what it takes.
func (f *registryFlag) Type() string { return "URL" }

// decoder returns what the console decodes with; nil for nothing.
func (f *registryFlag) decoder() console.Decoder {
	if f.registry == nil {
		return nil
	}
	return decoder{f.registry}
}

// close ends what connects to the registry.
func (f *registryFlag) close() {
	if f.registry != nil {
		f.registry.Close()
	}
}

// decoder decodes what was written with a schema of a registry.
type decoder struct{ registry *schema.Registry }

// Decode implements console.Decoder.
func (d decoder) Decode(ctx context.Context, r samsa.Record) (key, value console.Decoded, err error) {
	if key, err = d.one(ctx, r.Key); err == nil {
		value, err = d.one(ctx, r.Value)
	}
	return key, value, err
}

// one decodes a key or a value.
func (d decoder) one(ctx context.Context, b []byte) (is console.Decoded, err error) {
	is.Text, is.By, err = d.registry.DecodeBy(ctx, b)
	switch {
	case err == nil:
		return is, nil
	case errors.Is(err, schema.ErrPlain):
		return console.Decoded{}, nil
	case errors.Is(err, schema.ErrRecord):
		return console.Decoded{Err: err}, nil
	}
	return console.Decoded{}, err
}
