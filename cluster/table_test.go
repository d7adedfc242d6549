package cluster_test

import (
	"fmt"
	"maps"
	"testing"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/cluster"
	"github.com/samsa-go/samsa/kafka"
)

// tables is a cluster of three nodes in this process, a table of a topic of its own broker, and one of a broker that is a client of it.
type tables struct {
	t    *testing.T
	at   *kafka.Cluster
	own  *samsa.Broker
	far  *samsa.Broker
	all  map[string]*samsa.Table
	want map[string]string
}

func tablesOf(t *testing.T, partitions int) *tables {
	t.Helper()
	own, err := samsa.Open("", samsa.Options{InMemory: true, Groups: samsa.GroupOptions{InitialRebalanceDelay: -1}})
	k := &tables{t: t, own: own, all: map[string]*samsa.Table{}, want: map[string]string{}}
	k.must(err)
	t.Cleanup(func() { k.must(own.Close()) })
	k.must(own.Topics().Create(t.Context(), "accounts", samsa.TopicConfig{Partitions: partitions, CleanupPolicy: samsa.CleanupCompact}))
	k.at, err = kafka.ListenCluster(own, 3, "127.0.0.1:0", kafka.ClusterOptions{})
	k.must(err)
	k.far, err = cluster.Open(t.Context(), cluster.Options{Seeds: k.at.Addrs(), Name: "tables"})
	k.must(err)
	t.Cleanup(func() { k.must(k.far.Close()) })
	return k
}

func (k *tables) must(err error) {
	k.t.Helper()
	if err != nil {
		k.t.Fatal(err)
	}
}

func (k *tables) open(what string, b *samsa.Broker, opts samsa.TableOptions) {
	k.t.Helper()
	opts.Topic = "accounts"
	t, err := b.NewTable(k.t.Context(), opts)
	k.must(err)
	k.t.Cleanup(func() { k.must(t.Close()) })
	k.all[what] = t
}

// put writes rows from one number to another through the cluster, each in a call.
func (k *tables) put(from, to int, value string) {
	k.t.Helper()
	for i := from; i < to; i++ {
		key := fmt.Sprint("key-", i)
		_, err := k.far.Produce(k.t.Context(), samsa.Record{Topic: "accounts", Key: []byte(key), Value: []byte(value)})
		k.must(err)
		k.want[key] = value
	}
}

// check compares the tables with what was written.
func (k *tables) check(what string) {
	k.t.Helper()
	for name, t := range k.all {
		k.must(t.WaitFor(k.t.Context()))
		got := map[string]string{}
		for rec, err := range t.Range(samsa.TableRange{}) {
			k.must(err)
			got[string(rec.Key)] = string(rec.Value)
		}
		if !maps.Equal(got, k.want) || t.Len() != int64(len(k.want)) {
			k.t.Errorf("%s, %s: %d rows %v, want %v", what, name, t.Len(), got, k.want)
		}
	}
}

// Leaders move, and nodes come and go, under tables: they have what was written.
func TestTableFollowsLeaders(t *testing.T) {
	k := tablesOf(t, 3)
	k.open("far", k.far, samsa.TableOptions{})
	k.open("of a group", k.far, samsa.TableOptions{Group: "g"})
	k.open("own", k.own, samsa.TableOptions{Name: "kept"})
	for round := range 12 {
		for p := range int32(3) {
			k.must(k.at.MoveLeader("accounts", p, (int32(round)+p)%3+1))
		}
		if node := int32(round)%3 + 1; round%4 == 3 {
			k.must(k.at.Stop(node))
			k.put(0, 10, fmt.Sprint(round))
			k.must(k.at.Start(node))
		}
		k.put(5, 15, fmt.Sprint(round))
		k.check(fmt.Sprint("round ", round))
	}
}

// The end of a log is lost, as by an unclean election, and there are fewer records then, as many, or more: no table keeps a row that the log has not, and
// a Watch tells what has gone.
func TestTableOfALogThatWasCut(t *testing.T) {
	for _, more := range []int{0, 1, 5, 20} {
		t.Run(fmt.Sprint("new=", more), func(t *testing.T) {
			k := tablesOf(t, 1)
			k.open("far", k.far, samsa.TableOptions{})
			k.open("own", k.own, samsa.TableOptions{})
			k.open("own and kept", k.own, samsa.TableOptions{Name: "kept"})
			k.put(0, 10, "old")
			k.check("before")
			told := map[string]string{}
			changes := k.all["far"].Watch(t.Context())
			for c, err := range changes {
				k.must(err)
				switch {
				case c.Mark: // five of them get lost
					k.must(k.at.ElectUnclean("accounts", 0, 2, 5))
					for i := 5; i < 10; i++ {
						delete(k.want, fmt.Sprint("key-", i))
					}
					k.put(100, 100+more, "new")
				case c.Record.Value == nil:
					delete(told, string(c.Record.Key))
				default:
					told[string(c.Record.Key)] = string(c.Record.Value)
				}
				if maps.Equal(told, k.want) {
					break
				}
			}
			k.check("after")
			k.put(3, 7, "again")
			k.check("and written again")
		})
	}
}
