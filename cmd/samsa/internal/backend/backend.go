// Package backend is what the commands see of a broker or a cluster: one interface, which a client of Samsa's API satisfies, and which
// Kafka does over Kafka's protocol.
package backend

import (
	"context"
	"fmt"
	"io"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/backup"
	"github.com/samsa-go/samsa/internal/api"
)

// Backend is what can be done with a broker of Samsa and with any Kafka cluster alike. What the methods do, and their errors, are those of
// api.Client; what a cluster cannot tell is zero.
type Backend interface {
	Topics(ctx context.Context, r api.TopicsRequest) (api.TopicPage, error)
	Topic(ctx context.Context, name string) (api.Topic, error)
	CreateTopic(ctx context.Context, t api.NewTopic) error
	EnsureTopic(ctx context.Context, t api.NewTopic) (created bool, err error)
	AlterTopic(ctx context.Context, name string, configs map[string]*string) error
	GrowTopic(ctx context.Context, name string, total int) error
	DeleteTopic(ctx context.Context, name string) error
	DeleteRecords(ctx context.Context, name string, before []api.PartitionOffset) error
	Offsets(ctx context.Context, topic string, at api.Position) ([]api.PartitionOffset, error)

	Produce(ctx context.Context, topic string, r api.ProduceRequest) ([]api.Place, error)
	Follow(ctx context.Context, r api.FollowRequest, fn func(api.Record) error) error

	Groups(ctx context.Context, r api.GroupsRequest) (api.GroupPage, error)
	Group(ctx context.Context, name string) (api.Group, error)
	ResetGroup(ctx context.Context, name string, r api.ResetGroup) (api.GroupReset, error)
	DeleteGroup(ctx context.Context, name string) error

	Users(ctx context.Context) ([]api.User, error)
	SetUser(ctx context.Context, name, password string) error
	DeleteUser(ctx context.Context, name string) error

	ACLs(ctx context.Context) ([]api.ACL, error)
	CreateACL(ctx context.Context, a api.ACL) error
	DeleteACL(ctx context.Context, a api.ACL) error
	Quotas(ctx context.Context) ([]api.Quota, error)
	SetQuotas(ctx context.Context, q api.NewQuota) error

	// Close ends what the backend has: connections, or the broker that was opened for it.
	Close()
}

// Samsa is what a broker of Samsa can do besides.
type Samsa interface {
	Backend
	Broker(ctx context.Context) (api.Broker, error)
	Stats(ctx context.Context) (api.Stats, error)
	Retention(ctx context.Context) (api.Retention, error)
	Sweep(ctx context.Context) (api.Swept, error)
	Requeue(ctx context.Context, topic string, r api.RequeueRequest) ([]api.Place, error)
	Keys(ctx context.Context, r api.KeysRequest) (api.KeyPage, error)
	Key(ctx context.Context, key api.Bytes) (api.KeyValue, error)
	SetKey(ctx context.Context, key, value api.Bytes) error
	DeleteKey(ctx context.Context, key api.Bytes) error
	Tables(ctx context.Context) ([]api.Table, error)
	TableRow(ctx context.Context, id api.TableID, key api.Bytes) (api.Record, error)
	TableRows(ctx context.Context, r api.RowsRequest) (api.RowPage, error)
	Snapshot(ctx context.Context, r api.SnapshotRequest, w io.Writer) error
	Import(ctx context.Context, r api.ImportRequest, in io.Reader) error
	Backups() backup.Source
}

var _ Samsa = (*api.Client)(nil)

// AsSamsa returns b as a broker of Samsa. Of a Kafka cluster it is ErrUnsupported: what is what was wanted.
func AsSamsa(b Backend, what string) (Samsa, error) {
	if s, ok := b.(Samsa); ok {
		return s, nil
	}
	return nil, fmt.Errorf("%w: %s: a Kafka cluster has no such thing; give -d or --api", samsa.ErrUnsupported, what)
}
