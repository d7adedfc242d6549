package samsatest

import (
	"context"
	"fmt"
	"slices"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/group"
	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/internal/writer"
	"github.com/samsa-go/samsa/partition"
)

// Corrupt damages the stored batch that holds offset: readers get ErrCorruptRecord for it, and
// go on behind it. Who has read it already does not notice.
func Corrupt(t TB, b *samsa.Broker, topic string, index int32, offset int64) {
	t.Helper()
	if err := corrupt(partsOf(b).Store, partsOf(b).Committer, func() (*partition.Partition, error) {
		known, err := partsOf(b).Catalogue.Get(topic)
		if err != nil {
			return nil, err
		}
		return known.Partition(index)
	}, offset); err != nil {
		t.Fatalf("samsatest: Corrupt: %v", err)
	}
}

func corrupt(st store.Store, c *writer.Committer, find func() (*partition.Partition, error), offset int64) error {
	p, err := find()
	if err != nil {
		return err
	}
	release, err := p.Turn(context.Background()) // nobody compacts or trims it meanwhile
	if err != nil {
		return err
	}
	defer release()
	if start, end := p.LogStart(), p.HighWatermark(); offset < start || offset >= end {
		return fmt.Errorf("%s: %w: offset %d is not within [%d, %d)", p.TopicPartition(), samsa.ErrOffsetOutOfRange, offset, start, end)
	}
	var key, value []byte
	err = st.Scan(store.BatchRange(p.ID(), offset), func(e store.Entry) (bool, error) {
		key = slices.Clone(e.Key)
		value, err = e.AppendValue(nil)
		return false, err
	})
	if err != nil {
		return err
	}
	value = value[:len(value)-1] // the store vouches for every byte but not for what it was given
	tx := &writer.Tx{Essential: true}
	tx.Writes.Set(key, value)
	return c.Do(tx)
}

// Expire ends the session of a member of a group, as if it had given no sign of life for
// longer than its session timeout: the group goes on without it, and it learns of that with
// its next call. member is its id, instance id or client id; all that have it expire. The test
// fails if there is none.
func Expire(t TB, b *samsa.Broker, groupName, member string) {
	t.Helper()
	var known []string
	expired, err := partsOf(b).Groups.Expire(groupName, func(m group.MemberDescription) bool {
		known = append(known, m.ID)
		return member != "" && (member == m.ID || member == m.InstanceID || member == m.ClientID)
	})
	if err == nil && len(expired) == 0 {
		err = fmt.Errorf("%w: group %s has no member %q, but %q", samsa.ErrUnknownMember, groupName, member, known)
	}
	if err != nil {
		t.Fatalf("samsatest: Expire: %v", err)
	}
}

// ExpireTransaction does at once to the open transaction of a transactional id what its time-out does: it is aborted, and its
// producer fenced. As from Kafka, a commit that comes then is INVALID_TXN_STATE, an abort is taken for the one that was done, and
// more for that transaction is PRODUCER_FENCED or INVALID_PRODUCER_EPOCH; at transaction.version 0 commit and abort are, too. The
// test fails if the id has no open transaction.
func ExpireTransaction(t TB, b *samsa.Broker, id string) {
	t.Helper()
	if err := partsOf(b).Txns.TimeOut(context.Background(), id); err != nil {
		t.Fatalf("samsatest: ExpireTransaction: %v", err)
	}
}
