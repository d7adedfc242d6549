// Package bench measures Samsa against its peers: other logs that a Go program can embed.
// It is a module of its own so that no user of Samsa depends on them.
//
//	go test -run '^$' -bench . ./bench
package bench
