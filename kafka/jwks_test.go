package kafka

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"

	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func base64URL(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// webKeyOf returns a public key as JSON has it.
func webKeyOf(t *testing.T, id string, public crypto.PublicKey, more map[string]string) map[string]string {
	t.Helper()
	key := map[string]string{"kid": id}
	switch p := public.(type) {
	case *rsa.PublicKey:
		key["kty"], key["n"], key["e"] = "RSA", base64URL(p.N.Bytes()), base64URL(big.NewInt(int64(p.E)).Bytes())
	case *ecdsa.PublicKey:
		b, err := p.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		size := len(b) / 2
		key["kty"], key["crv"], key["x"], key["y"] = "EC", p.Curve.Params().Name, base64URL(b[1:1+size]), base64URL(b[1+size:])
	case ed25519.PublicKey:
		key["kty"], key["crv"], key["x"] = "OKP", "Ed25519", base64URL(p)
	}
	for name, value := range more {
		key[name] = value
	}
	return key
}

// signToken makes a token.
func signToken(t *testing.T, alg, id string, key crypto.Signer, claims map[string]any) string {
	t.Helper()
	head, _ := json.Marshal(map[string]string{"alg": alg, "kid": id})
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	signed := base64URL(head) + "." + base64URL(payload)
	var signature []byte
	switch k := key.(type) {
	case ed25519.PrivateKey:
		signature = ed25519.Sign(k, []byte(signed))
	case *rsa.PrivateKey:
		h := hashes[alg[2:]]
		digest := digestOf(h, signed)
		if alg[0] == 'P' {
			signature, err = rsa.SignPSS(rand.Reader, k, h, digest, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
		} else {
			signature, err = rsa.SignPKCS1v15(rand.Reader, k, h, digest)
		}
	case *ecdsa.PrivateKey:
		r, s, e := ecdsa.Sign(rand.Reader, k, digestOf(hashes[alg[2:]], signed))
		size := (k.Curve.Params().BitSize + 7) / 8
		signature, err = append(r.FillBytes(make([]byte, size)), s.FillBytes(make([]byte, size))...), e
	}
	if err != nil {
		t.Fatal(err)
	}
	return signed + "." + base64URL(signature)
}

func digestOf(h crypto.Hash, text string) []byte {
	d := h.New()
	d.Write([]byte(text))
	return d.Sum(nil)
}

// A token that one of the keys has signed is its owner's until it ends; any other is nobody's.
func TestJWKS(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	stranger := newKey(t)
	_, edKey, _ := ed25519.GenerateKey(rand.Reader)
	keys := []map[string]string{webKeyOf(t, "rsa", rsaKey.Public(), nil), webKeyOf(t, "ed", edKey.Public(), nil), {"kty": "oct", "k": "AAAA"},
		webKeyOf(t, "only256", rsaKey.Public(), map[string]string{"alg": "RS256"}), webKeyOf(t, "encrypts", stranger.Public(), map[string]string{"use": "enc"})}
	signers := map[string]crypto.Signer{"EdDSA": edKey}
	for _, bits := range []string{"256", "384", "512"} {
		k, err := ecdsa.GenerateKey(ecdsaCurve[bits], rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, webKeyOf(t, "ec"+bits, k.Public(), nil))
		signers["RS"+bits], signers["PS"+bits], signers["ES"+bits] = rsaKey, rsaKey, k
	}
	path := filepath.Join(t.TempDir(), "keys.json")
	text, _ := json.Marshal(map[string]any{"keys": keys})
	write(t, path, text)
	validate, err := JWKS(path, TokenOptions{Issuer: "https://shop", Audience: "kafka"})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	good := func(changes map[string]any) map[string]any {
		claims := map[string]any{"sub": "alice", "iss": "https://shop", "aud": []string{"web", "kafka"}, "iat": now.Unix(), "exp": now.Add(time.Hour).Unix()}
		for name, value := range changes {
			if claims[name] = value; value == nil {
				delete(claims, name)
			}
		}
		return claims
	}
	is := func(what, token, want string) {
		t.Helper()
		id, err := validate(t.Context(), token)
		if id.Principal.Name != want || (err == nil) != (want != "") {
			t.Errorf("%s: %v, %v, want %q", what, id, err, want)
		}
		if err != nil && len(token) > 10 && strings.Contains(err.Error(), token[:10]) {
			t.Errorf("%s: the error tells the token: %v", what, err)
		}
	}
	for alg, key := range signers {
		token := signToken(t, alg, "", key, good(nil))
		is(alg, token, "alice")
		is(alg+" with another payload", strings.Replace(token, ".", ".e", 1), "")
		is(alg+" without its signature", token[:strings.LastIndex(token, ".")+1], "")
		is(alg+" by a key that is not there", signToken(t, alg, "other", key, good(nil)), "")
		for other := range signers {
			if other != alg { // the same signature, called another one
				_, rest, _ := strings.Cut(token, ".")
				head, _ := json.Marshal(map[string]string{"alg": other})
				is(alg+" as "+other, base64URL(head)+"."+rest, "")
			}
		}
	}
	is("a key that is for another algorithm", signToken(t, "RS512", "only256", rsaKey, good(nil)), "")
	is("a key that does not sign", signToken(t, "ES256", "encrypts", stranger, good(nil)), "")
	is("a stranger's", signToken(t, "ES256", "ec256", stranger, good(nil)), "")
	for name, claims := range map[string]map[string]any{
		"one audience": {"aud": "kafka"}, "no nbf": {}, "nbf": {"nbf": now.Unix() - 5}, "within the skew": {"exp": now.Add(-20 * time.Second).Unix()},
	} {
		is(name, signToken(t, "EdDSA", "ed", edKey, good(claims)), "alice")
	}
	for name, claims := range map[string]map[string]any{
		"ended": {"exp": now.Add(-time.Minute).Unix()}, "no end": {"exp": nil}, "an odd end": {"exp": "tomorrow"}, "no beginning": {"iat": nil}, "not yet": {"nbf": now.Add(time.Hour).Unix()}, "an odd nbf": {"nbf": "now"},
		"no name": {"sub": nil}, "an empty name": {"sub": ""}, "a number": {"sub": 5}, "another issuer": {"iss": "https://bank"}, "no issuer": {"iss": nil}, "for others": {"aud": "web"}, "for none": {"aud": nil},
	} {
		is(name, signToken(t, "EdDSA", "ed", edKey, good(claims)), "")
	}
	payload, _ := json.Marshal(good(nil))
	for _, head := range []string{`{"alg":"none"}`, `{"alg":"None"}`, `{}`, `{"alg":"HS256"}`} {
		unsigned := base64URL([]byte(head)) + "." + base64URL(payload)
		mac := hmac.New(sha256.New, rsaKey.N.Bytes())
		mac.Write([]byte(unsigned))
		is(head, unsigned+".", "")
		is(head+" with a signature", unsigned+"."+base64URL(mac.Sum(nil)), "")
	}
	for _, junk := range []string{"", ".", "..", "...", "a.b.c", strings.Repeat("a", maxTokenBytes+1)} {
		is("junk", junk, "")
	}
}

// Keys that change count from the next token on; a file that is damaged leaves those that there were, and one without keys begins nothing.
func TestKeysChange(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.json")
	set := func(key crypto.Signer) []byte {
		text, _ := json.Marshal(map[string]any{"keys": []any{webKeyOf(t, "k", key.Public(), nil)}})
		return text
	}
	for _, bad := range []string{"", "{}", `{"keys":[]}`, `{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB"}]}`, `{"keys":[{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}]}`, `{"keys":[{"kty":"OKP","crv":"Ed25519","x":"AA"}]}`,
		`{"keys":[{"kty":"EC","crv":"P-256","x":"` + base64URL(bytes.Repeat([]byte{1}, 32)) + `","y":"` + base64URL(bytes.Repeat([]byte{1}, 32)) + `"}]}`} {
		write(t, path, []byte(bad))
		if _, err := JWKS(path, TokenOptions{}); err == nil {
			t.Errorf("%s is a key set", bad)
		}
	}
	first, second := newKey(t), newKey(t)
	write(t, path, set(first))
	validate, err := JWKS(path, TokenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	claims := map[string]any{"sub": "alice", "iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix()}
	later := time.Now()
	is := func(key *ecdsa.PrivateKey, ok bool) {
		t.Helper()
		later = later.Add(time.Minute) // file systems have coarse clocks
		if err := os.Chtimes(path, later, later); err != nil {
			t.Fatal(err)
		}
		if _, err := validate(t.Context(), signToken(t, "ES256", "k", key, claims)); (err == nil) != ok {
			t.Error(err)
		}
	}
	is(first, true)
	is(second, false)
	write(t, path, set(second))
	is(second, true)
	is(first, false)
	write(t, path, []byte("{"))
	is(second, true)
}
