package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"

	"github.com/samsa-go/samsa"
)

func isIt(err, target error) bool { return errors.Is(err, target) }

// fakeKit is a Kit that does nothing but remember.
type fakeKit struct {
	b      *samsa.Broker
	mu     sync.Mutex // guards what follows
	faults []Fault
	forks  []Fork
}

func newFakeKit(b *samsa.Broker) *fakeKit { return &fakeKit{b: b} }

func (k *fakeKit) Broker() *samsa.Broker { return k.b }

func (k *fakeKit) NewFault(f NewFault) (Fault, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	made := Fault{ID: int64(len(k.faults) + 1), Text: "fail " + f.On + " of " + f.Topic, Want: max(1, f.Next)}
	k.faults = append(k.faults, made)
	return made, nil
}

func (k *fakeKit) Fault(id int64) (Fault, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, f := range k.faults {
		if f.ID == id {
			return f, nil
		}
	}
	return Fault{}, fmt.Errorf("%w: there is no fault %d", samsa.ErrUnknown, id)
}

func (k *fakeKit) Faults() []Fault                        { return k.faults }
func (k *fakeKit) ReleaseFault(id int64) error            { _, err := k.Fault(id); return err }
func (k *fakeKit) RemoveFault(id int64) error             { _, err := k.Fault(id); return err }
func (k *fakeKit) Wait(context.Context, Wait) error       { return nil }
func (k *fakeKit) Expire(context.Context, Expire) error   { return nil }
func (k *fakeKit) Corrupt(context.Context, Corrupt) error { return nil }
func (k *fakeKit) Restart(context.Context, Restart) error { return nil }
func (k *fakeKit) Cluster() (Cluster, error) {
	return Cluster{
		Controller: 1, Nodes: []ClusterNode{{1, "127.0.0.1:9092", true}, {2, "127.0.0.1:9093", false}},
		Partitions: []ClusterPartition{{TopicPartition{"mails", 0}, 1, 2}},
	}, nil
}
func (k *fakeKit) ChangeCluster(context.Context, ClusterEvent) (Cluster, error) { return k.Cluster() }
func (k *fakeKit) Reset(context.Context) error                                  { return nil }
func (k *fakeKit) Forks() []Fork                                                { return k.forks }
func (k *fakeKit) OfFork(string) (Kit, error)                                   { return k, nil }
func (k *fakeKit) RemoveFork(string) error                                      { return nil }
func (k *fakeKit) NewFork(_ context.Context, name string) (f Fork, _ error) {
	f = Fork{Name: name, Kafka: "127.0.0.1:49152"}
	k.forks = append(k.forks, f)
	return f, nil
}

// controlled is a fake broker of the kit that controls it.
type controlled struct {
	Kit
	http.Handler
}

// allRoutes are the endpoints of a broker that is a fake.
func allRoutes() []route { return append(routes(), new(server).kitRoutes()...) }
