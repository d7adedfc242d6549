package api

import "github.com/samsa-go/samsa"

func listTransactions(c *call) (any, error) {
	after, limit := c.query.text("after"), c.query.limit(1000)
	if err := c.none(); err != nil {
		return nil, err
	}
	ids, err := c.b.Transactions().List(c.limited)
	if err != nil {
		return nil, err
	}
	var p TransactionPage
	p.IDs, p.Next = page(ids, after, "", limit, func(string) bool { return true })
	if p.IDs == nil {
		p.IDs = []string{}
	}
	return p, nil
}

func describeTransaction(c *call) (any, error) {
	if err := c.none(); err != nil {
		return nil, err
	}
	t, err := c.b.Transactions().Describe(c.limited, c.r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	return Transaction{
		ID: t.ID, State: t.State.String(), ProducerID: t.ProducerID, ProducerEpoch: t.ProducerEpoch, Timeout: Duration(t.Timeout),
		Started: At(t.Started), Partitions: partitions(t.Partitions), Groups: t.Groups,
	}, nil
}

func fenceTransaction(c *call) (any, error) {
	if err := c.none(); err != nil {
		return nil, err
	}
	return nil, c.b.Transactions().Fence(c.limited, c.r.PathValue("id"))
}

func openTransactions(c *call) (any, error) {
	topics := c.query.all("topic")
	if err := c.none(); err != nil {
		return nil, err
	}
	found, err := c.b.Transactions().Open(c.limited, topics...)
	if err != nil {
		return nil, err
	}
	all := OpenTransactions{Transactions: []OpenTransaction{}}
	for _, o := range found {
		all.Transactions = append(all.Transactions, OpenTransaction{
			TopicPartition: TopicPartition(o.TopicPartition), ProducerID: o.ProducerID, ProducerEpoch: o.ProducerEpoch,
			Since: o.Since, Written: At(o.Written), ID: o.ID,
		})
	}
	return all, nil
}

func abortTransaction(c *call) (any, error) {
	var o OpenTransaction
	if err := c.decode(&o); err != nil {
		return nil, err
	}
	return nil, c.b.Transactions().Abort(c.limited, samsa.OpenTransaction{
		TopicPartition: samsa.TopicPartition(o.TopicPartition), ProducerID: o.ProducerID, ProducerEpoch: o.ProducerEpoch, Since: o.Since, ID: o.ID,
	})
}
