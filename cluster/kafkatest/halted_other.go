//go:build !linux

package kafkatest

// awaitHalted does not wait: there is no proc(5).
func awaitHalted(int) error { return nil }
