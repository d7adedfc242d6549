package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/samsa-go/samsa/cmd/samsa/internal/backend"
	"github.com/samsa-go/samsa/cmd/samsa/internal/schema"
	"github.com/samsa-go/samsa/internal/api"
)

// registryFlag is where the schema registry is.
type registryFlag struct{ url string }

func (f *registryFlag) define(cmd *cobra.Command, what string) {
	cmd.Flags().StringVar(&f.url, "registry", "", what+" by schemas of the registry at this `URL` (samsa help schemas)")
}

// open returns the registry of the flag, or of SAMSA_REGISTRY where the flag is not given. It is nil for none.
func (f *registryFlag) open(e *env, given bool) (*schema.Registry, error) {
	address, from := f.url, "--registry"
	if !given {
		address, from = e.Getenv("SAMSA_REGISTRY"), "SAMSA_REGISTRY"
	}
	if address == "" {
		return nil, nil
	}
	if given && backend.HasPassword(address) {
		return nil, usageError{fmt.Errorf("--registry: %w: say it in SAMSA_REGISTRY", backend.ErrPassword)}
	}
	r, err := schema.New(address)
	if err != nil {
		return nil, usageError{fmt.Errorf("%s: %w", from, err)}
	}
	return r, nil
}

var errNoRegistry = errors.New("of which registry? Say --registry URL, or set SAMSA_REGISTRY")

// decoding is how consume decodes records.
type decoding struct {
	e        *env
	registry *schema.Registry // nil: records are left as they are
	keys     bool             // keys too
	failed   int64            // keys and values that were printed without
}

// decoded is a record, and by which schemas its parts were decoded: 0 for what is as it is stored.
type decoded struct {
	api.Record
	KeySchema   int `json:"key_schema,omitempty"`
	ValueSchema int `json:"value_schema,omitempty"`
}

// decode returns a record with JSON for what a schema has made. What cannot be decoded stays as it is, and tell says why.
func (d *decoding) decode(ctx context.Context, rec api.Record, tell bool) (decoded, error) {
	r := decoded{Record: rec}
	if d.registry == nil {
		return r, nil
	}
	fields := []struct {
		name  string
		bytes *api.Bytes
		id    *int
	}{{"value", &r.Value, &r.ValueSchema}, {"key", &r.Key, &r.KeySchema}}
	if !d.keys {
		fields = fields[:1]
	}
	for _, f := range fields {
		if *f.bytes == nil {
			continue
		}
		text, err := d.registry.Decode(ctx, *f.bytes)
		if err == nil {
			*f.id = schema.ID(*f.bytes)
			*f.bytes = text
			continue
		}
		err = fmt.Errorf("topic %s, partition %d, offset %d: the %s: %w", r.Topic, r.Partition, r.Offset, f.name, err)
		if !errors.Is(err, schema.ErrRecord) {
			return r, err
		}
		if tell {
			d.failed++
			fmt.Fprintf(d.e.Stderr, "samsa consume: %s\n", harmless([]byte(err.Error())))
		}
	}
	return r, nil
}

// result returns an error if something was not decoded.
func (d *decoding) result() error {
	if d.failed == 0 {
		return nil
	}
	return fmt.Errorf("%s not decoded, but printed as stored", plural(d.failed, "field"))
}

// encoding is how produce encodes records.
type encoding struct {
	registry   *schema.Registry
	known      map[int]*schema.Encoder // by the ids that lines have had
	key, value schema.Target
	encodeKey  *schema.Encoder // nil: keys are stored as they are
	encode     *schema.Encoder
}

func (x *encoding) define(cmd *cobra.Command) {
	fs := cmd.Flags()
	fs.StringVar(&x.value.Subject, "subject", "", "values are JSON, encoded by the newest schema of this `subject` of the registry")
	fs.IntVar(&x.value.ID, "schema-id", 0, "values are JSON, encoded by the schema of this `id`")
	fs.StringVar(&x.value.Message, "message", "", "with Protobuf, the `name` of the message that values are; else the first one of the schema")
	fs.StringVar(&x.key.Subject, "key-subject", "", "keys are JSON, encoded by the newest schema of this `subject`")
	fs.IntVar(&x.key.ID, "key-schema-id", 0, "keys are JSON, encoded by the schema of this `id`")
}

// check checks what was given.
func (x *encoding) check(given func(string) bool, registry *schema.Registry, json bool) error {
	values, keys := given("subject") || given("schema-id"), given("key-subject") || given("key-schema-id")
	var err error
	switch {
	case given("subject") && given("schema-id"):
		err = errors.New("--subject and --schema-id exclude each other")
	case given("key-subject") && given("key-schema-id"):
		err = errors.New("--key-subject and --key-schema-id exclude each other")
	case given("subject") && x.value.Subject == "" || given("key-subject") && x.key.Subject == "":
		err = errors.New("the name of a subject is empty")
	case given("schema-id") && x.value.ID <= 0 || given("key-schema-id") && x.key.ID <= 0:
		err = errors.New("the id of a schema is a number from 1 on")
	case given("message") && !values:
		err = errors.New("--message goes with --subject or --schema-id")
	case (values || keys) && registry == nil:
		err = errNoRegistry
	case given("registry") && registry != nil && !values && !keys && !json: // lines of JSON may say it
		err = errors.New("by which schema? Say --subject or --schema-id, for keys --key-subject or --key-schema-id")
	}
	if err != nil {
		return usageError{err}
	}
	return nil
}

// open fetches the schemas.
func (x *encoding) open(ctx context.Context, registry *schema.Registry) error {
	x.registry, x.known = registry, make(map[int]*schema.Encoder)
	for _, s := range []struct {
		target  schema.Target
		encoder **schema.Encoder
	}{{x.value, &x.encode}, {x.key, &x.encodeKey}} {
		if s.target.ID == 0 && s.target.Subject == "" {
			continue
		}
		var err error
		if *s.encoder, err = registry.Encoder(ctx, s.target); err != nil {
			return err
		}
	}
	return nil
}

// by returns what encodes by the schema that a line names, if it names one and there is a registry.
func (x *encoding) by(ctx context.Context, id int) (*schema.Encoder, error) {
	if id == 0 || x.registry == nil {
		return nil, nil
	}
	if x.known[id] == nil {
		e, err := x.registry.Encoder(ctx, schema.Target{ID: id})
		if err != nil {
			return nil, err
		}
		x.known[id] = e
	}
	return x.known[id], nil
}

// record encodes the key and the value of a record, by what the command line says, or else by the ids of schemas that its line has. Null stays
// null.
func (x *encoding) record(ctx context.Context, r *api.NewRecord, key, value int) error {
	for _, f := range []struct {
		name    string
		encoder *schema.Encoder
		id      int
		bytes   *api.Bytes
	}{{"key", x.encodeKey, key, &r.Key}, {"value", x.encode, value, &r.Value}} {
		var err error
		if f.encoder == nil {
			f.encoder, err = x.by(ctx, f.id)
		}
		if err != nil {
			return fmt.Errorf("the %s: %w", f.name, err)
		}
		if f.encoder == nil || *f.bytes == nil {
			continue
		}
		b, err := f.encoder.Encode(*f.bytes)
		if err != nil {
			return fmt.Errorf("the %s: %w", f.name, err)
		}
		*f.bytes = b
	}
	return nil
}

const schemasText = `Producers often store records in the format of a schema registry, in Avro, Protobuf or JSON Schema: a byte 0, the id of the schema, and the
data. With --registry URL, or SAMSA_REGISTRY in the environment, consume and produce have them as JSON. A user and a password may stand in the
URL, in the environment alone, as others see arguments. --registry "" turns off what the
environment says. The console of serve shows that JSON beside the bytes, and searches it. serve is a registry itself with --schema-registry
127.0.0.1:8081, to clients of Confluent's, and keeps the schemas in the topic _schemas.

  samsa consume orders --registry http://localhost:8081 --until-now
  samsa produce orders --registry http://localhost:8081 --subject orders-value < lines.json

consume fetches each schema that a record names, and what that refers to, once. It prints the value as JSON in one line, in the place of the
bytes; with --registry-keys the key too. --json has this JSON as a text, as it has every value; --where and --print see it as JSON. --key and
--contains look at the bytes that are stored. What cannot be decoded is printed as it is stored, stderr says of which record it is and why,
and in the end the command fails. A registry that does not answer ends it at once. Null is not decoded: it stays null.

produce reads JSON, and encodes it by the newest schema of --subject, or by --schema-id; keys by --key-subject or --key-schema-id, else they
are stored as they are. A line of consume --json has the ids of the schemas as value_schema and key_schema: with --json and a registry it is
encoded by these, so that a topic of several schemas stays what it was, and what has none is stored as it is. produce registers no schema.
With Protobuf --message names the message. A line that the schema does not allow is an error.

Avro has its own JSON: the value of a union stands behind its type, as in {"name":{"string":"gregor"}}, unless it is null; produce takes it without
the type too, for the first type of the union that may be. Bytes are a text of the characters U+0000 to U+00FF, and dates and times are
numbers. Protobuf has its own too, but that 64-bit integers are numbers. All integers are exact.`
