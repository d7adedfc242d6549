package samsa

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"

	"go.uber.org/zap"

	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/internal/writer"
)

// A cluster id is like one of Kafka's: 16 random bytes in base64 for URLs, 22 characters of which
// the first is no dash (that would be a flag to command lines). It is stored as this text.

// ClusterID returns what tells this broker's data from others', 22 characters. It was made when
// the data was: it stays when the directory moves, is copied, or comes back from a Snapshot, and a
// fork in a test has that of the broker it was forked from. Kafka clients see it as the id of the
// cluster, unless kafka.Options names another.
func (b *Broker) ClusterID() string { return b.clusterID }

func newClusterID() string {
	for {
		var b [16]byte
		_, _ = rand.Read(b[:]) // never fails
		if id := base64.RawURLEncoding.EncodeToString(b[:]); id[0] != '-' {
			return id
		}
	}
}

func checkClusterID(v []byte) error {
	b, err := base64.RawURLEncoding.DecodeString(string(v))
	if err == nil && len(b) != 16 {
		err = fmt.Errorf("%d bytes, want 16", len(b))
	}
	if err != nil {
		return fmt.Errorf("%w: cluster id: %w", ErrCorruptValue, err)
	}
	return nil
}

// openClusterID returns the cluster id in st, and makes one where there is none. One that is
// damaged is replaced, and one that the disk has no room for lasts until the broker is closed: the
// logger is told, and nobody is kept from the data.
func openClusterID(st store.Store, committer *writer.Committer, logger *zap.Logger) (string, error) {
	key := store.BrokerKey("c")
	v, err := st.Get(key)
	if err == nil {
		err = checkClusterID(v)
	}
	switch {
	case err == nil:
		return string(v), nil
	case store.Lost(err):
		logger.Warn("the cluster id is damaged, there is a new one", zap.Error(err))
	case !errors.Is(err, store.ErrNotFound):
		return "", fmt.Errorf("cluster id: %w", err)
	}
	id := newClusterID()
	tx := &writer.Tx{Essential: true}
	tx.Writes.Set(key, []byte(id))
	switch err := committer.Do(tx); {
	case errors.Is(err, ErrDiskFull):
		logger.Warn("the new cluster id could not be stored, the next time there is another", zap.Error(err))
	case err != nil:
		return "", fmt.Errorf("cluster id: %w", err)
	}
	return id, nil
}
