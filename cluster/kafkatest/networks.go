package kafkatest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

// networks are the network namespaces of nodes, and that of a router which connects them with each other and with this
// process. They are made with ip, of Linux, by root.
type networks struct {
	router string
	nodes  int
	block  int      // of the addresses 198.18.block.0/24, which are for tests of networks (RFC 2544)
	rules  []string // that are in force
}

// NeedNetworks skips a test where Options.Networks cannot be.
func NeedNetworks(t testing.TB) {
	t.Helper()
	_, err := exec.LookPath("ip")
	if runtime.GOOS != "linux" || os.Geteuid() != 0 || err != nil {
		t.Skip("network namespaces need Linux, root and ip")
	}
	Need(t)
}

// newNetworks makes those of so many nodes.
func newNetworks(nodes int) (*networks, error) {
	w := &networks{router: fmt.Sprintf("samsa-%d", os.Getpid()), nodes: nodes, block: os.Getpid() % 256}
	err := w.make()
	if err != nil {
		err = errors.Join(err, w.close())
	}
	return w, err
}

func (w *networks) make() error {
	errs := []error{ip("netns add %s", w.router)}
	for id := range w.nodes + 1 {
		in := "" // this process
		if id > 0 {
			in = "-n " + w.name(id)
			errs = append(errs, ip("netns add %s", w.name(id)), ip("%s link set lo up", in))
		}
		near, far := w.link(id), fmt.Sprintf("to%d", id)
		errs = append(errs,
			ip("-n %s link add %s type veth peer name %s", w.router, far, near),
			ip("-n %s link set %s netns %s", w.router, near, w.namespace(id)),
			ip("%s addr add %s/30 dev %s", in, w.host(id), near),
			ip("%s link set %s up", in, near),
			ip("-n %s addr add %s/30 dev %s", w.router, w.gate(id), far),
			ip("-n %s link set %s up", w.router, far),
			ip("%s route add 198.18.%d.0/24 via %s", in, w.block, w.gate(id)),
		)
	}
	out, err := exec.Command("ip", "netns", "exec", w.router, "sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward").CombinedOutput()
	if err != nil {
		err = fmt.Errorf("forwarding: %w: %s", err, out)
	}
	return errors.Join(append(errs, err)...)
}

// name is the namespace of a node.
func (w *networks) name(id int) string { return fmt.Sprintf("%s-%d", w.router, id) }

// namespace is that of a node, or of this process, as ip takes it: a process stands for its own.
func (w *networks) namespace(id int) string {
	if id == 0 {
		return strconv.Itoa(os.Getpid())
	}
	return w.name(id)
}

// link is the name of the link of a node, or of this process.
func (w *networks) link(id int) string {
	if id == 0 {
		return fmt.Sprintf("samsa%d", w.block)
	}
	return "out"
}

// host is the address of a node.
func (w *networks) host(id int) string { return fmt.Sprintf("198.18.%d.%d", w.block, 4*id+2) }

// gate is the address of the router, as a node sees it.
func (w *networks) gate(id int) string { return fmt.Sprintf("198.18.%d.%d", w.block, 4*id+1) }

// within is how a program is run there.
func (w *networks) within(id int) []string { return []string{"ip", "netns", "exec", w.name(id)} }

// cut has the router drop what two nodes send each other.
func (w *networks) cut(a, b int) error {
	var errs []error
	for _, pair := range [][2]int{{a, b}, {b, a}} {
		rule := fmt.Sprintf("from %s to %s blackhole", w.host(pair[0]), w.host(pair[1]))
		errs = append(errs, ip("-n %s rule add %s", w.router, rule))
		w.rules = append(w.rules, rule)
	}
	return errors.Join(errs...)
}

func (w *networks) heal() error {
	var errs []error
	for _, rule := range w.rules {
		errs = append(errs, ip("-n %s rule del %s", w.router, rule))
	}
	w.rules = nil
	return errors.Join(errs...)
}

// close removes all; the links go with the namespaces.
func (w *networks) close() error {
	if w == nil {
		return nil
	}
	errs := []error{ip("netns del %s", w.router)}
	for id := 1; id <= w.nodes; id++ {
		errs = append(errs, ip("netns del %s", w.name(id)))
	}
	return errors.Join(errs...)
}

// ip runs ip.
func ip(format string, args ...any) error {
	line := fmt.Sprintf(format, args...)
	if out, err := exec.Command("ip", strings.Fields(line)...).CombinedOutput(); err != nil {
		return fmt.Errorf("ip %s: %w: %s", line, err, out)
	}
	return nil
}
