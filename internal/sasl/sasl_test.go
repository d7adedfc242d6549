package sasl

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"strconv"
	"strings"
	"testing"
)

// book is users and their passwords.
type book map[string]string

var salt = []byte("sixteen letters.")

func (b book) Credential(mechanism, user string) (Credential, bool) {
	password, ok := b[user]
	return Derive(mechanism, password, salt, MinIterations), ok
}

func (b book) Password(user, password string) bool { return b[user] == password && password != "" }

// oneUser is a user and his credential.
type oneUser struct{ c Credential }

func (o oneUser) Credential(_, user string) (Credential, bool) { return o.c, user == "user" }
func (o oneUser) Password(string, string) bool                 { return false }

// The examples of the standards, to the letter: RFC 5802, 5 by SHA-1, which is no mechanism here, and RFC 7677, 3 by SHA-256.
func TestScramOfTheStandards(t *testing.T) {
	for _, v := range []struct {
		name                            string
		hash                            func() hash.Hash
		salt, ours                      string
		first, asked, final, signed, in string
	}{
		{"RFC 5802", sha1.New, "QSXCR+Q6sek8bf92", "3rfcNHYJY1ZVvWVs7j",
			"n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL", "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
			"c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=", "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=", "pencil"},
		{"RFC 7677", hashOf(ScramSHA256), "W22ZaJ0SNY7soEsUEjb6gQ==", "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
			"n,,n=user,r=rOprNGfwEbeRWgbNEkqO", "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
			"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=", "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=", "pencil"},
	} {
		t.Run(v.name, func(t *testing.T) {
			raw, err := base64.StdEncoding.DecodeString(v.salt)
			if err != nil {
				t.Fatal(err)
			}
			s := &scram{hash: v.hash, users: oneUser{derive(v.hash, v.in, raw, 4096)}, nonce: v.ours}
			if asked, who, err := s.Next([]byte(v.first)); string(asked) != v.asked || who != nil || err != nil {
				t.Fatalf("%s, %v, %v; want %s", asked, who, err, v.asked)
			}
			signed, who, err := s.Next([]byte(v.final))
			if string(signed) != v.signed || err != nil || who == nil || who.Name != "user" {
				t.Errorf("%s, %v, %v; want %s", signed, who, err, v.signed)
			}
		})
	}
}

// clientFinal is what a client of SCRAM would answer, which a test may spoil.
func clientFinal(mechanism, password, bare, asked, header string) string {
	h := hashOf(mechanism)
	parts := strings.Split(asked, ",")
	raw, _ := base64.StdEncoding.DecodeString(parts[1][2:])
	iterations, _ := strconv.Atoi(parts[2][2:])
	without := "c=" + base64.StdEncoding.EncodeToString([]byte(header)) + "," + parts[0]
	c := Derive(mechanism, password, raw, iterations)
	key := clientKey(mechanism, password, raw, iterations)
	m := hmac.New(h, c.StoredKey)
	m.Write([]byte(bare + "," + asked + "," + without))
	proof := m.Sum(nil)
	subtle.XORBytes(proof, proof, key)
	return without + ",p=" + base64.StdEncoding.EncodeToString(proof)
}

func clientKey(mechanism, password string, raw []byte, iterations int) []byte {
	h := hashOf(mechanism)
	return sum(h, pbkdf(h, password, raw, iterations), "Client Key")
}

// pbkdf is PBKDF2 as RFC 5802 writes it: Hi.
func pbkdf(h func() hash.Hash, password string, raw []byte, iterations int) []byte {
	u := sum(h, []byte(password), string(raw)+"\x00\x00\x00\x01")
	all := append([]byte(nil), u...)
	for range iterations - 1 {
		u = sum(h, []byte(password), string(u))
		subtle.XORBytes(all, all, u)
	}
	return all
}

// Who knows the password is let in, whatever his name and in whatever words the mechanism allows; nobody else is.
func TestScram(t *testing.T) {
	users := book{"alice": "right", "a,b=c": "comma", "böse": "ünïcode"}
	for _, mechanism := range []string{ScramSHA256, ScramSHA512} {
		for _, c := range []struct {
			name, header, bare, password string
			spoil                        func(final string) string
			who                          string // "" for nobody
		}{
			{"right", "n,,", "n=alice,r=abc", "right", nil, "alice"},
			{"as oneself", "n,a=alice,", "n=alice,r=abc", "right", nil, "alice"},
			{"could bind", "y,,", "n=alice,r=abc", "right", nil, "alice"},
			{"an extension", "n,,", "n=alice,r=abc,tokenauth=false", "right", nil, "alice"},
			{"an escaped name", "n,,", "n=a=2Cb=3Dc,r=abc", "comma", nil, "a,b=c"},
			{"beyond ASCII", "n,,", "n=böse,r=abc", "ünïcode", nil, "böse"},
			{"wrong", "n,,", "n=alice,r=abc", "wrong", nil, ""},
			{"empty password", "n,,", "n=alice,r=abc", "", nil, ""},
			{"of nobody", "n,,", "n=nobody,r=abc", "right", nil, ""},
			{"of nobody, with the password of the answer to nobody", "n,,", "n=nobody,r=abc", "", nil, ""},
			{"as another", "n,a=bob,", "n=alice,r=abc", "right", nil, ""},
			{"binding", "p=tls-unique,,", "n=alice,r=abc", "right", nil, ""},
			{"a token", "n,,", "n=alice,r=abc,tokenauth=true", "right", nil, ""},
			{"no name", "n,,", "n=,r=abc", "right", nil, ""},
			{"no nonce", "n,,", "n=alice,r=", "right", nil, ""},
			{"a nonce with a control", "n,,", "n=alice,r=a\x01b", "right", nil, ""},
			{"mandatory extension", "n,,", "m=x,n=alice,r=abc", "right", nil, ""},
			{"malformed name", "n,,", "n=al=ice,r=abc", "right", nil, ""},
			{"another nonce", "n,,", "n=alice,r=abc", "right", func(f string) string { return strings.Replace(f, "r=abc", "r=abd", 1) }, ""},
			{"another header", "n,,", "n=alice,r=abc", "right", func(f string) string { return strings.Replace(f, "c=biws", "c=eSws", 1) }, ""},
			{"no proof", "n,,", "n=alice,r=abc", "right", func(f string) string { return f[:strings.LastIndex(f, ",p=")] }, ""},
			{"an empty proof", "n,,", "n=alice,r=abc", "right", func(f string) string { return f[:strings.LastIndex(f, ",p=")+3] }, ""},
			{"half a proof", "n,,", "n=alice,r=abc", "right", func(f string) string { return f[:strings.LastIndex(f, ",p=")+7] }, ""},
			{"the first message again", "n,,", "n=alice,r=abc", "right", func(string) string { return "n,,n=alice,r=abc" }, ""},
			{"nothing", "n,,", "n=alice,r=abc", "right", func(string) string { return "" }, ""},
		} {
			t.Run(mechanism+" "+c.name, func(t *testing.T) {
				s := NewScram(mechanism, users)
				asked, who, err := s.Next([]byte(c.header + c.bare))
				if who != nil {
					t.Fatal("let in by a first message")
				}
				if err == nil {
					final := clientFinal(mechanism, c.password, c.bare, string(asked), c.header)
					if c.spoil != nil {
						final = c.spoil(final)
					}
					_, who, err = s.Next([]byte(final))
				}
				is(t, who, err, c.who)
			})
		}
	}
}

func is(t *testing.T, who *Identity, err error, want string) {
	t.Helper()
	switch {
	case want == "" && (who != nil || !errors.Is(err, ErrFailed)):
		t.Errorf("%v was let in, %v", who, err)
	case want != "" && (err != nil || who == nil || who.Name != want):
		t.Errorf("%v, %v, want %s", who, err, want)
	}
}

func TestPlain(t *testing.T) {
	users := book{"alice": "right"}
	for message, want := range map[string]string{
		"\x00alice\x00right": "alice", "alice\x00alice\x00right": "alice",
		"\x00alice\x00wrong": "", "\x00alice\x00": "", "\x00\x00right": "", "\x00nobody\x00right": "", "bob\x00alice\x00right": "",
		"": "", "alice": "", "\x00alice\x00right\x00": "", "\x00\x00": "", "\x00\x00\x00\x00\x00\x00": "",
	} {
		_, who, err := NewPlain(users).Next([]byte(message))
		is(t, who, err, want)
	}
}

func TestOAuthBearer(t *testing.T) {
	validate := func(token string) (Identity, error) {
		if token != "good" {
			return Identity{}, errors.New("what the client is not to hear")
		}
		return Identity{Name: "alice"}, nil
	}
	for message, want := range map[string]string{
		"n,,\x01auth=Bearer good\x01\x01": "alice", "n,a=alice,\x01auth=bearer good\x01\x01": "alice",
		"n,,\x01auth=Bearer good\x01logicalCluster=lkc-1\x01\x01": "alice",
		"n,a=bob,\x01auth=Bearer good\x01\x01":                    "", "n,,\x01auth=Basic good\x01\x01": "", "n,,\x01\x01": "", "": "", "\x01": "",
		"n,,\x01auth=Bearer good\x01": "", "y,,\x01auth=Bearer good\x01\x01": "", "n,,\x01auth=Bearer go od\x01\x01": "",
	} {
		_, who, err := NewOAuthBearer(validate).Next([]byte(message))
		is(t, who, err, want)
	}
	o := NewOAuthBearer(validate)
	if answer, who, err := o.Next([]byte("n,,\x01auth=Bearer bad\x01\x01")); string(answer) != `{"status":"invalid_token"}` || who != nil || err != nil {
		t.Errorf("a refused token: %s, %v, %v", answer, who, err)
	}
	if _, who, err := o.Next([]byte("\x01")); who != nil || err == nil || err.Error() != `{"status":"invalid_token"}` {
		t.Errorf("behind a refused token: %v, %v", who, err)
	}
	o = NewOAuthBearer(validate)
	_, _, _ = o.Next([]byte("n,,\x01auth=Bearer bad\x01\x01"))
	if _, who, err := o.Next([]byte("n,,\x01auth=Bearer good\x01\x01")); who != nil || !errors.Is(err, ErrFailed) {
		t.Errorf("another token behind a refused one: %v, %v", who, err)
	}
}

// No message makes a mechanism fail otherwise than by an error, or lets somebody in who knows nothing.
func FuzzMessages(f *testing.F) {
	for _, seed := range []string{"n,,n=alice,r=abc", "\x00alice\x00right", "n,,\x01auth=Bearer good\x01\x01", "c=biws,r=abc,p=AAAA", "n,a=x,n=a=2C,r=b,c=d"} {
		f.Add([]byte(seed), []byte("\x01"))
	}
	users := book{"alice": "q8mS7OBR2"}
	refuse := func(string) (Identity, error) { return Identity{}, ErrFailed }
	f.Fuzz(func(t *testing.T, first, second []byte) {
		for _, e := range []Exchange{NewPlain(users), NewScram(ScramSHA256, users), NewOAuthBearer(refuse)} {
			for _, message := range [][]byte{first, second} {
				_, who, err := e.Next(message)
				if who != nil {
					t.Fatalf("%v was let in by %q", who, message)
				}
				if err != nil {
					break
				}
			}
		}
	})
}

// A credential is not printed.
func TestHidden(t *testing.T) {
	c := Derive(ScramSHA256, "right", salt, MinIterations)
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		for _, printed := range []string{fmt.Sprintf(format, c), fmt.Sprintf(format, &c), fmt.Sprintf(format, struct{ C Credential }{c})} {
			if !strings.Contains(printed, "[hidden]") || strings.Contains(printed, "sixteen") || strings.Contains(printed, "115") {
				t.Errorf("%s prints %s", format, printed)
			}
		}
	}
}

// What a client of SCRAM has kept between its two messages, without a password, is short.
func TestScramKeepsLittle(t *testing.T) {
	for _, first := range []string{
		"n,,n=user,r=" + strings.Repeat("x", 512<<10-12),
		"n,,n=" + strings.Repeat("x", 500<<10) + ",r=nonce",
		"n,,n=user,r=nonce" + strings.Repeat(",", 500<<10),
	} {
		s := NewScram(ScramSHA256, book{"user": "secret"})
		if asked, who, err := s.Next([]byte(first)); who != nil || !errors.Is(err, ErrFailed) {
			t.Errorf("a first message of %d bytes is answered with %d, %v", len(first), len(asked), err)
		}
	}
}
