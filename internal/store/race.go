//go:build race

package store

// badgerRaces: value-log GC reads the newest version in each memtable without its lock
// (Badger 4.9.6, DB.MaxVersion). The number is for a safeguard that holdDiscards makes
// superfluous, so this harms nobody; but users who run their tests under the race
// detector would be told of it. There GC runs within a pause.
const badgerRaces = true
