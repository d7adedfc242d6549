//go:build unix

package kafkatest

import "syscall"

// What is done to a process.
const (
	terminate = syscall.SIGTERM
	halt      = syscall.SIGSTOP
	goOn      = syscall.SIGCONT
)
