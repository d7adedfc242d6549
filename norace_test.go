//go:build !race

package samsa_test

const (
	raceDetector = false
	rapidChecks  = "25"
)
