package backend

import (
	"errors"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/api"
)

// opened is a broker that this process has opened.
type opened struct {
	*api.Client
	b *samsa.Broker
}

// OpenDir returns the broker with its data in dir: its owner, if a process has it open and listens, else one that is opened here, for
// reading only unless write is set. The directory must exist.
func OpenDir(dir string, write bool) (Backend, error) {
	b, err := samsa.Open(dir, samsa.Options{MustExist: true, ReadOnly: !write})
	if errors.Is(err, samsa.ErrLocked) {
		return nil, err
	}
	if err != nil {
		return nil, err
	}
	// What must not be written a broker that was opened for reading refuses; a dry run is not that.
	return &opened{api.Direct(api.Handler(b, api.Options{Write: true})), b}, nil
}

// Close closes the broker. Its errors were told to who has waited for what it did.
func (o *opened) Close() {
	o.Client.Close()
	_ = o.b.Close()
}
