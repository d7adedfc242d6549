// Package cluster opens a Kafka cluster as a broker of Samsa: the same API, and programs that use it stay as they are but for
// where they open.
package cluster
