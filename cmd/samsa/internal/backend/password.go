package backend

import (
	"errors"
	"net/url"
	"strings"
)

// ErrPassword is that a URL has a password where others of the machine read it: arguments are in the list of processes.
var ErrPassword = errors.New("the URL has a password, which everybody on this machine could read in the list of processes")

// HasPassword reports whether a text is a URL with a password, or could be meant to be one.
func HasPassword(text string) bool {
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok || scheme == "" {
		return false
	}
	u, err := url.Parse(text)
	if err != nil { // as of hosts with commas between, and of passwords with what a URL does not allow
		before, _, at := cutLast(rest, "@")
		return at && strings.Contains(before, ":")
	}
	_, has := u.User.Password()
	return has
}

// Redacted returns an address without the password that it may have.
func Redacted(text string) string {
	if !HasPassword(text) {
		return text
	}
	scheme, rest, _ := strings.Cut(text, "://")
	before, after, _ := cutLast(rest, "@")
	user, _, _ := strings.Cut(before, ":")
	return scheme + "://" + user + ":xxxxx@" + after
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}
