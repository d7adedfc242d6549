package serve

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"go.uber.org/zap"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/api"
	"github.com/samsa-go/samsa/kafka"
)

// security is what kafka.Security is made of, and the users who are made at the start.
type security struct {
	tls    kafka.TLS
	sasl   kafka.SASL
	mechs  addresses
	keys   string // file, of tokens
	tokens kafka.TokenOptions
	users  string // file

	acls  kafka.ACLs
	check bool // requests against ACLs
}

// defineSecurity defines who may connect.
func (c *Config) defineSecurity(fs *pflag.FlagSet) {
	s := &c.security
	fs.StringVar(&s.tls.CertFile, "tls-cert", "", "encrypt connections, those of --http too, with the certificate in this `file` (PEM); it is read again when it changes")
	fs.StringVar(&s.tls.KeyFile, "tls-key", "", "the key to it is in this `file` (PEM)")
	fs.StringVar(&s.tls.ClientCAFile, "tls-client-ca", "", "the authorities of clients' certificates are in this `file` (PEM)")
	fs.Var((*clientAuthFlag)(&s.tls.ClientAuth), "tls-client-auth", "whether clients need a certificate: none, requested or required (`what`, as Kafka's ssl.client.auth)")
	fs.StringVar(&s.tls.PrincipalRules, "tls-principal-rules", "", "make names of the subjects of certificates by these `rules`, as Kafka's ssl.principal.mapping.rules does")
	fs.Var(&s.mechs, "sasl", "have clients log in by one of these `mechanisms`, with commas: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER")
	fs.StringVar(&s.users, "users-file", "", "give the users in this `file` their passwords: lines of NAME:PASSWORD (samsa users does it too)")
	fs.StringVar(&s.keys, "oauth-keys", "", "take tokens that are signed by a key in this `file`, a JSON Web Key Set, by OAUTHBEARER")
	fs.StringVar(&s.tokens.Issuer, "oauth-issuer", "", "take tokens of this `issuer` alone")
	fs.StringVar(&s.tokens.Audience, "oauth-audience", "", "take tokens for this `audience` alone")
	fs.StringVar(&s.tokens.NameClaim, "oauth-name-claim", "", "the name of who has a token is in this `claim` (default sub)")
	fs.DurationVar(&s.sasl.MaxReauth, "sasl-max-reauth", 0, "have clients log in again after this `time` (default never, or when a token ends)")
	fs.BoolVar(&s.check, "acls", false, "check each request against the ACLs that are kept with the data, which Kafka's tools make: what none allows is refused")
	fs.Var((*principals)(&s.acls.SuperUsers), "super-users", "with --acls, these `users` may do everything, as Kafka's super.users: User:admin;User:CN=ops,O=Shop")
	fs.BoolVar(&s.acls.AllowIfNone, "acls-allow-if-none", false, "with --acls, let everybody do what no ACL is about")
	fs.BoolVar(&c.kafka.Security.AllowAnyone, "allow-anyone", false, "with --allow-remote, let other machines in without TLS or SASL: anybody, over connections that all can read")
	fs.IntVar(&c.kafka.MaxConnectionsPerAddress, "max-connections-per-address", 0, "serve at most this `number` of connections from one IP address (default any)")
}

// checkSecurity makes the options of the door, and reports what does not go together.
func (c *Config) checkSecurity() (errs []error) {
	s := &c.security
	if s.tls != (kafka.TLS{}) {
		if s.tls.CertFile == "" || s.tls.KeyFile == "" {
			errs = append(errs, errors.New("TLS wants --tls-cert and --tls-key"))
		}
		c.kafka.Security.TLS = &s.tls
	}
	if len(s.mechs) > 0 {
		s.sasl.Mechanisms = s.mechs
		c.kafka.Security.SASL = &s.sasl
	}
	errs = append(errs, c.checkACLs()...)
	bearer := slices.Contains(s.mechs, "OAUTHBEARER")
	if bearer != (s.keys != "") {
		errs = append(errs, errors.New("--sasl OAUTHBEARER and --oauth-keys want each other"))
	} else if bearer {
		token, err := kafka.JWKS(s.keys, s.tokens)
		if err != nil {
			errs = append(errs, fmt.Errorf("--oauth-keys: %w", err))
		}
		s.sasl.Token = token
	}
	if len(s.mechs) == 0 && (s.sasl.MaxReauth != 0 || s.users != "") {
		errs = append(errs, errors.New("--sasl-max-reauth and --users-file are for --sasl, which is not given"))
	}
	return errs
}

// principals is a flag of users, with semicolons between, as they may have commas.
type principals []kafka.Principal

// String returns them with semicolons between.
func (p *principals) String() string {
	var all []string
	for _, one := range *p {
		all = append(all, one.String())
	}
	return strings.Join(all, ";")
}

// Set sets them all.
func (p *principals) Set(v string) error {
	*p = nil
	for text := range strings.SplitSeq(v, ";") {
		one, err := kafka.ParsePrincipal(text)
		if err != nil {
			return err
		}
		*p = append(*p, one)
	}
	return nil
}

// Type is what pflag calls a value of the flag.
func (p *principals) Type() string { return "users" }

// checkACLs makes the options of ACLs.
func (c *Config) checkACLs() (errs []error) {
	s := &c.security
	switch {
	case s.check:
		c.kafka.ACLs = &s.acls
	case len(s.acls.SuperUsers) > 0 || s.acls.AllowIfNone:
		errs = append(errs, errors.New("--super-users and --acls-allow-if-none are for --acls, which is not given"))
	}
	return errs
}

// asks reports whether somebody has to prove something, or connections are encrypted, or that is not wanted.
func (c *Config) asks() bool {
	return c.kafka.Security.TLS != nil || c.kafka.Security.SASL != nil || c.kafka.Security.AllowAnyone
}

// giveUsers gives the users of --users-file their passwords. Its errors do not hold them.
func (c *Config) giveUsers(ctx context.Context, b *samsa.Broker) error {
	if c.security.users == "" {
		return nil
	}
	f, err := os.Open(c.security.users)
	if err != nil {
		return fmt.Errorf("--users-file: %w", err)
	}
	defer func() { _ = f.Close() }()
	users, err := kafka.UsersOf(b)
	if err != nil {
		return err
	}
	in := bufio.NewScanner(f)
	for n := 1; in.Scan(); n++ {
		line := strings.TrimSpace(in.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		name, password, ok := strings.Cut(line, ":")
		if !ok {
			return fmt.Errorf("--users-file: line %d of %s: want NAME:PASSWORD", n, c.security.users)
		}
		if users.Check(ctx, "", name, password) {
			continue // nothing is written anew at each start
		}
		if err := users.Set(ctx, name, password); err != nil {
			return fmt.Errorf("--users-file: line %d of %s: %w", n, c.security.users, err)
		}
	}
	return in.Err()
}

// door is that of what is served over HTTP: it asks who calls as the Kafka door does, and nobody where that asks nobody.
func (c *Config) door(broker func() *samsa.Broker) (o api.Door) {
	a := c.kafka.Security.SASL
	if a == nil {
		return o
	}
	if len(a.Mechanisms) != 1 || a.Token == nil {
		o.Login = func(ctx context.Context, from, name, password string) bool {
			users, err := kafka.UsersOf(broker())
			return err == nil && users.Check(ctx, from, name, password)
		}
	}
	if a.Token != nil {
		o.Token = func(ctx context.Context, token string) error {
			id, err := a.Token(ctx, token)
			if err == nil && (id.Principal.Name == "" || !id.Expires.IsZero() && !time.Now().Before(id.Expires)) {
				err = errors.New("a token that has ended, or is nobody's")
			}
			if err != nil {
				c.broker.Logger.Info("http: a token is refused", zap.Error(err))
			}
			return err
		}
	}
	return o
}

// webTLS returns what HTTP is encrypted with; nil for nothing.
func (c *Config) webTLS() (*tls.Config, error) {
	if c.kafka.Security.TLS == nil {
		return nil, nil
	}
	return c.kafka.Security.TLS.Server(c.broker.Logger)
}

// clientAuthFlag is a flag for whether clients need a certificate.
type clientAuthFlag kafka.ClientAuth

var clientAuths = []string{"none", "requested", "required"}

// String returns what is wanted.
func (a *clientAuthFlag) String() string { return clientAuths[*a] }

// Set sets it.
func (a *clientAuthFlag) Set(v string) error {
	i := slices.Index(clientAuths, v)
	if i < 0 {
		return errors.New("want none, requested or required")
	}
	*a = clientAuthFlag(i)
	return nil
}

// Type names what it takes.
func (a *clientAuthFlag) Type() string { return "what" }
