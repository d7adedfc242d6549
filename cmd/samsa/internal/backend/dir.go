package backend

import (
	"context"
	"errors"
	"fmt"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/api"
)

// opened is a broker that this process has opened.
type opened struct {
	*api.Client
	b *samsa.Broker
}

// OpenDir returns the broker with its data in dir: its owner, if a process has it open and can be asked, else one that is opened here, for
// reading only unless write is set. The directory must exist. An owner that cannot be asked is api.ErrNoControl.
func OpenDir(ctx context.Context, dir string, write bool) (Backend, error) {
	c, err := api.DialDir(ctx, dir)
	if err == nil {
		return c, nil
	}
	if !errors.Is(err, api.ErrNoOwner) {
		return nil, err
	}
	b, err := samsa.Open(dir, samsa.Options{MustExist: true, ReadOnly: !write})
	if errors.Is(err, samsa.ErrLocked) { // somebody has come first
		if c, err := api.DialDir(ctx, dir); err == nil {
			return c, nil
		}
	}
	if errors.Is(err, samsa.ErrNotExist) {
		return nil, fmt.Errorf("%w (samsa serve --data DIRECTORY begins one)", err)
	}
	if err != nil {
		return nil, Advised(err)
	}
	// What must not be written a broker that was opened for reading refuses; a dry run is not that.
	return &opened{api.Direct(api.Handler(b, api.Options{Write: true})), b}, nil
}

// Advised returns an error of opening a directory, with what to do when something in it is damaged, or somebody has it open.
func Advised(err error) error {
	switch {
	case errors.Is(err, samsa.ErrCorruptValue):
		return fmt.Errorf("%w (samsa verify tells what is wrong and what it costs, samsa repair mends an index)", err)
	case errors.Is(err, samsa.ErrLocked):
		return fmt.Errorf("%w (samsa -d DIRECTORY doctor tells by whom)", err)
	}
	return err
}

// Close closes the broker. Its errors were told to who has waited for what it did.
func (o *opened) Close() {
	o.Client.Close()
	_ = o.b.Close()
}
