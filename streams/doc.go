// Package streams is groups of Kafka Streams' own protocol (KIP-1071): their members are instances of one application,
// whose topology the coordinator divides into tasks and assigns.
//
// Group is the state machine, a value without clock, lock, disk or goroutine: it is told the time and what a member says
// in its heartbeat, and says what the member is told and whether the group is to be stored. Configure finds how
// many tasks a topology has over the topics that there are, assign says who is to have which, and a member comes from
// what it has to what it is to have by giving up tasks first: a task is active with one member at a time.
// Coordinator brings time, concurrency, the store and the topics. Committed offsets are kept by package group,
// under the same name.
package streams
