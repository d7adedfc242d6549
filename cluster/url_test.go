package cluster_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/cluster"
	"github.com/samsa-go/samsa/cluster/internal/kit"
)

func TestParseURL(t *testing.T) {
	t.Setenv(cluster.PasswordVariable, "secret")
	o, err := cluster.ParseURL("kafka://me@a:9092,b,[::1]:9093/?name=billing&keys=prices&keysdir=/var/prices&tls=true&sasl=PLAIN")
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(o.Seeds, []string{"a:9092", "b", "[::1]:9093"}) || o.Name != "billing" || o.Keys != "prices" || o.KeysDir != "/var/prices" || o.TLS == nil || len(o.SASL) != 1 || o.SASL[0].Name() != "PLAIN" {
		t.Errorf("got %+v", o)
	}
	for _, address := range []string{
		"", "a:9092", "http://a", "kafka://", "kafka:///?name=b", "kafka://a/b", "kafka://a/?nam=b", "kafka://a/?name=b&name=c", "kafka://a/?tls=yes",
		"kafka://a/?tls=false&ca=x", "kafka://a/?tls=true&ca=/no/such/file", "kafka://a/?tls=true&cert=a", "kafka://a/?tls=true&key=a", "kafka://a/?cert=a&key=b",
		"kafka://a/?tls=true&cert=/no/such/file&key=/no/such/file", "kafka://a/?sasl=PLAIN", "kafka://me:secret@a/", "kafka://me@a/?sasl=GSSAPI",
		"kafka://me:secret@a:b:c/", "kafka://@a", "kafka://a#b", "kafka://a/%zz", "kafka://me:secret@%zz",
	} {
		o, err := cluster.ParseURL(address)
		if !errors.Is(err, samsa.ErrInvalidOption) || len(o.Seeds) > 0 {
			t.Errorf("%s: %v", address, err)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the error tells the password: %v", address, err)
		}
	}
	t.Setenv(cluster.PasswordVariable, "")
	if _, err := cluster.ParseURL("kafka://me@a"); !errors.Is(err, samsa.ErrInvalidOption) || !strings.Contains(err.Error(), cluster.PasswordVariable) {
		t.Error(err)
	}
}

func TestOpenURL(t *testing.T) {
	k := kit.Door(t)
	b, err := cluster.OpenURL(k.Ctx, "kafka://"+k.Seeds[0]+"/?name=billing")
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
}
