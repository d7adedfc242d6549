package api

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/samsa-go/samsa"
)

// Kit controls a fake broker: fake.Fake is one. Its methods may be called by anybody at any time, and their errors have the
// names of samsa's: a fault or a fork that is not there is ErrUnknown, what cannot be asked for ErrInvalid.
type Kit interface {
	// Broker returns the broker as it is now: after Restart and Reset it is another one.
	Broker() *samsa.Broker
	// NewFault makes a fault; Fault and Faults tell of those that there are.
	NewFault(f NewFault) (Fault, error)
	Fault(id int64) (Fault, error)
	Faults() []Fault
	ReleaseFault(id int64) error
	RemoveFault(id int64) error
	// Wait waits for what w says until ctx ends: then the error says how far it is.
	Wait(ctx context.Context, w Wait) error
	Expire(ctx context.Context, e Expire) error
	Corrupt(ctx context.Context, c Corrupt) error
	Restart(ctx context.Context, r Restart) error
	Reset(ctx context.Context) error
	// Cluster describes the cluster as which Kafka clients are served, ChangeCluster has something happen to it.
	Cluster() (Cluster, error)
	ChangeCluster(ctx context.Context, e ClusterEvent) (Cluster, error)
	// NewFork makes a copy, OfFork returns the control of one, RemoveFork closes one.
	NewFork(ctx context.Context, name string) (Fork, error)
	Forks() []Fork
	OfFork(name string) (Kit, error)
	RemoveFork(name string) error
}

// Fake is a fake broker.
type Fake interface {
	// Broker returns the broker as it is now: after a restart or a reset it is another one.
	Broker() *samsa.Broker
	// ServeHTTP answers what is asked below prefix kit/, of who may.
	http.Handler
}

// KitHandler returns what controls a fake broker, for Fake.ServeHTTP. Who asks may write.
func KitHandler(k Kit) http.Handler { return serverOfKit(k).mux() }

func serverOfKit(k Kit) *server {
	return &server{
		broker: k.Broker, kit: k, opts: Options{Write: true}, opened: time.Now(),
		streams: make(chan struct{}, maxStreams), large: make(chan struct{}, maxLarge),
	}
}

// control hands over to a fake broker what is about its control.
func (s *server) control(w http.ResponseWriter, r *http.Request) {
	if err := s.allow(r); err != nil {
		writeError(w, err)
		return
	}
	s.opts.Fake.ServeHTTP(w, r)
}

// kitRoutes are the endpoints of a fake broker.
func (s *server) kitRoutes() []route {
	if s.opts.Fake != nil {
		return nil // it has them
	}
	return []route{
		{"POST kit/faults", kitCall((*call).newFault), 0}, {"GET kit/faults", kitCall((*call).faults), 0},
		{"GET kit/faults/{id}", kitCall((*call).fault), 0}, {"DELETE kit/faults/{id}", kitCall((*call).removeFault), 0},
		{"POST kit/faults/{id}/release", kitCall((*call).releaseFault), 0},
		{"POST kit/wait", kitCall((*call).wait), 0}, {"POST kit/expire", kitCall((*call).expire), 0},
		{"POST kit/corrupt", kitCall((*call).corrupt), 0}, {"POST kit/restart", kitCall((*call).restart), 0},
		{"POST kit/reset", kitCall((*call).reset), 0},
		{"GET kit/cluster", kitCall((*call).cluster), 0}, {"POST kit/cluster", kitCall((*call).changeCluster), 0},
		{"POST kit/forks", kitCall((*call).newFork), 0}, {"GET kit/forks", kitCall((*call).forks), 0},
		{"DELETE kit/forks/{name}", kitCall((*call).removeFork), 0},
	}
}

// kitCall is a call that only a fake broker has.
func kitCall(do func(*call, Kit) (any, error)) func(*call) (any, error) {
	return func(c *call) (any, error) {
		if c.s.kit == nil {
			return nil, fmt.Errorf("%w: this broker is no fake", samsa.ErrUnsupported)
		}
		return do(c, c.s.kit)
	}
}

func (c *call) newFault(k Kit) (any, error) {
	var f NewFault
	if err := c.decode(&f); err != nil {
		return nil, err
	}
	return k.NewFault(f)
}

func (c *call) faults(k Kit) (any, error) {
	if err := c.none(); err != nil {
		return nil, err
	}
	return Faults{append([]Fault{}, k.Faults()...)}, nil
}

// faultID returns the fault that the path names.
func (c *call) faultID() (int64, error) {
	id, err := strconv.ParseInt(c.r.PathValue("id"), 10, 64)
	if err != nil {
		c.query.refuse("the fault is %.40q, want a number", c.r.PathValue("id"))
	}
	return id, c.none()
}

func (c *call) fault(k Kit) (any, error) {
	id, err := c.faultID()
	if err != nil {
		return nil, err
	}
	return k.Fault(id)
}

func (c *call) removeFault(k Kit) (any, error) {
	id, err := c.faultID()
	if err != nil {
		return nil, err
	}
	return nil, k.RemoveFault(id)
}

func (c *call) releaseFault(k Kit) (any, error) {
	id, err := c.faultID()
	if err != nil {
		return nil, err
	}
	return nil, k.ReleaseFault(id)
}

// maxWait is the longest time that somebody may wait.
const maxWait = 10 * time.Minute

func (c *call) wait(k Kit) (any, error) {
	var w Wait
	if err := c.decode(&w); err != nil {
		return nil, err
	}
	things := 0
	for _, is := range []bool{w.Fault != 0, w.Records != nil, w.Committed != nil, w.Stable != nil} {
		if is {
			things++
		}
	}
	limit := time.Duration(w.Timeout)
	if things != 1 || limit < 0 || limit > maxWait {
		return nil, fmt.Errorf("%w: a wait is for one thing, want fault, records, committed or stable, and timeout_ms 0 to %d", samsa.ErrInvalid, maxWait.Milliseconds())
	}
	if limit == 0 {
		limit = defaultWait
	}
	ctx, cancel := context.WithTimeout(c.ctx, limit)
	defer cancel()
	return nil, k.Wait(ctx, w)
}

func (c *call) expire(k Kit) (any, error) {
	var e Expire
	if err := c.decode(&e); err != nil {
		return nil, err
	}
	if (e.Group == "") != (e.Member == "") || (e.Group == "") == (e.Transaction == "") {
		return nil, fmt.Errorf("%w: want a group and a member of it, or a transaction", samsa.ErrInvalid)
	}
	return nil, k.Expire(c.limited, e)
}

func (c *call) corrupt(k Kit) (any, error) {
	var d Corrupt
	if err := c.decode(&d); err != nil {
		return nil, err
	}
	return nil, k.Corrupt(c.limited, d)
}

func (c *call) restart(k Kit) (any, error) {
	var r Restart
	if len(c.body) > 0 { // nothing has to be said of it
		if err := c.decode(&r); err != nil {
			return nil, err
		}
	} else if err := c.none(); err != nil {
		return nil, err
	}
	if r.Kill != "" && r.Kill != "crash" && r.Kill != "power" {
		return nil, fmt.Errorf("%w: kill is %.40q, want crash, power, or none", samsa.ErrInvalid, r.Kill)
	}
	return nil, k.Restart(c.limited, r)
}

func (c *call) cluster(k Kit) (any, error) {
	if err := c.none(); err != nil {
		return nil, err
	}
	return k.Cluster()
}

func (c *call) changeCluster(k Kit) (any, error) {
	var e ClusterEvent
	if err := c.decode(&e); err != nil {
		return nil, err
	}
	return k.ChangeCluster(c.limited, e)
}

func (c *call) reset(k Kit) (any, error) {
	if err := c.none(); err != nil {
		return nil, err
	}
	return nil, k.Reset(c.limited)
}

var forkName = regexp.MustCompile(`^[a-z0-9_-]{1,100}$`)

func (c *call) newFork(k Kit) (any, error) {
	var f NewFork
	if err := c.decode(&f); err != nil {
		return nil, err
	}
	if !forkName.MatchString(f.Name) {
		return nil, fmt.Errorf("%w: the name of a fork is %.120q, want 1 to 100 of a-z, 0-9, - and _", samsa.ErrInvalid, f.Name)
	}
	return k.NewFork(c.limited, f.Name)
}

func (c *call) forks(k Kit) (any, error) {
	if err := c.none(); err != nil {
		return nil, err
	}
	return Forks{append([]Fork{}, k.Forks()...)}, nil
}

func (c *call) removeFork(k Kit) (any, error) {
	if err := c.none(); err != nil {
		return nil, err
	}
	return nil, k.RemoveFork(c.r.PathValue("name"))
}

// serveFork hands over what is below kit/forks/NAME to the API of that copy.
func (s *server) serveFork(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("fork")
	k, err := s.kit.OfFork(name)
	if err != nil {
		writeError(w, err)
		return
	}
	fork := serverOfKit(k)
	fork.opened, fork.streams, fork.large = s.opened, s.streams, s.large
	below := prefix + "kit/forks/" + name
	if !strings.HasPrefix(r.URL.Path, below) {
		below = ""
	}
	http.StripPrefix(below, fork.mux()).ServeHTTP(w, r)
}
