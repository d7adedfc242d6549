package group

// RoundRobin deals the partitions of all topics, by topic name and partition number, to
// the members in turn, and passes over members that do not subscribe to the topic. Counts
// differ by at most one when all subscribe to the same topics, and may differ by any
// number otherwise. It is Kafka's RoundRobinAssignor.
func RoundRobin() Assignor { return AssignorFunc("roundrobin", false, assignRoundRobin) }

func assignRoundRobin(members []AssignMember, partitions map[string]int32) map[string]Assignment {
	result := nothing(members)
	order := inOrder(members)
	byTopic, topics := subscribers(members, order, partitions)
	turn := make([]int, len(members)) // place in order, by member
	for k, i := range order {
		turn[i] = k
	}
	next := 0 // in order: whose turn it is
	for _, topic := range topics {
		subs := byTopic[topic] // in order as well
		k := 0
		for k < len(subs) && turn[subs[k]] < next {
			k++
		}
		for p := range partitions[topic] {
			i := subs[k%len(subs)]
			result[members[i].ID][topic] = append(result[members[i].ID][topic], p)
			next = (turn[i] + 1) % len(members)
			k = k%len(subs) + 1
		}
	}
	return result
}
