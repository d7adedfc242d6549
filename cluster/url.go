package cluster

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/samsa-go/samsa"
)

// PasswordVariable is the variable of the environment that has the password of the user in a URL.
const PasswordVariable = "SAMSA_KAFKA_PASSWORD"

// OpenURL is Open for flags and files of settings:
//
//	kafka://user@host:9092,host:9092/?name=billing&keys=prices&keysdir=/var/prices&tls=true&ca=/etc/ca.pem&cert=/etc/me.pem&key=/etc/me.key&sasl=SCRAM-SHA-512
//
// All but a host may be left out. name, keys and keysdir are Options.Name, Keys and KeysDir. With a user the password is in the environment, as PasswordVariable says, and a URL that has one is
// refused; sasl is the mechanism: PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512, which is the default. tls=true encrypts, and ca names a file
// of the certificates that are trusted in place of the system's. cert and key name the files of the certificate, PEM with those that it is signed by, that brokers
// are shown who ask for one, and of its key; they are read again for each connection, so that they may be renewed. What is none of that is samsa.ErrInvalidOption.
func OpenURL(ctx context.Context, address string) (*samsa.Broker, error) {
	opts, err := ParseURL(address)
	if err != nil {
		return nil, fmt.Errorf("open cluster: %w", err)
	}
	return Open(ctx, opts)
}

var parameters = []string{"name", "keys", "keysdir", "tls", "ca", "cert", "key", "sasl"}

// ParseURL returns the options that a URL stands for: see OpenURL. The caller may add to them.
func ParseURL(address string) (Options, error) {
	one, hosts := cutHosts(address)
	u, err := url.Parse(one)
	if err != nil {
		var detail *url.Error
		if errors.As(err, &detail) { // without the address: it may have a password
			err = detail.Err
		}
		return Options{}, fmt.Errorf("%w: the URL: %w", samsa.ErrInvalidOption, err)
	}
	query := u.Query()
	opts := Options{Seeds: strings.Split(hosts, ","), Name: query.Get("name"), Keys: query.Get("keys"), KeysDir: query.Get("keysdir")}
	var errs []error
	wrong := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("%w: the URL "+format, append([]any{samsa.ErrInvalidOption}, args...)...))
	}
	if u.Scheme != "kafka" {
		wrong("begins with %q, want kafka://", u.Scheme)
	}
	if hosts == "" {
		wrong("has no host")
	}
	if strings.Trim(u.Path, "/") != "" || u.Fragment != "" {
		wrong("has a path or a fragment, want host:port/?name=value")
	}
	for name, values := range query {
		if !slices.Contains(parameters, name) || len(values) > 1 {
			wrong("has %s, want each of %s once", name, strings.Join(parameters, ", "))
		}
	}
	opts.TLS, err = tlsOf(query)
	errs = append(errs, err)
	opts.SASL, err = saslOf(u.User, query.Get("sasl"))
	if errs = append(errs, err); errors.Join(errs...) != nil {
		return Options{}, errors.Join(errs...)
	}
	return opts, nil
}

// cutHosts takes the hosts out of a URL, which are a list here and nowhere else, and puts one in their place.
func cutHosts(address string) (one, hosts string) {
	scheme, rest, ok := strings.Cut(address, "://")
	if !ok {
		return address, ""
	}
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	begin := strings.LastIndex(rest[:end], "@") + 1
	return scheme + "://" + rest[:begin] + "host" + rest[end:], rest[begin:end]
}

// tlsOf returns how connections are encrypted, nil if they are not.
func tlsOf(query url.Values) (*tls.Config, error) {
	cert, key := query.Get("cert"), query.Get("key")
	switch on, files := query.Get("tls"), query.Get("ca")+cert+key; {
	case on == "" && files == "", on == "false" && files == "":
		return nil, nil
	case on != "true":
		return nil, fmt.Errorf("%w: the URL has tls=%q, want true, or false without ca, cert and key", samsa.ErrInvalidOption, on)
	case (cert == "") != (key == ""):
		return nil, fmt.Errorf("%w: the URL has one of cert and key, want both or none", samsa.ErrInvalidOption)
	}
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	if cert != "" {
		if _, err := tls.LoadX509KeyPair(cert, key); err != nil {
			return nil, fmt.Errorf("%w: the URL: cert and key: %w", samsa.ErrInvalidOption, err)
		}
		conf.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			pair, err := tls.LoadX509KeyPair(cert, key)
			return &pair, err
		}
	}
	if file := query.Get("ca"); file != "" {
		pem, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("%w: the URL: ca: %w", samsa.ErrInvalidOption, err)
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%w: the URL: ca: %s has no certificate", samsa.ErrInvalidOption, file)
		}
	}
	return conf, nil
}

// saslOf returns how the user authenticates, nil without one.
func saslOf(user *url.Userinfo, mechanism string) ([]sasl.Mechanism, error) {
	if user.Username() == "" {
		if mechanism != "" || user != nil {
			return nil, fmt.Errorf("%w: the URL has no user", samsa.ErrInvalidOption)
		}
		return nil, nil
	}
	if _, ok := user.Password(); ok {
		return nil, fmt.Errorf("%w: the URL has a password, want that in the environment, as %s", samsa.ErrInvalidOption, PasswordVariable)
	}
	password := os.Getenv(PasswordVariable)
	if password == "" {
		return nil, fmt.Errorf("%w: the URL has a user, and %s has no password", samsa.ErrInvalidOption, PasswordVariable)
	}
	switch mechanism {
	case "PLAIN":
		return []sasl.Mechanism{plain.Auth{User: user.Username(), Pass: password}.AsMechanism()}, nil
	case "SCRAM-SHA-256":
		return []sasl.Mechanism{scram.Auth{User: user.Username(), Pass: password}.AsSha256Mechanism()}, nil
	case "SCRAM-SHA-512", "":
		return []sasl.Mechanism{scram.Auth{User: user.Username(), Pass: password}.AsSha512Mechanism()}, nil
	}
	return nil, fmt.Errorf("%w: the URL has sasl=%q, want PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512", samsa.ErrInvalidOption, mechanism)
}
