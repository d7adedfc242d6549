// Package clienttest proves the wire door with the clients that people use, and with Kafka
// Streams, Kafka Connect, MirrorMaker and Kafka's tools, which stand on one: each test starts a broker in its
// process, lets foreign clients loose on it, and asserts through the Go API what they did.
//
// Clients that are Go come from go.mod. The others run as child processes, where install.sh, in
// this directory, has installed them; a test that misses one is skipped and says so, or
// fails when the environment has SAMSA_CLIENTS=required.
package clienttest
