package console

// search is what is searched for, and where.
type search struct {
	Topic, Partition, From, Text string
	Keys, Values, Headers        bool
}
