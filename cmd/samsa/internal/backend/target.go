package backend

import (
	"strings"

	"github.com/samsa-go/samsa/backup"
	"github.com/samsa-go/samsa/cmd/samsa/internal/s3"
)

// OpenTarget returns where a backup lies: in the bucket of an address s3://BUCKET/PREFIX, else in a folder.
func OpenTarget(where string, getenv func(string) string) (backup.Target, error) {
	if strings.HasPrefix(where, s3.Scheme) {
		return s3.Open(where, getenv)
	}
	return backup.Folder(where), nil
}
