package api

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"

	"github.com/samsa-go/samsa/internal/inside"
	"github.com/samsa-go/samsa/internal/users"
)

// UserPage is the users of a broker.
type UserPage struct {
	Users []User `json:"users"`
}

// User is a user, and the mechanisms of SCRAM that his password is kept for.
type User struct {
	Name       string   `json:"name"`
	Mechanisms []string `json:"mechanisms"`
}

// NewUser is a user and a password.
type NewUser struct {
	Name     string `json:"name"`
	Password string `json:"password"`
}

// usersOf returns the users of the broker.
func (c *call) usersOf() (*users.Store, error) {
	in := inside.Of(c.b)
	return in.Users, in.Local("users")
}

func listUsers(c *call) (any, error) {
	s, err := c.usersOf()
	if err := errors.Join(err, c.none()); err != nil {
		return nil, err
	}
	p := UserPage{Users: []User{}}
	for _, u := range s.List() {
		p.Users = append(p.Users, User{Name: u.Name, Mechanisms: slices.Sorted(maps.Keys(u.Iterations))})
	}
	return p, nil
}

func setUser(c *call) (any, error) {
	var u NewUser
	if err := c.decode(&u); err != nil {
		return nil, err
	}
	s, err := c.usersOf()
	if err != nil {
		return nil, err
	}
	changes, err := users.Set(u.Name, u.Password)
	if err != nil {
		return nil, err
	}
	return nil, errors.Join(s.Alter(c.limited, changes)...)
}

func deleteUser(c *call) (any, error) {
	name := c.query.text("name")
	s, err := c.usersOf()
	if err := errors.Join(err, c.none()); err != nil {
		return nil, err
	}
	changes, err := s.Delete(name)
	if err != nil {
		return nil, err
	}
	return nil, errors.Join(s.Alter(c.limited, changes)...)
}

// Users returns the users of a broker, by name.
func (c *Client) Users(ctx context.Context) ([]User, error) {
	var p UserPage
	return p.Users, c.get(ctx, "users", nil, &p)
}

// SetUser gives a user a password, in place of the one that he may have.
func (c *Client) SetUser(ctx context.Context, name, password string) error {
	return c.call(ctx, request{http.MethodPut, "users", nil, NewUser{name, password}}, nil)
}

// DeleteUser removes a user, or is ErrUnknown.
func (c *Client) DeleteUser(ctx context.Context, name string) error {
	return c.call(ctx, request{http.MethodDelete, "users", url.Values{"name": {name}}, nil}, nil)
}
