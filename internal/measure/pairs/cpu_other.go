//go:build !unix

package pairs

import "time"

var start = time.Now()

// used returns how long this process runs.
func used() time.Duration { return time.Since(start) }
