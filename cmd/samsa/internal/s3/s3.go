// Package s3 is a target of backups in a bucket of S3, or of a store that speaks its protocol.
package s3

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"regexp"
	"strings"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/backup"
)

// Scheme is what addresses of targets begin with.
const Scheme = "s3://"

// partBytes is what is sent at once of what has no known length, and kept in memory for that. S3 takes 10,000 parts, which is 640 GB.
const partBytes = 64 << 20

// target implements backup.Target. Its objects have the prefix before their names.
type target struct {
	core   minio.Core
	bucket string
	prefix string // "", or with a slash at its end
	part   uint64 // bytes
}

// Open returns the target at s3://BUCKET/PREFIX; the prefix may be missing. It asks nobody yet.
//
// As with other programs, the environment says the rest: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, or else
// AWS_SHARED_CREDENTIALS_FILE and AWS_PROFILE, or else the role of the machine; AWS_REGION or AWS_DEFAULT_REGION; and
// AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL for another store than Amazon's.
func Open(address string, getenv func(string) string) (backup.Target, error) {
	rest, ok := strings.CutPrefix(address, Scheme)
	bucket, prefix, _ := strings.Cut(rest, "/")
	if !ok || bucket == "" {
		return nil, fmt.Errorf("%w: %s: want s3://BUCKET/PREFIX", samsa.ErrInvalidOption, address)
	}
	o := minio.Options{
		Creds: login(getenv), Secure: true,
		Region: cmp.Or(getenv("AWS_REGION"), getenv("AWS_DEFAULT_REGION")),
	}
	host := "s3.amazonaws.com"
	if text := cmp.Or(getenv("AWS_ENDPOINT_URL_S3"), getenv("AWS_ENDPOINT_URL")); text != "" {
		u, err := url.Parse(text)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || strings.Trim(u.Path, "/") != "" {
			return nil, fmt.Errorf("%w: AWS_ENDPOINT_URL is %q, want http://HOST:PORT or https://HOST:PORT", samsa.ErrInvalidOption, text)
		}
		host, o.Secure, o.BucketLookup = u.Host, u.Scheme == "https", minio.BucketLookupPath
	}
	c, err := minio.New(host, &o)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", samsa.ErrInvalidOption, address, err)
	}
	if prefix = strings.Trim(prefix, "/"); prefix != "" {
		prefix += "/"
	}
	return &target{minio.Core{Client: c}, bucket, prefix, partBytes}, nil
}

// login returns what says who asks.
func login(getenv func(string) string) *credentials.Credentials {
	if id, secret := getenv("AWS_ACCESS_KEY_ID"), getenv("AWS_SECRET_ACCESS_KEY"); id != "" || secret != "" {
		return credentials.NewStaticV4(id, secret, getenv("AWS_SESSION_TOKEN"))
	}
	return credentials.NewChainCredentials([]credentials.Provider{
		&credentials.FileAWSCredentials{Filename: getenv("AWS_SHARED_CREDENTIALS_FILE"), Profile: getenv("AWS_PROFILE")},
		&credentials.IAM{},
	})
}

// Put implements backup.Target.
func (t *target) Put(ctx context.Context, name string, r io.Reader) error {
	size := int64(-1)
	if sized, ok := r.(interface{ Len() int }); ok {
		size = int64(sized.Len())
	}
	// The signed header Content-MD5 vouches for the bytes, with stores too that do not know signatures of chunks.
	o := minio.PutObjectOptions{ContentType: "application/octet-stream", PartSize: t.part, SendContentMd5: true, DisableContentSha256: true}
	_, err := t.core.Client.PutObject(ctx, t.bucket, t.prefix+name, r, size, o)
	return t.told(name, err)
}

// Get implements backup.Target.
func (t *target) Get(ctx context.Context, name string) (io.ReadCloser, error) {
	body, _, _, err := t.core.GetObject(ctx, t.bucket, t.prefix+name, minio.GetObjectOptions{})
	if err != nil {
		return nil, t.told(name, err)
	}
	return body, nil
}

// List implements backup.Target.
func (t *target) List(ctx context.Context) ([]backup.Object, error) {
	ctx, cancel := context.WithCancel(ctx) // which ends who lists, in the middle too
	defer cancel()
	var all []backup.Object
	for o := range t.core.ListObjectsIter(ctx, t.bucket, minio.ListObjectsOptions{Prefix: t.prefix, Recursive: true}) {
		if o.Err != nil {
			return nil, t.told("", o.Err)
		}
		all = append(all, backup.Object{Name: strings.TrimPrefix(o.Key, t.prefix), Size: o.Size})
	}
	return all, ctx.Err()
}

// Delete implements backup.Target.
func (t *target) Delete(ctx context.Context, name string) error {
	err := t.told(name, t.core.RemoveObject(ctx, t.bucket, t.prefix+name, minio.RemoveObjectOptions{}))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// ours matches what a backup puts below its prefix. There may be other things in a bucket.
var ours = regexp.MustCompile(`^g[0-9]{8}-[0-9a-f]{8}/`)

// Sweep implements backup.Sweeper: parts of an object that were sent stay, and are paid for, until they are removed.
func (t *target) Sweep(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for o := range t.core.ListIncompleteUploads(ctx, t.bucket, t.prefix, true) {
		if o.Err != nil {
			return t.told("", o.Err)
		}
		if name := strings.TrimPrefix(o.Key, t.prefix); ours.MatchString(name) {
			if err := t.core.AbortMultipartUpload(ctx, t.bucket, o.Key, o.UploadID); err != nil {
				return t.told(name, err)
			}
		}
	}
	return ctx.Err()
}

// told says of an error where it was, and what kind it is.
func (t *target) told(name string, err error) error {
	if err == nil {
		return nil
	}
	at := Scheme + t.bucket + "/" + t.prefix + name
	switch minio.ToErrorResponse(err).Code {
	case minio.NoSuchKey, minio.NoSuchBucket:
		return fmt.Errorf("%s: %w: %w", at, fs.ErrNotExist, err)
	case minio.AccessDenied, "InvalidAccessKeyId", "SignatureDoesNotMatch":
		return fmt.Errorf("%s: %w: %w", at, fs.ErrPermission, err)
	}
	return fmt.Errorf("%s: %w", at, err)
}
