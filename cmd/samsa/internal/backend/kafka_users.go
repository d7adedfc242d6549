package backend

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/api"
)

// scramIterations is how often a password is hashed, as Kafka's tools do it.
const scramIterations = 4096

// Users implements Backend.
func (k *Kafka) Users(ctx context.Context) ([]api.User, error) {
	all, err := k.adm.DescribeUserSCRAMs(ctx)
	if err != nil {
		return nil, explained("users", err)
	}
	users := []api.User{}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		u := api.User{Name: name, Mechanisms: []string{}}
		for _, c := range all[name].CredInfos {
			u.Mechanisms = append(u.Mechanisms, c.Mechanism.String())
		}
		slices.Sort(u.Mechanisms)
		users = append(users, u)
	}
	return users, nil
}

// SetUser implements Backend. A user is in a request once.
func (k *Kafka) SetUser(ctx context.Context, name, password string) error {
	for _, m := range []kadm.ScramMechanism{kadm.ScramSha256, kadm.ScramSha512} {
		done, err := k.adm.AlterUserSCRAMs(ctx, nil, []kadm.UpsertSCRAM{{User: name, Mechanism: m, Iterations: scramIterations, Password: password}})
		if err := errors.Join(err, done.Error()); err != nil {
			return explained("user "+name, err)
		}
	}
	return nil
}

// DeleteUser implements Backend.
func (k *Kafka) DeleteUser(ctx context.Context, name string) error {
	all, err := k.adm.DescribeUserSCRAMs(ctx, name)
	if err != nil {
		return explained("user "+name, err)
	}
	if len(all[name].CredInfos) == 0 {
		return fmt.Errorf("user %s: %w user", name, samsa.ErrUnknown)
	}
	for _, c := range all[name].CredInfos {
		done, err := k.adm.AlterUserSCRAMs(ctx, []kadm.DeleteSCRAM{{User: name, Mechanism: c.Mechanism}}, nil)
		if err := errors.Join(err, done.Error()); err != nil {
			return explained("user "+name, err)
		}
	}
	return nil
}
