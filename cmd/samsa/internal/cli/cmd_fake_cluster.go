package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/samsa-go/samsa/internal/api"
)

// fakeNode is a node of a fake broker's cluster, for people.
type fakeNode struct {
	api.ClusterNode
	controls bool
	leads    []string // topic/partition
}

// maxLeads is how many partitions of a node are told.
const maxLeads = 10

func (e *env) printCluster(all api.Cluster) error {
	if e.json {
		return e.printJSON(all)
	}
	nodes := make([]fakeNode, 0, len(all.Nodes)+1)
	for _, n := range all.Nodes {
		nodes = append(nodes, fakeNode{ClusterNode: n, controls: n.ID == all.Controller})
	}
	for _, p := range all.Partitions {
		i := slices.IndexFunc(nodes, func(n fakeNode) bool { return n.ID == p.Leader })
		if i < 0 {
			i = len(nodes)
			nodes = append(nodes, fakeNode{ClusterNode: api.ClusterNode{ID: p.Leader}})
		}
		nodes[i].leads = append(nodes[i].leads, fmt.Sprintf("%s/%d", p.Topic, p.Partition))
	}
	return printRows(e, []column[fakeNode]{
		{">NODE", func(n fakeNode) string {
			if n.ID < 0 {
				return "none"
			}
			return strconv.Itoa(int(n.ID))
		}},
		{"KAFKA", func(n fakeNode) string { return n.Kafka }},
		{"STATE", func(n fakeNode) string {
			switch {
			case n.ID < 0:
				return ""
			case !n.Runs:
				return "down"
			case n.controls:
				return "controls"
			}
			return "runs"
		}},
		{"LEADS", func(n fakeNode) string {
			text := strings.Join(n.leads[:min(len(n.leads), maxLeads)], " ")
			if more := len(n.leads) - maxLeads; more > 0 {
				text += fmt.Sprintf(" and %d more", more)
			}
			return text
		}},
	}, nodes)
}

// nodeless are the events that are not of a node.
var nodeless = []string{"add", "elect", "reassign", "hold_reassignments", "load"}

// fakeCluster is the command for the cluster that a fake broker looks like.
func (e *env) fakeCluster() *cobra.Command {
	var x api.ClusterEvent
	var delay time.Duration
	cmd := &cobra.Command{
		Use:   "cluster [EVENT [NODE]]",
		Short: "Have something happen to a fake cluster",
		Long: `cluster has something happen to the cluster that samsa serve --fake --brokers 3 looks like, and prints what it is then; without an event it only
prints. The events are those of POST kit/cluster:

  stop, kill, start NODE       shut a node down in good order, or as by its death; start it again
  add [--rack R], remove NODE  nodes
  lead NODE                    have it lead --topic and --partition
  elect                        have the preferred leaders lead
  elect_unclean NODE           have it lead them, their log cut at --offset
  reassign                     move them to --replicas; hold_reassignments keeps that under way, until it is called with --off
  coordinate NODE              have it coordinate --group or --transaction
  load                         have the coordinator of these load, until --off
  control NODE                 be the controller
  cut_off NODE                 let the network between it and clients pass nothing, until --off
  slow NODE                    have it wait --delay before each request; 0 ends that
  stale NODE                   have it answer what the cluster is now, until --off
  rebootstrap NODE             have its --next answers to Metadata be REBOOTSTRAP_REQUIRED

A node that runs again leads nothing yet. What is stored is in one place, and is not lost by any of these but elect_unclean.`,
		Example: `  samsa --api http://localhost:9080 fake cluster
  samsa --api http://localhost:9080 fake cluster kill 2
  samsa --api http://localhost:9080 fake cluster lead 3 --topic orders --partition 0`,
		Args: cobra.MaximumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				for _, name := range eventFlags {
					if cmd.Flags().Changed(name) {
						return usageError{fmt.Errorf("--%s goes with an event", name)}
					}
				}
				return e.onFake(cmd.Context(), func(ctx context.Context, c *api.Client) error {
					all, err := c.Cluster(ctx)
					if err != nil {
						return err
					}
					return e.printCluster(all)
				})
			}
			x.Do, x.Delay = args[0], api.Duration(delay)
			if err := eventOf(&x, args[1:]); err != nil {
				return usageError{err}
			}
			return e.onFake(cmd.Context(), func(ctx context.Context, c *api.Client) error {
				all, err := c.ChangeCluster(ctx, x)
				if err != nil {
					return err
				}
				return e.printCluster(all)
			})
		},
		ValidArgs: api.ClusterEvents(),
	}
	fs := cmd.Flags()
	fs.StringVar(&x.Rack, "rack", "", "add in this `rack`")
	fs.StringVarP(&x.Topic, "topic", "t", "", "of this `topic`")
	fs.Int32VarP(&x.Partition, "partition", "p", 0, "of the partition of this `number`")
	fs.Int64Var(&x.Offset, "offset", 0, "where the log ends after elect_unclean, an `offset`")
	fs.Int32SliceVar(&x.Replicas, "replicas", nil, "reassign to these nodes, the preferred leader first, `number`s with commas")
	fs.StringVar(&x.Group, "group", "", "of this `group`")
	fs.StringVar(&x.Transaction, "transaction", "", "of this transactional `id`")
	fs.BoolVar(&x.Off, "off", false, "it ends: hold_reassignments, load, cut_off, stale")
	fs.DurationVar(&delay, "delay", 0, "slow it by this `time`")
	fs.IntVar(&x.Next, "next", 1, "for this `number` of answers")
	return cmd
}

var eventFlags = []string{"rack", "topic", "partition", "offset", "replicas", "group", "transaction", "off", "delay", "next"}

// eventOf adds the node to an event, if it is one that has a node.
func eventOf(x *api.ClusterEvent, args []string) error {
	switch {
	case !slices.Contains(api.ClusterEvents(), x.Do):
		return fmt.Errorf("a cluster cannot do %.40q, but %s", x.Do, strings.Join(api.ClusterEvents(), ", "))
	case slices.Contains(nodeless, x.Do):
		if len(args) > 0 {
			return fmt.Errorf("%s is of no node", x.Do)
		}
		return nil
	case len(args) == 0:
		return fmt.Errorf("which node is to %s? Give its number", x.Do)
	}
	id, err := strconv.ParseInt(args[0], 10, 32)
	if err != nil || id < 0 {
		return errors.New("the node is not a number from 0 on")
	}
	x.Node = int32(id)
	return nil
}
