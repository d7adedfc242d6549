package kafka

import (
	"crypto/x509/pkix"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/sasl"
)

// Nothing that DescribeConfigs tells of a server that asks is a password, a key, or where the key is.
func TestConfigsKeepSecrets(t *testing.T) {
	a := newAuthority(t)
	o := a.files(t.TempDir())
	o.ClientAuth = RequestClientCert
	k := start(t, samsa.Options{}, Options{Security: Security{TLS: &o, SASL: &SASL{}}})
	const password = "correct horse"
	k.user("alice", password)
	k.create("t", samsa.TopicConfig{})
	c, err := k.shake(a.client(&pkix.Name{CommonName: "laptop"}, a))
	if err != nil {
		t.Fatal(err)
	}
	if resp := c.login(2, sasl.Plain, "alice", password); resp.ErrorCode != 0 {
		t.Fatalf("%+v", resp)
	}
	key, err := os.ReadFile(o.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	req := kmsg.NewPtrDescribeConfigsRequest()
	req.IncludeSynonyms, req.IncludeDocumentation = true, true
	for _, r := range []struct {
		kind kmsg.ConfigResourceType
		name string
	}{{kmsg.ConfigResourceTypeBroker, "1"}, {kmsg.ConfigResourceTypeBroker, ""}, {kmsg.ConfigResourceTypeBrokerLogger, "1"}, {kmsg.ConfigResourceTypeTopic, "t"}, {kmsg.ConfigResourceTypeGroupConfig, "g"}} {
		rr := kmsg.NewDescribeConfigsRequestResource()
		rr.ResourceType, rr.ResourceName = r.kind, r.name
		req.Resources = append(req.Resources, rr)
	}
	told := 0
	for _, r := range ask[*kmsg.DescribeConfigsResponse](c, 4, req).Resources {
		for _, e := range r.Configs {
			told++
			said := fmt.Sprint(e.Name, " ", orNone(e.Value))
			for _, s := range e.ConfigSynonyms {
				said += fmt.Sprint(" ", s.Name, " ", orNone(s.Value))
			}
			for _, secret := range []string{password, o.KeyFile, strings.Split(string(key), "\n")[1]} {
				if strings.Contains(said, secret) {
					t.Errorf("%s %q tells %q", r.ResourceType, r.ResourceName, said)
				}
			}
		}
	}
	if told == 0 {
		t.Error("it tells nothing")
	}
	k.keepsSecrets(password)
}
