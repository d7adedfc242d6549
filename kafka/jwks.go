package kafka

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	_ "crypto/sha256" // the hashes of the algorithms
	_ "crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"os"
	"strings"
	"sync"
	"time"
)

// TokenOptions says which signed tokens are taken, and whose they are.
type TokenOptions struct {
	Issuer    string        // that a token must have as iss; "" means any
	Audience  string        // that must be among its aud; "" means any
	NameClaim string        // the claim with the name of the principal; "" means sub
	Skew      time.Duration // by which clocks may differ; 0 means 30 s
}

const (
	defaultSkew   = 30 * time.Second
	maxTokenBytes = 16 << 10
	maxKeysBytes  = 1 << 20
	minRSABits    = 2048
)

// JWKS returns a SASL.Token for signed tokens (JWS of RFC 7515, compact, with the claims of RFC 7519), whose keys a file has: a JSON Web Key Set
// (RFC 7517). The file is read again when it changes, at the next token; one that cannot be read then leaves the keys that there were.
//
// Taken are RS, PS and ES with 256, 384 and 512 bits, and EdDSA with Ed25519, each with a key that is made for it: what a token says of its algorithm has to
// fit the key. Tokens that are not signed are not taken, nor those by a shared secret. A token has exp and iat, its name claim, and what the options ask for.
func JWKS(path string, o TokenOptions) (func(context.Context, string) (Identity, error), error) {
	k := &keySet{path: path}
	if _, err := k.now(); err != nil {
		return nil, fmt.Errorf("kafka: keys of tokens: %w", err)
	}
	if o.NameClaim == "" {
		o.NameClaim = "sub"
	}
	if o.Skew == 0 {
		o.Skew = defaultSkew
	}
	return func(_ context.Context, token string) (Identity, error) {
		keys, _ := k.now() // those that there were
		payload, err := verify(keys, token)
		if err != nil {
			return Identity{}, err
		}
		return o.identity(payload, time.Now())
	}, nil
}

// keySet is the keys in a file.
type keySet struct {
	path string

	mu   sync.Mutex // guards what follows, and is held while the file is read
	at   string     // how it looked when it was read last
	keys []webKey
}

// webKey is a key, and for what it is.
type webKey struct {
	id     string
	alg    string // "" for any that fits
	public crypto.PublicKey
}

// now returns the keys. With an error they are those that there were before.
func (k *keySet) now() ([]webKey, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	info, err := os.Stat(k.path)
	if err != nil {
		return k.keys, err
	}
	at := fmt.Sprint(info.Size(), info.ModTime().UnixNano())
	if at == k.at {
		return k.keys, nil
	}
	if info.Size() > maxKeysBytes {
		return k.keys, fmt.Errorf("%s has more than %d bytes", k.path, maxKeysBytes)
	}
	text, err := os.ReadFile(k.path)
	if err != nil {
		return k.keys, err
	}
	keys, err := parseKeys(text)
	if err != nil {
		return k.keys, fmt.Errorf("%s: %w", k.path, err)
	}
	k.keys, k.at = keys, at
	return k.keys, nil
}

// parseKeys reads a key set. Keys of kinds that are not known, or not for signatures, are passed over; one at least has to be left.
func parseKeys(text []byte) (keys []webKey, err error) {
	var set struct {
		Keys []struct {
			Kty, Kid, Use, Alg, Crv string
			N, E, X, Y              string
		} `json:"keys"`
	}
	if err := json.Unmarshal(text, &set); err != nil {
		return nil, fmt.Errorf("no key set: %w", err)
	}
	for _, j := range set.Keys {
		key := webKey{id: j.Kid, alg: j.Alg}
		switch {
		case j.Use != "" && j.Use != "sig":
			continue
		case j.Kty == "RSA":
			key.public, err = rsaKey(j.N, j.E)
		case j.Kty == "EC" && curves[j.Crv] != nil:
			key.public, err = ecKey(curves[j.Crv], j.X, j.Y)
		case j.Kty == "OKP" && j.Crv == "Ed25519":
			key.public, err = edKey(j.X)
		default:
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("key %q: %w", j.Kid, err)
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil, errors.New("no key for signatures")
	}
	return keys, nil
}

var curves = map[string]elliptic.Curve{"P-256": elliptic.P256(), "P-384": elliptic.P384(), "P-521": elliptic.P521()}

func rsaKey(n, e string) (crypto.PublicKey, error) {
	modulus, err := unbase64(n)
	exponent, err2 := unbase64(e)
	if err := errors.Join(err, err2); err != nil {
		return nil, err
	}
	key := &rsa.PublicKey{N: new(big.Int).SetBytes(modulus)}
	power := new(big.Int).SetBytes(exponent)
	if key.N.BitLen() < minRSABits || !power.IsInt64() || power.Int64() < 3 || power.Int64() > 1<<31-1 || power.Bit(0) == 0 {
		return nil, fmt.Errorf("an RSA key of %d bits, want %d at least, and an odd exponent", key.N.BitLen(), minRSABits)
	}
	key.E = int(power.Int64())
	return key, nil
}

func ecKey(curve elliptic.Curve, x, y string) (crypto.PublicKey, error) {
	xb, err := unbase64(x)
	yb, err2 := unbase64(y)
	size := (curve.Params().BitSize + 7) / 8
	if err := errors.Join(err, err2); err != nil || len(xb) != size || len(yb) != size {
		return nil, fmt.Errorf("a point that is none: %w", err)
	}
	return ecdsa.ParseUncompressedPublicKey(curve, append(append([]byte{4}, xb...), yb...))
}

func edKey(x string) (crypto.PublicKey, error) {
	b, err := unbase64(x)
	if err != nil || len(b) != ed25519.PublicKeySize {
		return nil, fmt.Errorf("a point that is none: %w", err)
	}
	return ed25519.PublicKey(b), nil
}

func unbase64(s string) ([]byte, error) { return base64.RawURLEncoding.Strict().DecodeString(s) }

// verify returns the claims of a token that one of the keys has signed. Its errors hold nothing of the token.
func verify(keys []webKey, token string) ([]byte, error) {
	parts := strings.Split(token, ".")
	if len(token) > maxTokenBytes || len(parts) != 3 {
		return nil, errors.New("not a signed token")
	}
	head, err := unbase64(parts[0])
	payload, err2 := unbase64(parts[1])
	signature, err3 := unbase64(parts[2])
	var h struct {
		Alg, Kid string
		Crit     []string
	}
	if errors.Join(err, err2, err3) != nil || json.Unmarshal(head, &h) != nil || len(h.Crit) > 0 {
		return nil, errors.New("a malformed token")
	}
	signed := []byte(parts[0] + "." + parts[1])
	for _, k := range keys {
		if (h.Kid == "" || k.id == "" || k.id == h.Kid) && (k.alg == "" || k.alg == h.Alg) && k.verifies(h.Alg, signed, signature) {
			return payload, nil
		}
	}
	return nil, errors.New("no key has signed the token")
}

var hashes = map[string]crypto.Hash{"256": crypto.SHA256, "384": crypto.SHA384, "512": crypto.SHA512}

// verifies reports whether a signature is one of the key, by an algorithm that is made for it.
func (k webKey) verifies(alg string, signed, signature []byte) bool {
	if public, ok := k.public.(ed25519.PublicKey); ok {
		return alg == "EdDSA" && ed25519.Verify(public, signed, signature)
	}
	if len(alg) != 5 || hashes[alg[2:]] == 0 {
		return false
	}
	hash := hashes[alg[2:]]
	h := hash.New()
	h.Write(signed)
	digest := h.Sum(nil)
	switch public := k.public.(type) {
	case *rsa.PublicKey:
		switch alg[:2] {
		case "RS":
			return rsa.VerifyPKCS1v15(public, hash, digest, signature) == nil
		case "PS":
			return rsa.VerifyPSS(public, hash, digest, signature, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}) == nil
		}
	case *ecdsa.PublicKey:
		size := (public.Curve.Params().BitSize + 7) / 8
		if alg[:2] != "ES" || ecdsaCurve[alg[2:]] != public.Curve || len(signature) != 2*size {
			return false
		}
		return ecdsa.Verify(public, digest, new(big.Int).SetBytes(signature[:size]), new(big.Int).SetBytes(signature[size:]))
	}
	return false
}

var ecdsaCurve = map[string]elliptic.Curve{"256": elliptic.P256(), "384": elliptic.P384(), "512": elliptic.P521()}

// identity returns whose token has these claims, if it counts at that time.
func (o TokenOptions) identity(payload []byte, now time.Time) (Identity, error) {
	var claims map[string]any
	if json.Unmarshal(payload, &claims) != nil {
		return Identity{}, errors.New("claims that are none")
	}
	name, _ := claims[o.NameClaim].(string)
	issuer, _ := claims["iss"].(string)
	expires, hasExp := instant(claims["exp"])
	_, hasIat := instant(claims["iat"])
	from, hasNbf := instant(claims["nbf"])
	switch {
	case name == "":
		return Identity{}, fmt.Errorf("no %s in the token", o.NameClaim)
	case !hasExp || !hasIat:
		return Identity{}, errors.New("no exp or no iat in the token")
	case !now.Before(expires.Add(o.Skew)):
		return Identity{}, errors.New("the token has ended")
	case claims["nbf"] != nil && !hasNbf || hasNbf && now.Before(from.Add(-o.Skew)):
		return Identity{}, errors.New("the token does not count yet")
	case o.Issuer != "" && issuer != o.Issuer:
		return Identity{}, errors.New("the token has another issuer")
	case o.Audience != "" && !isAmong(o.Audience, claims["aud"]):
		return Identity{}, errors.New("the token is for others")
	}
	if least := now.Add(time.Second); expires.Before(least) {
		expires = least // it counts by the skew alone
	}
	return Identity{Principal: Principal{UserType, name}, Expires: expires}, nil
}

// instant returns a NumericDate of RFC 7519, seconds since 1970.
func instant(claim any) (time.Time, bool) {
	seconds, ok := claim.(float64)
	if !ok || seconds < 0 || seconds > 1<<40 {
		return time.Time{}, false
	}
	return time.UnixMilli(int64(seconds * 1000)), true
}

// isAmong reports whether aud, a text or a list of them, names somebody.
func isAmong(who string, aud any) bool {
	if list, ok := aud.([]any); ok {
		for _, a := range list {
			if a == any(who) {
				return true
			}
		}
		return false
	}
	return aud == any(who)
}
