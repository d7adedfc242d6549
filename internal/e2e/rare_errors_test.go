package e2e

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/samsatest"
)

// Errors that no other test has a Go program meet.
func TestErrorsThatFewMeet(t *testing.T) {
	for want, meet := range map[error]func(k *kit) error{
		samsa.ErrOutOfOrderSequence: func(k *kit) error {
			p := k.producer(samsa.ProducerOptions{ID: "import"})
			samsatest.Appends(k.Broker, "a").Next(1).Fail()
			if _, err := p.ProduceSync(k.ctx, samsa.Record{Topic: "a"}); !errors.Is(err, samsa.ErrUnavailable) {
				return err
			}
			_, err := p.ProduceSync(k.ctx, samsa.Record{Topic: "a"}) // the number of the record before was not stored
			return err
		},
		samsa.ErrInvalidSessionTimeout: func(k *kit) error {
			c := k.consumer(samsa.ConsumerOptions{Group: "g", Topics: []string{"a"}, Member: samsa.MemberOptions{SessionTimeout: time.Minute}})
			err := k.inside().Groups.ChangeLimits(k.ctx, false, func(changed map[string]string) error { // as AlterConfigs does
				changed["group.max.session.timeout.ms"] = "30000"
				return nil
			})
			if err == nil {
				_, err = c.Poll(k.ctx)
			}
			return err
		},
	} {
		t.Run(want.Error(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := inMemory(t, samsa.Options{})
				k.create("a", 1)
				k.write("a", "1")
				if err := meet(k); !errors.Is(err, want) {
					t.Errorf("got %v, want %v", err, want)
				}
			})
		})
	}
}
