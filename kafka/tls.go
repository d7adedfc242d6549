package kafka

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"go.uber.org/zap"
)

// handshakeTimeout is how long a client may take for a handshake of TLS.
const handshakeTimeout = 30 * time.Second

// Server returns a config for a server, of another protocol say, that encrypts as t says: it reads the files, and reads them again when they
// change. logger is told then; nil tells nobody. It fails if a file cannot be used.
func (t TLS) Server(logger *zap.Logger) (*tls.Config, error) {
	if logger == nil {
		logger = zap.NewNop()
	}
	base := new(tls.Config)
	if t.Config != nil {
		base = t.Config.Clone()
	}
	if t.CertFile == "" && t.ClientCAFile == "" {
		t.demand(base)
		return base, nil
	}
	w := &watchedTLS{o: t, base: base, logger: logger}
	if err := w.read(w.stamp()); err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion: base.MinVersion, SessionTicketsDisabled: true,
		GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			config := w.config()
			if config.GetConfigForClient != nil {
				if chosen, err := config.GetConfigForClient(hello); chosen != nil || err != nil {
					return chosen, err
				}
			}
			return config, nil
		},
	}, nil
}

// demand has config ask for certificates as t says, and take none that nobody has verified, as who shows one is whom it names. It holds
// for a config that config chooses for a client, too.
func (t TLS) demand(config *tls.Config) {
	config.SessionTicketsDisabled = true // who resumes a session shows no certificate
	switch t.ClientAuth {
	case RequestClientCert:
		config.ClientAuth = tls.VerifyClientCertIfGiven
	case RequireClientCert:
		config.ClientAuth = tls.RequireAndVerifyClientCert
	}
	if config.VerifyPeerCertificate == nil && config.VerifyConnection == nil {
		config.VerifyConnection = checkVerified
	}
	choose := config.GetConfigForClient
	if choose == nil {
		return
	}
	config.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		chosen, err := choose(hello)
		if chosen == nil || err != nil {
			return nil, err
		}
		chosen = chosen.Clone()
		if chosen.ClientCAs == nil {
			chosen.ClientCAs = config.ClientCAs
		}
		t.demand(chosen)
		return chosen, nil
	}
}

var errUnverified = errors.New("a client's certificate that nobody has verified")

// checkVerified refuses a certificate that was asked for and not verified (tls.RequestClientCert, tls.RequireAnyClientCert).
func checkVerified(state tls.ConnectionState) error {
	if len(state.PeerCertificates) > 0 && len(state.VerifiedChains) == 0 {
		return errUnverified
	}
	return nil
}

// watchedTLS is a config whose files are read again when they have changed: it is looked for that at each handshake.
type watchedTLS struct {
	o      TLS
	base   *tls.Config
	logger *zap.Logger

	mu    sync.Mutex // guards what follows, and is held while files are read
	at    string     // what the files looked like when they were read last, or were tried
	inUse *tls.Config
}

// stamp describes how the files look from outside. Links are followed: in Kubernetes they change.
func (w *watchedTLS) stamp() string {
	var b strings.Builder
	for _, path := range []string{w.o.CertFile, w.o.KeyFile, w.o.ClientCAFile} {
		if path == "" {
			continue
		}
		info, err := os.Stat(path)
		if err != nil {
			fmt.Fprintln(&b, "missing")
			continue
		}
		fmt.Fprintln(&b, info.Size(), info.ModTime().UnixNano())
	}
	return b.String()
}

// config returns what is in force, for one handshake.
func (w *watchedTLS) config() *tls.Config {
	at := w.stamp()
	w.mu.Lock()
	defer w.mu.Unlock()
	if at != w.at {
		if err := w.read(at); err != nil {
			w.logger.Warn("kafka: the files of TLS have changed and cannot be used, what was read before stays in force", zap.Error(err))
		} else {
			w.logger.Info("kafka: the files of TLS have changed and were read again")
		}
	}
	return w.inUse
}

// read reads the files, which look so.
func (w *watchedTLS) read(at string) error {
	w.at = at
	next := w.base.Clone()
	if w.o.CertFile != "" {
		cert, err := tls.LoadX509KeyPair(w.o.CertFile, w.o.KeyFile)
		if err != nil {
			return fmt.Errorf("certificate %s with key %s: %w", w.o.CertFile, w.o.KeyFile, err)
		}
		next.Certificates = []tls.Certificate{cert}
	}
	if w.o.ClientCAFile != "" {
		text, err := os.ReadFile(w.o.ClientCAFile)
		if err != nil {
			return fmt.Errorf("authorities of clients: %w", err)
		}
		if next.ClientCAs = x509.NewCertPool(); !next.ClientCAs.AppendCertsFromPEM(text) {
			return fmt.Errorf("authorities of clients: %s has no certificate", w.o.ClientCAFile)
		}
	}
	w.o.demand(next)
	w.inUse = next
	return nil
}

var (
	errHandshake = errors.New("no handshake of TLS")
	errNoTLS     = fmt.Errorf("%w: the client does not speak TLS (security.protocol=SSL or SASL_SSL)", errHandshake)
)

// shakeHands brings TLS about, if the connection is one of TLS, and takes the client's name off its certificate.
func (c *conn) shakeHands() error {
	tc, ok := c.nc.(*tls.Conn)
	if !ok {
		return nil
	}
	ctx, cancel := context.WithTimeout(c.ctx, handshakeTimeout)
	defer cancel()
	if err := tc.HandshakeContext(ctx); err != nil {
		c.s.tally.handshakes.Add(1)
		var header tls.RecordHeaderError
		if errors.As(err, &header) {
			return errNoTLS
		}
		return fmt.Errorf("%w: %w", errHandshake, err)
	}
	state := tc.ConnectionState()
	shown := state.PeerCertificates
	if len(shown) == 0 || c.s.tls == nil && checkVerified(state) != nil { // what the config of a listener that was given does nobody knows here
		return nil
	}
	subject, err := distinguishedName(shown[0].RawSubject)
	if err != nil {
		return fmt.Errorf("%w: %w", errHandshake, err)
	}
	name, ok := c.s.names.of(subject)
	if !ok {
		c.s.tally.failedLogins.Add(1)
		return fmt.Errorf("%w: no rule makes a name of %q", errLogin, subject)
	}
	c.become(Principal{UserType, name})
	return nil
}

// joinedBytes is how much is encrypted at a time of what is in many pieces: a record of TLS each, and a call of the system, would
// cost more than the copy.
const joinedBytes = 64 << 10

// writePart writes a part of an answer.
func (c *conn) writePart(part net.Buffers) (written int64, err error) {
	if _, ok := c.nc.(*tls.Conn); !ok || len(part) == 1 {
		return part.WriteTo(c.nc)
	}
	buf := getBuffer(joinedBytes)
	defer buf.put()
	b := buf.b[:0]
	flush := func(b []byte) error {
		n, err := c.nc.Write(b)
		written += int64(n)
		return err
	}
	for _, piece := range part {
		if len(b)+len(piece) > joinedBytes && len(b) > 0 {
			if err := flush(b); err != nil {
				return written, err
			}
			b = b[:0]
		}
		if len(piece) >= joinedBytes {
			if err := flush(piece); err != nil {
				return written, err
			}
			continue
		}
		b = append(b, piece...)
	}
	if len(b) == 0 {
		return written, nil
	}
	return written, flush(b)
}

// The attributes whose names RFC 2253 has; others are told by their numbers, and their values in hex, as Java does.
var attributeNames = map[string]string{
	"2.5.4.3": "CN", "2.5.4.7": "L", "2.5.4.8": "ST", "2.5.4.10": "O", "2.5.4.11": "OU", "2.5.4.6": "C", "2.5.4.9": "STREET",
	"0.9.2342.19200300.100.1.25": "DC", "0.9.2342.19200300.100.1.1": "UID",
}

// distinguishedName returns the subject of a certificate as Kafka writes it: X500Principal.getName, of RFC 2253.
func distinguishedName(subject []byte) (string, error) {
	type attribute struct {
		Type  asn1.ObjectIdentifier
		Value asn1.RawValue
	}
	type relativeSET []attribute // asn1 takes SET from the name
	var names []relativeSET
	if rest, err := asn1.Unmarshal(subject, &names); err != nil || len(rest) > 0 {
		return "", fmt.Errorf("malformed subject of a certificate: %w", err)
	}
	var b strings.Builder
	for i := len(names) - 1; i >= 0; i-- {
		for j, a := range names[i] {
			switch {
			case j > 0:
				b.WriteByte('+')
			case b.Len() > 0:
				b.WriteByte(',')
			}
			name, value := attributeNames[a.Type.String()], ""
			text := a.Value.Class == asn1.ClassUniversal && (a.Value.Tag == asn1.TagPrintableString || a.Value.Tag == asn1.TagUTF8String)
			if name == "" || !text || !utf8.Valid(a.Value.Bytes) {
				value = "#" + hex.EncodeToString(a.Value.FullBytes)
			} else {
				value = escapeName(string(a.Value.Bytes))
			}
			if name == "" {
				name = a.Type.String()
			}
			b.WriteString(name + "=" + value)
		}
	}
	return b.String(), nil
}

// escapeName puts a backslash before what means something in a distinguished name, and before spaces at the ends.
func escapeName(value string) string {
	const special = `,=+<>#;"\`
	inner := strings.Trim(value, " ")
	lead := len(value) - len(strings.TrimLeft(value, " "))
	var b strings.Builder
	b.WriteString(strings.Repeat(`\ `, lead))
	for _, r := range inner {
		switch {
		case r == 0:
			b.WriteString(`\00`)
			continue
		case strings.ContainsRune(special, r):
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	if inner != "" {
		b.WriteString(strings.Repeat(`\ `, len(value)-lead-len(inner)))
	}
	return b.String()
}
