package local

import (
	"context"

	"github.com/samsa-go/samsa/group/config"
	"github.com/samsa-go/samsa/internal/engine"
	"github.com/samsa-go/samsa/topic"
	"github.com/samsa-go/samsa/txn"
)

// Parts returns the broker as the root sees it.
func (b *Broker) Parts() engine.Parts {
	groups, topics := Groups{b.Groups}, &Topics{Catalogue: b.Catalogue, Create: b.topic}
	return engine.Parts{
		Where: b.Where(), ClusterID: b.ClusterID,
		Topics: topics, Coordinator: groups, Offsets: groups,
		Groups: groups, GroupConfigs: groupConfigs{b.Configs},
		Shares: shares{b.Shares, topics, b.Logger}, ShareAdmin: shareAdmin{b.Shares, b.Members},
		TopicAdmin: topicAdmin{b}, Producing: b.batcher, Transactor: b.transactor, Transactions: transactions{b}, Copying: newCopying(b),
		Rules: b.Groups.Rules(), Close: b.Close,
	}
}

// groupConfigs is engine.GroupConfigs.
type groupConfigs struct{ *config.Registry }

func (g groupConfigs) Values(_ context.Context, name string) (map[string]string, error) {
	values := g.Registry.Values(name)
	all := make(map[string]string, len(config.Settings))
	for _, s := range config.Settings {
		if _, own := g.Own(name)[s.Name]; own || !s.Hidden {
			all[s.Name] = values.Value(s.Name)
		}
	}
	return all, nil
}

func (g groupConfigs) Set(ctx context.Context, name string, configs map[string]string) error {
	return g.Change(ctx, name, false, func(own map[string]string) error {
		for key, value := range configs {
			if own[key] = value; value == "" && config.Find(key) != nil {
				delete(own, key)
			}
		}
		return nil
	})
}

// transactions is engine.Transactions.
type transactions struct{ *Broker }

func (t transactions) List(context.Context) ([]string, error) {
	listed := t.Txns.List()
	names := make([]string, len(listed))
	for i, l := range listed {
		names[i] = l.ID
	}
	return names, nil
}

func (t transactions) Describe(_ context.Context, id string) (txn.Description, error) {
	return t.Txns.Describe(id)
}

func (t transactions) Open(_ context.Context, topics ...string) ([]engine.OpenTransaction, error) {
	var in []*topic.Topic
	if len(topics) == 0 {
		in = t.Catalogue.List()
	}
	for _, name := range topics {
		found, err := t.Catalogue.Get(name)
		if err != nil {
			return nil, err
		}
		in = append(in, found)
	}
	var all []engine.OpenTransaction
	for _, of := range in {
		for _, p := range of.Partitions() {
			for _, o := range t.Txns.OpenIn(p) {
				all = append(all, engine.OpenTransaction{
					TopicPartition: o.TopicPartition, ProducerID: o.Producer.ID, ProducerEpoch: o.Producer.Epoch,
					Since: o.Since, Written: o.Written, ID: o.ID,
				})
			}
		}
	}
	return all, nil
}

func (t transactions) Abort(ctx context.Context, o engine.OpenTransaction) error {
	_, err := t.Txns.Abort(ctx, o.TopicPartition, txn.Producer{ID: o.ProducerID, Epoch: o.ProducerEpoch}, o.Since)
	return err
}

func (t transactions) Fence(ctx context.Context, id string) error { return t.Txns.Fence(ctx, id) }
