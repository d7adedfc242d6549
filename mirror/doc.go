// Package mirror copies topics from one broker to another, and goes on copying: from the broker of this process to a Kafka
// cluster, back, or between two of a kind. Each record arrives once, in the order of its partition, with its key, value, headers,
// timestamp and compression, whatever is killed in between.
//
//	m, err := mirror.New(local, central, mirror.Options{Name: "site-7", Prefix: "site-7."})
//	...
//	err = m.Run(ctx)
//
// To a broker of this library records keep their offsets. On a Kafka cluster they get others, and the mirror knows which: the
// committed offsets of groups are translated exactly. docs/mirror.md has the steps of a move and of the way back; docs/adr/0029
// says how it works.
package mirror
