//go:build !race

package samsa_test

const rapidChecks = "25"
