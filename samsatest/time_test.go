package samsatest_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/group"
	"github.com/samsa-go/samsa/internal/inside"
	"github.com/samsa-go/samsa/samsatest"
)

func TestRetentionOfAWeek(t *testing.T) { weekOfRetention(t) }

// Every timer of the library runs in a bubble. (Auto-commit: TestWaitCommitted.)
func TestTimersInABubble(t *testing.T) {
	for name, story := range map[string]func(t *testing.T, b *samsa.Broker){
		"linger": func(t *testing.T, b *samsa.Broker) {
			p := producer(t, b, samsa.ProducerOptions{Linger: 20 * time.Second})
			began := time.Now()
			if _, err := p.ProduceSync(ctx, samsatest.Record("t", "v")); err != nil {
				t.Error(err)
			}
			took(t, began, 20*time.Second)
		},
		"session": func(t *testing.T, b *samsa.Broker) {
			r := inside.Of(b).Groups.Join(ctx, "g", group.JoinRequest{
				NewMemberID: "silent", ProtocolType: "consumer", SessionTimeout: 45 * time.Second,
				Protocols: []group.Protocol{{Name: "range", Metadata: group.EncodeSubscription(group.Subscription{Topics: []string{"t"}})}},
			})
			if r.Err != nil {
				t.Fatal(r.Err)
			}
			time.Sleep(44 * time.Second)
			wantMembers(t, b, 1)
			time.Sleep(2 * time.Second)
			wantMembers(t, b, 0)
		},
		"poll interval": func(t *testing.T, b *samsa.Broker) {
			samsatest.Produce(t, b, "t", "v")
			poll(t, consumer(t, b, samsa.ConsumerOptions{Group: "g", Topics: []string{"t"}}))
			time.Sleep(4 * time.Minute)
			wantMembers(t, b, 1)
			time.Sleep(2 * time.Minute)
			wantMembers(t, b, 0)
		},
		"transaction retries": func(t *testing.T, b *samsa.Broker) {
			began := time.Now()
			n := 0
			err := b.Update(ctx, func(tx *samsa.Tx) error {
				_, err := tx.Get([]byte("k"))
				if n++; n < 5 {
					set(t, b, "k", fmt.Sprint(n)) // a conflict
				}
				return errors.Join(tx.Set([]byte("mine"), []byte("v")), ignoreMissing(err))
			})
			if err != nil || n != 5 {
				t.Errorf("%d tries, %v", n, err)
			}
			if d := time.Since(began); d == 0 {
				t.Error("there was no pause between the tries")
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { story(t, samsatest.New(t, samsatest.Topic("t", 1))) })
		})
	}
}

func ignoreMissing(err error) error {
	if errors.Is(err, samsa.ErrKeyNotFound) {
		return nil
	}
	return err
}

func wantMembers(t *testing.T, b *samsa.Broker, want int) {
	t.Helper()
	synctest.Wait()
	info, err := b.Groups().Describe(ctx, "g")
	if err != nil {
		t.Fatal(err)
	}
	if len(info.Members) != want {
		t.Errorf("the group has %d members, want %d", len(info.Members), want)
	}
}
