package consumer

// quota is how much one poll may still return.
type quota struct{ records, bytes int }

// share divides the quota among n, rounded up.
func (q quota) share(n int) quota {
	return quota{records: roundUp(q.records, n), bytes: roundUp(q.bytes, n)}
}

// roundUp returns q/n, rounded up, for any q that is not negative.
func roundUp(q, n int) int {
	return q/n + min(1, q%n)
}

// atMost returns the part of the quota that is no more than another.
func (q quota) atMost(other quota) quota {
	return quota{records: min(q.records, other.records), bytes: min(q.bytes, other.bytes)}
}

func (q *quota) spent() bool { return q.records <= 0 || q.bytes <= 0 }

// spend takes away what another quota has lost.
func (q *quota) spend(before, after quota) {
	q.records -= before.records - after.records
	q.bytes -= before.bytes - after.bytes
}
