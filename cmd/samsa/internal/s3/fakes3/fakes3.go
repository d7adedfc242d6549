// Package fakes3 is a small S3 in memory, for tests.
package fakes3

import (
	"net/http/httptest"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
)

// New serves a store with a bucket. Close it.
func New(bucket string) (*httptest.Server, error) {
	b := s3mem.New()
	if err := b.CreateBucket(bucket); err != nil {
		return nil, err
	}
	return httptest.NewServer(gofakes3.New(b, gofakes3.WithIntegrityCheck(true)).Server()), nil
}
