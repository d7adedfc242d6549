// Package option is how options are validated: all that is wrong is told at once. Users import the
// module root.
package option

import (
	"errors"
	"fmt"

	"github.com/samsa-go/samsa/log"
)

// Mistakes collects what is wrong with options.
type Mistakes []error

// Check notes, unless ok, that field has a value which is not what is wanted.
func (m *Mistakes) Check(ok bool, field string, value any, want string) {
	if !ok {
		*m = append(*m, fmt.Errorf("%w: %s is %v, want %s", log.ErrInvalidOption, field, value, want))
	}
}

// Err is nil, or ErrInvalidOption with all that is wrong.
func (m Mistakes) Err() error { return errors.Join(m...) }
