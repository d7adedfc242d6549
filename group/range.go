package group

// Range divides each topic by itself: its partitions in numeric order are cut into as
// many runs as the topic has subscribers, the first few one longer than the rest when it
// does not come out even. Members of equal subscriptions so get the same partition
// numbers of topics with the same number of partitions, which suits joins; members late
// in the order get less, topic after topic. It is Kafka's RangeAssignor, which
// looks at racks only where replicas have different ones.
func Range() Assignor { return AssignorFunc("range", false, assignRange) }

func assignRange(members []AssignMember, partitions map[string]int32) map[string]Assignment {
	result := nothing(members)
	byTopic, topics := subscribers(members, inOrder(members), partitions)
	for _, topic := range topics {
		subs := byTopic[topic]
		n := partitions[topic]
		each, extra := n/int32(len(subs)), n%int32(len(subs))
		next := int32(0)
		for k, i := range subs {
			end := next + each
			if int32(k) < extra {
				end++
			}
			if end == next {
				break // the rest of the members gets nothing of this topic
			}
			run := make([]int32, 0, end-next)
			for ; next < end; next++ {
				run = append(run, next)
			}
			result[members[i].ID][topic] = run
		}
	}
	return result
}
