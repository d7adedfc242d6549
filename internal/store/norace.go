//go:build !race

package store

const badgerRaces = false
