package consumer

import "github.com/samsa-go/samsa/internal/measure"

// Stats is what consumers of one name have done, and what they have.
type Stats struct {
	Open       int
	Partitions int
	Ahead      int64 // bytes that were read ahead

	Records, Bytes         int64 // that the program was given
	Resets, Skipped        int64
	Commits, CommitsFailed int64
}

// StatsName is the name of consumers that are counted together.
type StatsName struct{ Group, ClientID string }

// Tally counts what consumers do.
type Tally = measure.Tally[StatsName, Stats]

// Plus implements measure.Sum.
func (s Stats) Plus(o Stats) Stats {
	return Stats{
		Open: s.Open + o.Open, Partitions: s.Partitions + o.Partitions, Ahead: s.Ahead + o.Ahead, Records: s.Records + o.Records, Bytes: s.Bytes + o.Bytes,
		Resets: s.Resets + o.Resets, Skipped: s.Skipped + o.Skipped, Commits: s.Commits + o.Commits, CommitsFailed: s.CommitsFailed + o.CommitsFailed,
	}
}

// Ended implements measure.Sum.
func (s Stats) Ended() Stats {
	s.Open, s.Partitions, s.Ahead = 0, 0, 0
	return s
}

// stats returns what c has done, and what it has.
func (c *Consumer) stats() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.did
	s.Open, s.Partitions, s.Ahead = 1, len(c.tracks), int64(c.fetched)
	return s
}

// givenLocked counts a record that the program is given, of so many bytes.
func (c *Consumer) givenLocked(bytes int) {
	c.did.Records++
	c.did.Bytes += int64(bytes)
}

// committed counts a commit of offsets.
func (c *Consumer) committed(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil {
		c.did.Commits++
	} else {
		c.did.CommitsFailed++
	}
}
