package samsa

// quota is how much one poll may still return.
type quota struct{ records, bytes int }

// share divides the quota among n, rounded up.
func (q quota) share(n int) quota {
	return quota{records: (q.records + n - 1) / n, bytes: (q.bytes + n - 1) / n}
}

func (q *quota) spent() bool { return q.records <= 0 || q.bytes <= 0 }

// spend takes away what another quota has lost.
func (q *quota) spend(before, after quota) {
	q.records -= before.records - after.records
	q.bytes -= before.bytes - after.bytes
}
