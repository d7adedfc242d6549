//go:build !linux

package workload

import "time"

// newSleeper returns a sleep, which may be late by what the system's timers are.
func newSleeper() (sleep func(time.Duration), end func()) { return time.Sleep, func() {} }
