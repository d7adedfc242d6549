package kafka

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/sasl"
)

// authority signs certificates of a test.
type authority struct {
	t    testing.TB
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	pem  []byte
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	a := &authority{t: t}
	a.key = newKey(t)
	template := certificateFor(pkix.Name{CommonName: "authority"})
	template.IsCA, template.BasicConstraintsValid, template.KeyUsage = true, true, x509.KeyUsageCertSign
	der, err := x509.CreateCertificate(rand.Reader, template, template, &a.key.PublicKey, a.key)
	if err == nil {
		a.cert, err = x509.ParseCertificate(der)
	}
	if err != nil {
		t.Fatal(err)
	}
	a.pem = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return a
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func certificateFor(name pkix.Name) *x509.Certificate {
	now := time.Now()
	return &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: name, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
}

// sign returns a certificate and its key, as PEM.
func (a *authority) sign(template *x509.Certificate) (cert, key []byte) {
	a.t.Helper()
	k := newKey(a.t)
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &k.PublicKey, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		a.t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})
}

// client returns what a client needs that trusts a, with a certificate of that name unless it is nil, signed by signer.
func (a *authority) client(name *pkix.Name, signer *authority) *tls.Config {
	a.t.Helper()
	config := &tls.Config{RootCAs: x509.NewCertPool()}
	config.RootCAs.AddCert(a.cert)
	if name != nil {
		pair, err := tls.X509KeyPair(signer.sign(certificateFor(*name)))
		if err != nil {
			a.t.Fatal(err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config
}

func write(t testing.TB, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// files writes a server's files to a directory.
func (a *authority) files(dir string) TLS {
	a.t.Helper()
	o := TLS{CertFile: filepath.Join(dir, "cert.pem"), KeyFile: filepath.Join(dir, "key.pem"), ClientCAFile: filepath.Join(dir, "ca.pem")}
	cert, key := a.sign(certificateFor(pkix.Name{CommonName: "server"}))
	write(a.t, o.CertFile, cert)
	write(a.t, o.KeyFile, key)
	write(a.t, o.ClientCAFile, a.pem)
	return o
}

// shake connects a client by TLS.
func (k *kit) shake(config *tls.Config) (*client, error) {
	k.t.Helper()
	nc, err := tls.Dial("tcp", k.srv.Addr().String(), config)
	if err != nil {
		return nil, err
	}
	k.t.Cleanup(func() { _ = nc.Close() })
	c := &client{Conn: nc, t: k.t}
	c.sent = nil
	// With TLS 1.3 a client hears that its certificate is refused with the first answer.
	frame := kmsg.NewRequestFormatter().AppendRequest(nil, versioned(kmsg.NewPtrApiVersionsRequest(), 0), 1)
	if _, err := nc.Write(frame); err != nil {
		return nil, err
	}
	var first [1]byte
	if _, err := io.ReadFull(nc, first[:]); err != nil {
		return nil, err
	}
	c.Conn, c.last = &unread{Conn: nc, b: first[:]}, 1
	c.receiveFrame(1)
	return c, nil
}

func versioned(r kmsg.Request, version int16) kmsg.Request {
	r.SetVersion(version)
	return r
}

// unread is a connection of which something was read too early.
type unread struct {
	net.Conn
	b []byte
}

func (u *unread) Read(p []byte) (int, error) {
	if len(u.b) > 0 {
		n := copy(p, u.b)
		u.b = u.b[n:]
		return n, nil
	}
	return u.Conn.Read(p)
}

// Who shows a certificate is who it names, by the rules; who shows none, or one that others have signed, is refused where one is wanted.
func TestClientCertificates(t *testing.T) {
	ours, theirs := newAuthority(t), newAuthority(t)
	alice := &pkix.Name{CommonName: "Alice", Organization: []string{"Shop"}}
	for _, c := range []struct {
		name   string
		auth   ClientAuth
		rules  string
		config *tls.Config
		who    string // "" for nobody
	}{
		{"none wanted", NoClientCert, "", ours.client(alice, ours), "User:ANONYMOUS"},
		{"none shown", RequestClientCert, "", ours.client(nil, nil), "User:ANONYMOUS"},
		{"shown", RequestClientCert, "", ours.client(alice, ours), "User:CN=Alice,O=Shop"},
		{"another authority", RequestClientCert, "", ours.client(alice, theirs), ""},
		{"required", RequireClientCert, "", ours.client(alice, ours), "User:CN=Alice,O=Shop"},
		{"required and none shown", RequireClientCert, "", ours.client(nil, nil), ""},
		{"a rule", RequireClientCert, "RULE:^CN=(.*?),O=Shop$/$1@shop/L, DEFAULT", ours.client(alice, ours), "User:alice@shop"},
		{"no rule", RequireClientCert, "RULE:^CN=(.*?),O=Bank$/$1/", ours.client(alice, ours), ""},
		{"no trust", RequireClientCert, "", theirs.client(alice, ours), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := ours.files(t.TempDir())
			if o.ClientAuth, o.PrincipalRules = c.auth, c.rules; c.auth == NoClientCert {
				o.ClientCAFile = ""
			}
			k := start(t, samsa.Options{}, Options{Security: Security{TLS: &o}})
			client, err := k.shake(c.config)
			if (err == nil) != (c.who != "") {
				t.Fatalf("let in: %v", err)
			}
			if err == nil && client.whoami() != c.who {
				t.Errorf("it is %s, want %s", client.whoami(), c.who)
			}
		})
	}
}

// With SASL behind TLS the name is that of SASL; a client without TLS is not served.
func TestLoginByTLS(t *testing.T) {
	a := newAuthority(t)
	o := a.files(t.TempDir())
	o.ClientAuth = RequireClientCert
	k := start(t, samsa.Options{}, Options{Security: Security{TLS: &o, SASL: &SASL{}}})
	k.user("alice", "right")
	c, err := k.shake(a.client(&pkix.Name{CommonName: "laptop"}, a))
	if err != nil {
		t.Fatal(err)
	}
	if resp := c.login(2, sasl.Plain, "alice", "right"); resp.ErrorCode != 0 || c.whoami() != "User:alice" {
		t.Errorf("%+v, %s", resp, c.whoami())
	}
	k.create("t", samsa.TopicConfig{})
	value := strings.Repeat("v", 100_000)
	for range 3 {
		ask[*kmsg.ProduceResponse](c, 9, produceRequest(1, "t", batch(t, 0, record{1, "", value}, record{1, "", "short"})))
	}
	if got := fetched(t, ask[*kmsg.FetchResponse](c, 11, fetchRequest("t", 0))); len(got) != 6 || string(got[4].Value) != value {
		t.Errorf("%d records", len(got))
	}
	plain := k.dial()
	plain.send(0, kmsg.NewPtrApiVersionsRequest())
	_, _ = io.Copy(io.Discard, plain) // an alert, and the end
	if _, err := k.shake(&tls.Config{RootCAs: a.client(nil, nil).RootCAs}); err == nil {
		t.Error("let in without a certificate")
	}
	if err := k.srv.Close(); err != nil { // and all is counted
		t.Error(err)
	}
	if n := k.srv.Stats().FailedHandshakes; n != 2 || !k.logged(errNoTLS) {
		t.Errorf("%d handshakes have failed", n)
	}
}

// Files that change count from the next client on, all of them; those that cannot be read then change nothing, and are logged once.
func TestCertificatesChange(t *testing.T) {
	first, second := newAuthority(t), newAuthority(t)
	dir := t.TempDir()
	o := first.files(dir)
	o.ClientAuth = RequireClientCert
	k := start(t, samsa.Options{}, Options{Security: Security{TLS: &o}})
	name := &pkix.Name{CommonName: "alice"}
	old, err := k.shake(first.client(name, first))
	if err != nil {
		t.Fatal(err)
	}
	later := time.Now()
	touch := func() { // file systems have coarse clocks
		later = later.Add(time.Minute)
		for _, path := range []string{o.CertFile, o.KeyFile, o.ClientCAFile} {
			if err := os.Chtimes(path, later, later); err != nil {
				t.Fatal(err)
			}
		}
	}
	second.files(dir)
	touch()
	if _, err := k.shake(second.client(name, second)); err != nil {
		t.Errorf("the new authority: %v", err)
	}
	if _, err := k.shake(first.client(name, first)); err == nil {
		t.Error("the old authority is trusted still")
	}
	if who := old.whoami(); who != "User:CN=alice" {
		t.Errorf("who was connected before is %s", who)
	}
	write(t, o.KeyFile, []byte("half a key"))
	touch()
	for range 3 {
		if _, err := k.shake(second.client(name, second)); err != nil {
			t.Errorf("with a damaged file: %v", err)
		}
	}
	if n := k.logs.FilterMessageSnippet("cannot be used").Len(); n != 1 {
		t.Errorf("logged %d times", n)
	}
	k.keepsSecrets("half a key")
	if _, err := Listen(k.Broker, "127.0.0.1:0", Options{Security: Security{TLS: &o}}); err == nil {
		t.Error("a server begins without a key")
	}
}

// A config of the program's own, and a listener of its own, are served too.
func TestOwnTLS(t *testing.T) {
	a := newAuthority(t)
	pair, err := tls.X509KeyPair(a.sign(certificateFor(pkix.Name{CommonName: "server"})))
	if err != nil {
		t.Fatal(err)
	}
	config := &tls.Config{Certificates: []tls.Certificate{pair}, ClientCAs: a.client(nil, nil).RootCAs}
	k := start(t, samsa.Options{}, Options{Security: Security{TLS: &TLS{Config: config, ClientAuth: RequireClientCert}}})
	alice := a.client(&pkix.Name{CommonName: "alice"}, a)
	c, err := k.shake(alice)
	if err != nil || c.whoami() != "User:CN=alice" {
		t.Errorf("a config: %v", err)
	}
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: config.Certificates, ClientCAs: config.ClientCAs, ClientAuth: tls.RequireAndVerifyClientCert})
	if err != nil {
		t.Fatal(err)
	}
	if k.srv, err = Serve(k.Broker, ln, Options{}); err != nil {
		t.Fatal(err)
	}
	if c, err = k.shake(alice); err != nil || c.whoami() != "User:CN=alice" {
		t.Errorf("a listener: %v", err)
	}
}

// A certificate that nobody has verified names nobody, however the program's own config asks for it; and what the options demand holds for
// a config that is chosen for a client.
func TestOwnTLSVerifies(t *testing.T) {
	ours, theirs := newAuthority(t), newAuthority(t)
	pair, err := tls.X509KeyPair(ours.sign(certificateFor(pkix.Name{CommonName: "server"})))
	if err != nil {
		t.Fatal(err)
	}
	config := func(auth tls.ClientAuthType) *tls.Config {
		return &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: auth}
	}
	chooses := func(auth tls.ClientAuthType) *tls.Config {
		c := config(tls.NoClientCert)
		c.ClientCAs = ours.client(nil, nil).RootCAs
		c.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return config(auth), nil }
		return c
	}
	own := config(tls.RequireAnyClientCert)
	own.VerifyPeerCertificate = func([][]byte, [][]*x509.Certificate) error { return nil }
	name := &pkix.Name{CommonName: "alice"}
	stranger, alice, nobody := ours.client(name, theirs), ours.client(name, ours), ours.client(nil, nil)
	for _, c := range []struct {
		name   string
		o      TLS
		client *tls.Config
		who    string // "" for nobody
	}{
		{"any certificate", TLS{Config: config(tls.RequireAnyClientCert)}, stranger, ""},
		{"any or none", TLS{Config: config(tls.RequestClientCert)}, stranger, ""},
		{"none", TLS{Config: config(tls.RequestClientCert)}, nobody, "User:ANONYMOUS"},
		{"verified by the program", TLS{Config: own}, stranger, "User:CN=alice"},
		{"chosen, any certificate", TLS{Config: chooses(tls.RequireAnyClientCert)}, stranger, ""},
		{"chosen and required, none shown", TLS{Config: chooses(tls.NoClientCert), ClientAuth: RequireClientCert}, nobody, ""},
		{"chosen and required, a stranger's", TLS{Config: chooses(tls.NoClientCert), ClientAuth: RequireClientCert}, stranger, ""},
		{"chosen and required", TLS{Config: chooses(tls.NoClientCert), ClientAuth: RequireClientCert}, alice, "User:CN=alice"},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := start(t, samsa.Options{}, Options{Security: Security{TLS: &c.o}})
			client, err := k.shake(c.client)
			if (err == nil) != (c.who != "") {
				t.Fatalf("let in: %v", err)
			}
			if err == nil && client.whoami() != c.who {
				t.Errorf("it is %s, want %s", client.whoami(), c.who)
			}
		})
	}
	k := start(t, samsa.Options{}, Options{})
	ln, err := tls.Listen("tcp", "127.0.0.1:0", config(tls.RequireAnyClientCert))
	if err != nil {
		t.Fatal(err)
	}
	if k.srv, err = Serve(k.Broker, ln, Options{}); err != nil {
		t.Fatal(err)
	}
	if c, err := k.shake(stranger); err != nil || c.whoami() != "User:ANONYMOUS" {
		t.Errorf("a listener of the program, which verifies nothing: %v", err)
	}
}

// Names are those that Kafka gives: X500Principal.getName of Java 17 has written those that are wanted.
func TestDistinguishedNames(t *testing.T) {
	for _, c := range []struct {
		name pkix.Name
		want string
	}{
		{pkix.Name{CommonName: "alice"}, "CN=alice"},
		{pkix.Name{Country: []string{"DE"}, Organization: []string{"Shop"}, OrganizationalUnit: []string{"Dev"}, Locality: []string{"Ulm"}, Province: []string{"BW"}, StreetAddress: []string{"A 1"}, CommonName: "alice"},
			"CN=alice,OU=Dev,O=Shop,STREET=A 1,L=Ulm,ST=BW,C=DE"},
		{pkix.Name{OrganizationalUnit: []string{"b", "a"}, CommonName: "x"}, "CN=x,OU=a+OU=b"},
		{pkix.Name{CommonName: `a,b=c+d<e>f#g;h"i\j`}, `CN=a\,b\=c\+d\<e\>f\#g\;h\"i\\j`},
		{pkix.Name{CommonName: "  böse  "}, `CN=\ \ böse\ \ `},
		{pkix.Name{SerialNumber: "12", CommonName: "x"}, "2.5.4.5=#13023132,CN=x"},
		{pkix.Name{ExtraNames: []pkix.AttributeTypeAndValue{{Type: asn1.ObjectIdentifier{0, 9, 2342, 19200300, 100, 1, 1}, Value: "alice"}, {Type: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1}, Value: "a@b"}}},
			"1.2.840.113549.1.9.1=#0c03614062,UID=alice"},
	} {
		der, err := asn1.Marshal(c.name.ToRDNSequence())
		if err != nil {
			t.Fatal(err)
		}
		if got, err := distinguishedName(der); got != c.want || err != nil {
			t.Errorf("%s, %v, want %s", got, err, c.want)
		}
	}
	for _, bad := range [][]byte{nil, {0x30}, {0x30, 1}, []byte("CN=alice")} {
		if name, err := distinguishedName(bad); err == nil {
			t.Errorf("%x is %s", bad, name)
		}
	}
}

// The rules are those of SslPrincipalMapper, with the examples of its documentation and of its tests.
func TestPrincipalRules(t *testing.T) {
	const duke = "CN=Duke,OU=ServiceUsers,O=Org,C=US"
	for _, c := range []struct{ rules, subject, want string }{
		{"", duke, duke},
		{"DEFAULT", duke, duke},
		{"RULE:^CN=(.*?),OU=ServiceUsers.*$/$1/", duke, "Duke"},
		{"RULE:^CN=(.*?),OU=ServiceUsers.*$/$1/L", duke, "duke"},
		{"RULE:^CN=(.*?),OU=ServiceUsers.*$/$1/U , DEFAULT", duke, "DUKE"},
		{"RULE:^CN=(.*?), *OU=(.*?), *O=(.*?), *L=(.*?), *ST=(.*?), *C=(.*?)$/$1@$2/L", "CN=duke, OU=JavaSoft, O=Sun Microsystems, L=Palo Alto, ST=CA, C=US", "duke@javasoft"},
		{"RULE:^cn=(.*?),ou=(.*?),dc=(.*?),dc=(.*?)$/$1@$2/U,DEFAULT", "cn=duke,ou=sme,dc=mycp,dc=com", "DUKE@SME"},
		{"RULE:^CN=(.*?),OU=Nobody.*$/$1/,RULE:^CN=(.*?),.*$/$1@other/", duke, "Duke@other"},
		{"RULE:^.*[Cc][Nn]=([a-zA-Z0-9.]*).*$/$1/L,DEFAULT", duke, "duke"},
		{`RULE:^CN=(.*?)\/.*$/$1/`, "CN=a/b", "a"},
		{"RULE:^CN=(.*?),.*$/$1$2$12/", duke, "Duke$2Duke2"},
		{`RULE:^CN=(.*?),.*$/\$1-$1/`, duke, "$1-Duke"},
		{"RULE:^CN=(?<who>.*?),.*$/${who}!/", duke, "Duke!"},
		{"RULE:^CN=Duk$/x/", duke, ""}, // the whole subject, or nothing
	} {
		rules, err := parseNameRules(c.rules)
		if err != nil {
			t.Errorf("%s: %v", c.rules, err)
			continue
		}
		if got, ok := rules.of(c.subject); got != c.want || ok != (c.want != "") {
			t.Errorf("%s of %s: %q, %t, want %q", c.rules, c.subject, got, ok, c.want)
		}
	}
	for _, bad := range []string{"default", "RULE:", "RULE:x", "RULE:x/y", "RULE:x/y/z", "RULE:(/y/", "DEFAULT DEFAULT", "RULE:a/b/L,junk", "RULE:(?=x)/y/"} {
		if _, err := parseNameRules(bad); err == nil {
			t.Errorf("%s is taken", bad)
		}
	}
}

// No more connections come from one address than are allowed, and those that end make room.
func TestConnectionsPerAddress(t *testing.T) {
	k := start(t, samsa.Options{}, Options{MaxConnectionsPerAddress: 2})
	first, second := k.dial(), k.dial()
	for _, c := range []*client{first, second} {
		ask[*kmsg.ApiVersionsResponse](c, 0, kmsg.NewPtrApiVersionsRequest())
	}
	k.dial().ended()
	if n := k.srv.Stats().Refused; n != 1 {
		t.Errorf("%d refused", n)
	}
	_ = first.Close()
	for k.srv.Stats().Connections > 1 {
		ask[*kmsg.ApiVersionsResponse](second, 0, kmsg.NewPtrApiVersionsRequest())
	}
	ask[*kmsg.ApiVersionsResponse](k.dial(), 0, kmsg.NewPtrApiVersionsRequest())
}

// Other machines reach a server only if it asks who they are, or encrypts, or somebody has said that it shall not.
func TestAllowRemoteAsks(t *testing.T) {
	k := newKit(t, samsa.Options{})
	a := newAuthority(t)
	o := a.files(t.TempDir())
	o.ClientCAFile = ""
	for name, c := range map[string]struct {
		s  Security
		ok bool
	}{
		"nothing": {Security{}, false}, "anyone": {Security{AllowAnyone: true}, true}, "SASL": {Security{SASL: &SASL{}}, true}, "TLS": {Security{TLS: &o}, true},
	} {
		srv, err := Listen(k.Broker, "0.0.0.0:0", Options{AllowRemote: true, Security: c.s})
		if (err == nil) != c.ok || !c.ok && (!errors.Is(err, samsa.ErrInvalidOption) || !strings.Contains(err.Error(), "AllowAnyone")) {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil {
			_ = srv.Close()
		}
	}
	for name, s := range map[string]Security{
		"no key": {TLS: &TLS{CertFile: "a"}}, "no certificate": {TLS: &TLS{}}, "both": {TLS: &TLS{CertFile: "a", KeyFile: "b", Config: &tls.Config{}}},
		"no authorities": {TLS: &TLS{CertFile: "a", KeyFile: "b", ClientAuth: RequireClientCert}}, "unused authorities": {TLS: &TLS{CertFile: "a", KeyFile: "b", ClientCAFile: "c"}},
		"rules": {TLS: &TLS{CertFile: "a", KeyFile: "b", PrincipalRules: "x"}}, "mechanism": {SASL: &SASL{Mechanisms: []string{"GSSAPI"}}},
		"no validator": {SASL: &SASL{Mechanisms: []string{"OAUTHBEARER"}}}, "reauth": {SASL: &SASL{MaxReauth: -1}},
	} {
		if _, err := Listen(k.Broker, "127.0.0.1:0", Options{Security: s}); !errors.Is(err, samsa.ErrInvalidOption) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
