// Package clusterid gives a store the identity that tells its data from others'. Users import the module root.
package clusterid

import (
	"encoding/base64"
	"errors"
	"fmt"

	"go.uber.org/zap"

	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/internal/uuid"
	"github.com/samsa-go/samsa/internal/writer"
	"github.com/samsa-go/samsa/log"
)

// check wants a cluster id as it is stored: the text of a UUID.
func check(v []byte) error {
	b, err := base64.RawURLEncoding.DecodeString(string(v))
	if err == nil && len(b) != 16 {
		err = fmt.Errorf("%d bytes, want 16", len(b))
	}
	if err != nil {
		return fmt.Errorf("%w: cluster id: %w", log.ErrCorruptValue, err)
	}
	return nil
}

// Open returns the cluster id in st, and makes one where there is none. One that is
// damaged is replaced, and one that the disk has no room for lasts until the broker is closed: the
// logger is told, and nobody is kept from the data.
func Open(st store.Store, committer *writer.Committer, logger *zap.Logger) (string, error) {
	key := store.BrokerKey("c")
	v, err := st.Get(key)
	if err == nil {
		err = check(v)
	}
	switch {
	case err == nil:
		return string(v), nil
	case store.Lost(err):
		logger.Warn("the cluster id is damaged, there is a new one", zap.Error(err))
	case !errors.Is(err, store.ErrNotFound):
		return "", fmt.Errorf("cluster id: %w", err)
	}
	id := uuid.Text(uuid.New())
	tx := &writer.Tx{Essential: true}
	tx.Writes.Set(key, []byte(id))
	switch err := committer.Do(tx); {
	case errors.Is(err, log.ErrDiskFull):
		logger.Warn("the new cluster id could not be stored, the next time there is another", zap.Error(err))
	case err != nil:
		return "", fmt.Errorf("cluster id: %w", err)
	}
	return id, nil
}
