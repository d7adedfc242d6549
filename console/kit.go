package console

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/api"
)

// groupsExpiring bounds the groups whose members the page of the kit offers to expire.
const groupsExpiring = 50

var errNoKit = fmt.Errorf("%w: this broker is no fake", samsa.ErrUnknown)

// kitShown is what the page of the kit shows.
type kitShown struct {
	Faults       []api.Fault
	Forks        []api.Fork
	Members      []kitMember
	Transactions []samsa.OpenTransaction
	On           []string
}

// kitMember is a member of a group that can be expired.
type kitMember struct {
	Group string
	samsa.MemberInfo
}

// faultsOn are what a fault can be on.
var faultsOn = []string{"appends", "fetches", "commits", "joins", "requests", "space"}

// kit shows the control of a fake broker: its faults, and what has time run out.
func (c *console) kit(ctx context.Context, _ *http.Request) (view, error) {
	v := view{Page: "kit.html", Title: "Test kit", Nav: "Test kit"}
	if c.opts.Fake == nil {
		return v, errNoKit
	}
	d := kitShown{On: faultsOn}
	var err error
	if d.Faults, err = c.api.Faults(ctx); err != nil {
		return v, err
	}
	if d.Forks, err = c.api.Forks(ctx); err != nil {
		return v, err
	}
	names, err := c.broker().Groups().List(ctx)
	if err != nil {
		return v, err
	}
	for _, name := range names[:min(len(names), groupsExpiring)] {
		info, err := c.broker().Groups().Describe(ctx, name)
		if err != nil {
			continue // the list of groups says what is wrong with it
		}
		for _, m := range info.Members {
			d.Members = append(d.Members, kitMember{name, m})
		}
	}
	if d.Transactions, err = c.broker().Transactions().Open(ctx); err != nil {
		v.Notes = append(v.Notes, err.Error())
	}
	d.Transactions = slices.DeleteFunc(d.Transactions, func(o samsa.OpenTransaction) bool { return o.ID == "" })
	v.Data = d
	return v, nil
}

// control does with a fake broker what a form says.
func (c *console) control(ctx context.Context, r *http.Request) (view, error) {
	v := view{See: "kit"}
	if c.opts.Fake == nil {
		return v, errNoKit
	}
	if err := r.ParseForm(); err != nil {
		return v, err
	}
	f := r.PostForm.Get
	switch do := f("do"); do {
	case "fault":
		fault, err := faultOf(f)
		if err == nil {
			_, err = c.api.NewFault(ctx, fault)
		}
		return v, err
	case "release", "remove":
		id, err := strconv.ParseInt(f("id"), 10, 64)
		switch {
		case err != nil:
			return v, fmt.Errorf("%w: the fault is %q, want a number", errAsked, f("id"))
		case do == "release":
			return v, c.api.ReleaseFault(ctx, id)
		}
		return v, c.api.RemoveFault(ctx, id)
	case "expire":
		return v, c.api.Expire(ctx, api.Expire{Group: f("group"), Member: f("member"), Transaction: f("transaction")})
	case "restart", "crash", "power":
		return v, c.api.Restart(ctx, api.Restart{Kill: map[string]string{"crash": "crash", "power": "power"}[do]})
	case "reset":
		if f("sure") != "yes" {
			return v, fmt.Errorf("%w: a reset removes all that is stored: say that you are sure", samsa.ErrInvalid)
		}
		return v, c.api.ResetKit(ctx)
	default:
		return v, fmt.Errorf("%w: do is %q", errAsked, do)
	}
}

// faultOf reads the form of a fault.
func faultOf(f func(string) string) (n api.NewFault, err error) {
	n = api.NewFault{
		On: f("on"), Topic: strings.TrimSpace(f("topic")), Group: strings.TrimSpace(f("group")), Client: strings.TrimSpace(f("client")),
		Transaction: strings.TrimSpace(f("transaction")), Answers: f("answers") != "",
	}
	var errs []error
	number := func(name string, bits int) int64 {
		text := strings.TrimSpace(f(name))
		if text == "" {
			return 0
		}
		v, err := strconv.ParseInt(text, 10, bits)
		if err != nil {
			errs = append(errs, fmt.Errorf("%w: %s is %q, want a number", samsa.ErrInvalid, name, text))
		}
		return v
	}
	n.Next = int(number("next", 32))
	what := strings.TrimSpace(f("with"))
	switch act := f("act"); act {
	case "fail":
		n.Fail = what == ""
		n.Error = what
	case "code":
		n.Code = int16(number("with", 16))
	case "delay":
		d, err := time.ParseDuration(what)
		if err != nil {
			errs = append(errs, fmt.Errorf("%w: the delay is %q, want a time as 200ms", samsa.ErrInvalid, what))
		}
		n.Delay = api.Duration(d)
	case "hold":
		n.Hold = true
	case "count":
		n.Count = true
	default:
		errs = append(errs, fmt.Errorf("%w: act is %q", errAsked, act))
	}
	return n, errors.Join(errs...)
}
