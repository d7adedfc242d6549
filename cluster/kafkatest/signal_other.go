//go:build !unix

package kafkatest

import "os"

// What is done to a process: here there is one thing alone.
var terminate, halt, goOn = os.Kill, os.Kill, os.Kill
