package engine

import (
	"context"
	"fmt"
	"iter"

	"github.com/samsa-go/samsa/group"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/share"
	"github.com/samsa-go/samsa/topic"
	"github.com/samsa-go/samsa/txn"
)

// Absent is a part that is not there: each of its calls is ErrUnsupported, and says what there is none of. Who has some calls of a
// part and not others returns Unsupported from those.
type Absent struct{ Where string }

// Unsupported returns the error for something that is not to be had where the records are.
func (a Absent) Unsupported(what string) error {
	return fmt.Errorf("%w: %s on %s", log.ErrUnsupported, what, a.Where)
}

// WithAbsent returns the parts with those that are missing absent.
func (p Parts) WithAbsent() Parts {
	a := Absent{p.Where}
	or(&p.Groups, Admin(absentAdmin{a}))
	or(&p.GroupConfigs, GroupConfigs(absentGroupConfigs{a}))
	or(&p.Shares, Shares(absentShares{a}))
	or(&p.ShareAdmin, ShareAdmin(absentShareAdmin{a}))
	or(&p.TopicAdmin, TopicAdmin(absentTopicAdmin{a}))
	or(&p.Producing, Producing(absentProducing{a}))
	or(&p.Transactor, Transactor(absentTransactor{a}))
	or(&p.Transactions, Transactions(absentTransactions{a}))
	or(&p.Copying, Copying(absentCopying{a}))
	return p
}

func or[T comparable](part *T, absent T) {
	if *part == *new(T) {
		*part = absent
	}
}

type (
	absentAdmin        struct{ Absent }
	absentGroupConfigs struct{ Absent }
	absentShares       struct{ Absent }
	absentShareAdmin   struct{ Absent }
	absentTopicAdmin   struct{ Absent }
	absentProducing    struct{ Absent }
	absentTransactor   struct{ Absent }
	absentTransactions struct{ Absent }
	absentCopying      struct{ Absent }
)

// Queues returns why there are no queues, nil if there are.
func (p *Parts) Queues() error {
	if a, ok := p.Shares.(absentShares); ok {
		return a.Unsupported("a queue")
	}
	return nil
}

func (a absentAdmin) List(context.Context) ([]group.Listing, error) {
	return nil, a.Unsupported("groups")
}
func (a absentAdmin) Describe(context.Context, string) (group.Description, error) {
	return group.Description{}, a.Unsupported("groups")
}
func (a absentAdmin) Delete(context.Context, string) error { return a.Unsupported("groups") }
func (a absentAdmin) DeleteOffsets(context.Context, string, ...log.TopicPartition) ([]log.TopicPartition, error) {
	return nil, a.Unsupported("groups")
}
func (a absentAdmin) AlterOffsets(context.Context, string, map[log.TopicPartition]group.Offset) error {
	return a.Unsupported("groups")
}

func (a absentGroupConfigs) Values(context.Context, string) (map[string]string, error) {
	return nil, a.Unsupported("configs of groups")
}
func (a absentGroupConfigs) Set(context.Context, string, map[string]string) error {
	return a.Unsupported("configs of groups")
}

func (a absentShares) Enter(context.Context, string, share.Member) (ShareMember, error) {
	return nil, a.Unsupported("a queue")
}
func (a absentShares) Describe(context.Context, string) ([]share.PartitionInfo, error) {
	return nil, a.Unsupported("a queue")
}

func (a absentShareAdmin) Describe(context.Context, string) ([]share.PartitionInfo, error) {
	return nil, a.Unsupported("share groups")
}
func (a absentShareAdmin) DeadLetter(context.Context, string) (string, error) {
	return "", a.Unsupported("share groups")
}
func (a absentShareAdmin) Alter(context.Context, string, log.TopicPartition, int64) error {
	return a.Unsupported("share groups")
}
func (a absentShareAdmin) Delete(context.Context, string, ...log.TopicPartition) error {
	return a.Unsupported("share groups")
}

func (a absentTopicAdmin) Create(context.Context, string, topic.Config) error {
	return a.Unsupported("administration of topics")
}
func (a absentTopicAdmin) Ensure(context.Context, string, topic.Config) (bool, error) {
	return false, a.Unsupported("administration of topics")
}
func (a absentTopicAdmin) Delete(context.Context, string) error {
	return a.Unsupported("administration of topics")
}
func (a absentTopicAdmin) Names(context.Context) ([]string, error) {
	return nil, a.Unsupported("administration of topics")
}
func (a absentTopicAdmin) Describe(context.Context, string) (TopicInfo, error) {
	return TopicInfo{}, a.Unsupported("administration of topics")
}
func (a absentTopicAdmin) Alter(context.Context, string, func(*topic.Config) error) error {
	return a.Unsupported("administration of topics")
}
func (a absentTopicAdmin) DeleteRecords(context.Context, string, map[int32]int64) error {
	return a.Unsupported("administration of topics")
}

func (a absentProducing) Produce(context.Context, ProduceOptions, []log.Record) error {
	return a.Unsupported("to produce")
}
func (a absentProducing) NewProducer(context.Context, ProducerOptions) (Producer, error) {
	return nil, a.Unsupported("to produce")
}

func (a absentTransactor) Begin(context.Context) (Tx, error) {
	return nil, a.Unsupported("Update and View")
}
func (a absentTransactor) View(context.Context) (View, error) {
	return nil, a.Unsupported("Update and View")
}

func (a absentTransactions) List(context.Context) ([]string, error) {
	return nil, a.Unsupported("administration of transactions")
}
func (a absentTransactions) Describe(context.Context, string) (txn.Description, error) {
	return txn.Description{}, a.Unsupported("administration of transactions")
}
func (a absentTransactions) Open(context.Context, ...string) ([]OpenTransaction, error) {
	return nil, a.Unsupported("administration of transactions")
}
func (a absentTransactions) Abort(context.Context, OpenTransaction) error {
	return a.Unsupported("administration of transactions")
}
func (a absentTransactions) Fence(context.Context, string) error {
	return a.Unsupported("administration of transactions")
}

func (a absentCopying) NewCopier(context.Context, string) (Copier, error) {
	return nil, a.Unsupported("a mirror to it")
}

// AbsentKeys is the part of a View, and of a Tx, that are the application's keys, where there are none.
type AbsentKeys struct{ Absent }

// Get is ErrUnsupported.
func (a AbsentKeys) Get([]byte) ([]byte, error) { return nil, a.Unsupported("keys of the application") }

// Scan is ErrUnsupported.
func (a AbsentKeys) Scan(ScanOptions) iter.Seq2[KeyValue, error] {
	return func(yield func(KeyValue, error) bool) { yield(KeyValue{}, a.Unsupported("keys of the application")) }
}

// Set is ErrUnsupported.
func (a AbsentKeys) Set(string, []byte) error { return a.Unsupported("keys of the application") }

// Delete is ErrUnsupported.
func (a AbsentKeys) Delete(string) error { return a.Unsupported("keys of the application") }
