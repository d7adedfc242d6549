//go:build race

package e2e

const raceDetector = true

// The race detector of Go 1.26 now and then dies itself (SIGSEGV in its StackDepot) while
// timers of a synctest bubble run, the sooner the more bubbles a process has had: so
// property tests check less under it.
const rapidChecks = "6"
