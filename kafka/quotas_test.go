package kafka

import (
	"errors"
	"fmt"
	"reflect"
	"testing"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/quota"
)

// Quotas are the same to a program and to Kafka's tools; those that a program sets are in place of the ones before, all or none of them.
func TestQuotasOf(t *testing.T) {
	k := start(t, samsa.Options{}, Options{})
	c := k.dial()
	s, err := QuotasOf(k.Broker)
	if err != nil {
		t.Fatal(err)
	}
	c.limit("user", "alice", quota.RequestPercent, 50)
	c.limit("client-id", "", quota.ProduceBytes, 1000)
	alice := Quota{User: "alice", Limits: map[string]float64{"request_percentage": 50}}
	others := Quota{OtherClientIDs: true, Limits: map[string]float64{"producer_byte_rate": 1000}}
	is := func(want ...Quota) {
		t.Helper()
		if got := s.List(); !reflect.DeepEqual(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	}
	is(others, alice)
	alice.Limits = map[string]float64{"producer_byte_rate": 7, "consumer_byte_rate": 8}
	address := Quota{OtherAddresses: true, Limits: map[string]float64{"connection_creation_rate": 3}}
	if err := s.Set(k.ctx, alice, address, Quota{OtherClientIDs: true}); err != nil {
		t.Fatal(err)
	}
	is(address, alice)
	if got, want := fmt.Sprint(s.List()), `[other addresses: connection_creation_rate=3 user "alice": consumer_byte_rate=8 producer_byte_rate=7]`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	s.List()[1].Limits["producer_byte_rate"] = 0 // is the caller's
	limits := map[string]float64{"producer_byte_rate": 1}
	for _, wrong := range []Quota{
		{}, {Limits: limits}, {User: "bob", OtherUsers: true, Limits: limits}, {User: "bob", Address: "10.0.0.1", Limits: limits}, {Address: "10.0.0.1", Limits: limits},
		{Address: "nowhere", Limits: address.Limits}, {User: "bob", Limits: map[string]float64{"producer_byte_rate": 0}}, {User: "bob", Limits: map[string]float64{"none": 1}},
	} {
		if err := s.Set(k.ctx, Quota{User: "carol", Limits: limits}, wrong); !errors.Is(err, samsa.ErrInvalid) {
			t.Errorf("%v: %v", wrong, err)
		}
	}
	is(address, alice)
}
