package metrics

import (
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/samsa-go/samsa"
)

// families is all that is printed, in this order. docs/metrics.md has a row for each.
var families = slices.Concat(brokerFamilies, storeFamilies, topicFamilies, groupFamilies, queueFamilies, clientFamilies, tableFamilies, kafkaFamilies, mirrorFamilies)

var brokerFamilies = []family{
	{"samsa_opened_timestamp_seconds", gauge, "When the broker was opened, in seconds since the epoch.", func(s *Source, p *printer) {
		p.value(seconds(s.Broker.Opened))
	}},
	{"samsa_topics", gauge, "Topics that there are.", func(s *Source, p *printer) { p.count(int64(s.Broker.Topics)) }},
	{"samsa_partitions", gauge, "Partitions of all topics.", func(s *Source, p *printer) { p.count(int64(s.Broker.Partitions)) }},
	{"samsa_groups", gauge, "Groups of all kinds.", func(s *Source, p *printer) { p.count(int64(s.Broker.Groups)) }},
	{"samsa_clients", gauge, "Producers, consumers, queues, servers and mirrors of this process that are open.", func(s *Source, p *printer) {
		p.count(int64(s.Broker.Clients))
	}},
	{"samsa_appended_records_total", counter, "Records that were appended.", func(s *Source, p *printer) { p.count(s.Broker.Records) }},
	{"samsa_appended_batches_total", counter, "Batches that were appended.", func(s *Source, p *printer) { p.count(s.Broker.Batches) }},
	{"samsa_appended_bytes_total", counter, "Bytes of batches that were appended, compressed.", func(s *Source, p *printer) { p.count(s.Broker.Bytes) }},
	{"samsa_commits_total", counter, "Commits to the store, each of one or several writes.", func(s *Source, p *printer) { p.count(s.Broker.Commits) }},
	{"samsa_commit_duration_seconds", histogram, "How long commits to the store on disk took, in seconds.", func(s *Source, p *printer) {
		p.times(s.Broker.CommitTimes)
	}},
	{"samsa_syncs_total", counter, "Fsyncs that succeeded.", func(s *Source, p *printer) { p.count(s.Broker.Syncs) }},
	{"samsa_sync_duration_seconds", histogram, "How long fsyncs took, in seconds.", func(s *Source, p *printer) { p.times(s.Broker.SyncTimes) }},
	{"samsa_writes_failed_total", counter, "Writes that ended with an error.", func(s *Source, p *printer) { p.count(s.Broker.Failed) }},
	{"samsa_writes_refused_total", counter, "Writes that were refused, by the name of the error. Nothing of them is stored.", func(s *Source, p *printer) {
		for _, reason := range slices.Sorted(maps.Keys(s.Broker.Refused)) {
			p.count(s.Broker.Refused[reason], "reason", reason)
		}
	}},
	{"samsa_resets_total", counter, "Moves of consumers that stood at an offset that was not there.", func(s *Source, p *printer) { p.count(s.Broker.Resets) }},
	{"samsa_skipped_offsets_total", counter, "Offsets that consumers were moved ahead by: records that they have missed, at most.", func(s *Source, p *printer) {
		p.count(s.Broker.Skipped)
	}},
	{"samsa_aborted_records_total", counter, "Records of aborted transactions that consumers have come past.", func(s *Source, p *printer) { p.count(s.Broker.Aborted) }},
	{"samsa_rebalances_total", counter, "New generations of classic and consumer groups.", func(s *Source, p *printer) { p.count(s.Broker.Rebalances) }},
	{"samsa_hook_panics_total", counter, "Panics of hooks, which were caught.", func(s *Source, p *printer) { p.count(s.Broker.HookPanics) }},
	{"samsa_series_left_out", gauge, "Things that have no series of their own, as there are too many, by what they are.", func(s *Source, p *printer) {
		l := s.LeftOut
		p.count(int64(l.Topics), "what", "topics")
		p.count(int64(l.Partitions), "what", "partitions")
		p.count(int64(l.Groups), "what", "groups")
		p.count(int64(l.GroupPartitions), "what", "group partitions")
		p.count(int64(l.Clients), "what", "clients")
		p.count(int64(l.Tables), "what", "tables")
	}},
}

var storeFamilies = []family{
	{"samsa_disk_bytes", gauge, "Bytes that the data directory takes.", func(s *Source, p *printer) { p.count(s.Broker.DiskBytes) }},
	{"samsa_disk_free_bytes", gauge, "Bytes of the file system that are free.", func(s *Source, p *printer) {
		if n := s.Broker.Store.FreeBytes; n >= 0 {
			p.count(n)
		}
	}},
	store("samsa_store_files", gauge, "Value files.", func(s *samsa.StoreStats) int64 { return int64(s.Files) }),
	store("samsa_store_file_bytes", gauge, "Bytes of the value files.", func(s *samsa.StoreStats) int64 { return s.FileBytes }),
	store("samsa_store_live_bytes", gauge, "Bytes in value files that count.", func(s *samsa.StoreStats) int64 { return s.LiveBytes }),
	store("samsa_store_tables", gauge, "Tables of the index.", func(s *samsa.StoreStats) int64 { return int64(s.Tables) }),
	store("samsa_store_table_bytes", gauge, "Bytes of the tables.", func(s *samsa.StoreStats) int64 { return s.TableBytes }),
	store("samsa_store_memory_entries", gauge, "Entries of the index that are in memory only, until the next checkpoint.", func(s *samsa.StoreStats) int64 { return int64(s.Entries) }),
	store("samsa_store_memory_bytes", gauge, "Bytes of memory that these take.", func(s *samsa.StoreStats) int64 { return s.MemBytes }),
	store("samsa_store_checkpoints_total", counter, "Checkpoints of the index.", func(s *samsa.StoreStats) int64 { return s.Checkpoints }),
	store("samsa_store_merges_total", counter, "Merges of tables.", func(s *samsa.StoreStats) int64 { return s.Merges }),
	store("samsa_store_moved_bytes_total", counter, "Bytes that were copied so that value files could go.", func(s *samsa.StoreStats) int64 { return s.Moved }),
	store("samsa_store_reclaimed_bytes_total", counter, "Bytes of value files that have gone.", func(s *samsa.StoreStats) int64 { return s.Reclaimed }),
	store("samsa_store_stalls_total", counter, "Commits that had to wait for a checkpoint, a merge, or for space.", func(s *samsa.StoreStats) int64 { return s.Stalls }),
	{"samsa_store_stall_seconds_total", counter, "Time that these have waited, in seconds.", func(s *Source, p *printer) { p.value(s.Broker.Store.StallTime.Seconds()) }},
}

func store(name string, k kind, help string, of func(*samsa.StoreStats) int64) family {
	return family{name, k, help, func(s *Source, p *printer) { p.count(of(&s.Broker.Store)) }}
}

var topicFamilies = []family{
	ofTopic("samsa_topic_partitions", gauge, "Partitions of the topic.", func(t *samsa.TopicMetrics) int64 { return int64(t.Count) }),
	ofTopic("samsa_topic_bytes", gauge, "Bytes of stored batches.", func(t *samsa.TopicMetrics) int64 { return t.BytesLive }),
	ofTopic("samsa_topic_appended_bytes_total", counter, "Bytes of batches that were appended.", func(t *samsa.TopicMetrics) int64 { return t.Appended }),
	ofTopic("samsa_topic_removed_records_total", counter, "Records that retention has removed.", func(t *samsa.TopicMetrics) int64 { return t.Removed.Records }),
	ofTopic("samsa_topic_removed_bytes_total", counter, "Bytes of batches that retention has removed.", func(t *samsa.TopicMetrics) int64 { return t.Removed.Bytes }),
	ofPartition("samsa_partition_log_start_offset", gauge, "Offset of the first record.", func(t *samsa.PartitionMetrics) int64 { return t.LogStart }),
	ofPartition("samsa_partition_high_watermark_offset", gauge, "Offset behind the last record.", func(t *samsa.PartitionMetrics) int64 { return t.HighWatermark }),
	ofPartition("samsa_partition_last_stable_offset", gauge, "Offset behind the last record that readers of what is committed get.", func(t *samsa.PartitionMetrics) int64 { return t.LastStable }),
	ofPartition("samsa_partition_bytes", gauge, "Bytes of stored batches.", func(t *samsa.PartitionMetrics) int64 { return t.BytesLive }),
	{"samsa_partition_retention_due_timestamp_seconds", gauge, "When retention by time finds something to remove, in seconds since the epoch.", func(s *Source, p *printer) {
		eachPartition(s, func(t *samsa.PartitionMetrics, labels ...string) {
			if !t.NextDue.IsZero() {
				p.value(seconds(t.NextDue), labels...)
			}
		})
	}},
}

func ofTopic(name string, k kind, help string, of func(*samsa.TopicMetrics) int64) family {
	return family{name, k, help, func(s *Source, p *printer) {
		for i := range s.Topics {
			p.count(of(&s.Topics[i]), "topic", s.Topics[i].Topic)
		}
	}}
}

func ofPartition(name string, k kind, help string, of func(*samsa.PartitionMetrics) int64) family {
	return family{name, k, help, func(s *Source, p *printer) {
		eachPartition(s, func(t *samsa.PartitionMetrics, labels ...string) { p.count(of(t), labels...) })
	}}
}

func eachPartition(s *Source, fn func(t *samsa.PartitionMetrics, labels ...string)) {
	for i := range s.Topics {
		t := &s.Topics[i]
		for j := range t.Partitions {
			fn(&t.Partitions[j], "topic", t.Topic, "partition", number(t.Partitions[j].Partition))
		}
	}
}

var groupFamilies = []family{
	ofGroup("samsa_group_members", gauge, "Members of the group.", func(g *samsa.GroupMetrics) float64 { return float64(g.Members) }),
	{"samsa_group_state", gauge, "1 for the state that the group is in.", func(s *Source, p *printer) {
		for i := range s.Groups {
			p.count(1, "group", s.Groups[i].Group, "kind", s.Groups[i].Kind.String(), "state", s.Groups[i].State.String())
		}
	}},
	ofGroup("samsa_group_rebalances_total", counter, "New generations of the group.", func(g *samsa.GroupMetrics) float64 { return float64(g.Rebalances) }),
	ofGroup("samsa_group_lag_records", gauge, "Records that the group has not done, of all partitions.", func(g *samsa.GroupMetrics) float64 { return float64(g.Lag) }),
	ofGroup("samsa_group_lag_seconds", gauge, "How long ago the oldest of these was written, in seconds.", func(g *samsa.GroupMetrics) float64 { return g.LagTime.Seconds() }),
	ofGroup("samsa_group_damaged", gauge, "1 if the group, or what it has committed, cannot be read.", func(g *samsa.GroupMetrics) float64 { return float64(b2i(g.Damaged)) }),
	{"samsa_group_partition_committed_offset", gauge, "Committed offset; none without one.", func(s *Source, p *printer) {
		eachGroupPartition(s, func(t *samsa.GroupPartitionMetrics, labels ...string) {
			if t.Committed >= 0 {
				p.count(t.Committed, labels...)
			}
		})
	}},
	{"samsa_group_partition_lag_records", gauge, "Records that the group has not done.", func(s *Source, p *printer) {
		eachGroupPartition(s, func(t *samsa.GroupPartitionMetrics, labels ...string) { p.count(t.Lag, labels...) })
	}},
	{"samsa_group_partition_lag_seconds", gauge, "How long ago the oldest of these was written, in seconds.", func(s *Source, p *printer) {
		eachGroupPartition(s, func(t *samsa.GroupPartitionMetrics, labels ...string) { p.value(t.LagTime.Seconds(), labels...) })
	}},
}

func ofGroup(name string, k kind, help string, of func(*samsa.GroupMetrics) float64) family {
	return family{name, k, help, func(s *Source, p *printer) {
		for i := range s.Groups {
			p.value(of(&s.Groups[i]), "group", s.Groups[i].Group)
		}
	}}
}

func eachGroupPartition(s *Source, fn func(t *samsa.GroupPartitionMetrics, labels ...string)) {
	for i := range s.Groups {
		g := &s.Groups[i]
		for j := range g.Partitions {
			t := &g.Partitions[j]
			fn(t, "group", g.Group, "topic", t.Topic, "partition", number(t.Partition))
		}
	}
}

var queueFamilies = []family{
	ofQueue("samsa_queue_in_flight_records", gauge, "Records that members have.", func(q *samsa.ShareMetrics) int64 { return q.InFlight }),
	ofQueue("samsa_queue_waiting_records", gauge, "Records that are to come later.", func(q *samsa.ShareMetrics) int64 { return q.Waiting }),
	ofQueue("samsa_queue_deliveries_total", counter, "Deliveries.", func(q *samsa.ShareMetrics) int64 { return q.Deliveries }),
	ofQueue("samsa_queue_acknowledged_total", counter, "Records that are done.", func(q *samsa.ShareMetrics) int64 { return q.Acknowledged }),
	ofQueue("samsa_queue_released_total", counter, "Deliveries that were given back.", func(q *samsa.ShareMetrics) int64 { return q.Released }),
	ofQueue("samsa_queue_rejected_total", counter, "Records that were rejected.", func(q *samsa.ShareMetrics) int64 { return q.Rejected }),
	ofQueue("samsa_queue_expired_total", counter, "Deliveries whose lock has run out.", func(q *samsa.ShareMetrics) int64 { return q.Expired }),
	ofQueue("samsa_queue_dead_letters_total", counter, "Records that became dead letters.", func(q *samsa.ShareMetrics) int64 { return q.DeadLetters }),
}

func ofQueue(name string, k kind, help string, of func(*samsa.ShareMetrics) int64) family {
	return family{name, k, help, func(s *Source, p *printer) {
		for i := range s.Groups {
			if s.Groups[i].Kind == samsa.GroupShare {
				p.count(of(&s.Groups[i].ShareMetrics), "group", s.Groups[i].Group)
			}
		}
	}}
}

var clientFamilies = []family{
	ofProducer("samsa_producer_open", gauge, "Producers of the client id that are open.", func(c *samsa.ProducerMetrics) int64 { return int64(c.Open) }),
	ofProducer("samsa_producer_buffered_bytes", gauge, "Bytes that are not acknowledged yet.", func(c *samsa.ProducerMetrics) int64 { return c.Buffered }),
	ofProducer("samsa_producer_records_total", counter, "Records that were stored.", func(c *samsa.ProducerMetrics) int64 { return c.Records }),
	ofProducer("samsa_producer_batches_total", counter, "Batches that were stored.", func(c *samsa.ProducerMetrics) int64 { return c.Batches }),
	ofProducer("samsa_producer_failed_records_total", counter, "Records that were not stored, or of which that is not known.", func(c *samsa.ProducerMetrics) int64 { return c.Failed }),
	{"samsa_producer_batch_duration_seconds", histogram, "How long it took from a complete batch until its outcome was known, in seconds.", func(s *Source, p *printer) {
		for i := range s.Producers {
			p.times(s.Producers[i].Times, "client", s.Producers[i].ClientID)
		}
	}},
	ofConsumer("samsa_consumer_open", gauge, "Consumers of the group and client id that are open.", func(c *samsa.ConsumerMetrics) int64 { return int64(c.Open) }),
	ofConsumer("samsa_consumer_partitions", gauge, "Partitions that these read.", func(c *samsa.ConsumerMetrics) int64 { return int64(c.Partitions) }),
	ofConsumer("samsa_consumer_ahead_bytes", gauge, "Bytes that were read ahead.", func(c *samsa.ConsumerMetrics) int64 { return c.Ahead }),
	ofConsumer("samsa_consumer_records_total", counter, "Records that the program was given.", func(c *samsa.ConsumerMetrics) int64 { return c.Records }),
	ofConsumer("samsa_consumer_bytes_total", counter, "Bytes of keys, values and headers of these.", func(c *samsa.ConsumerMetrics) int64 { return c.Bytes }),
	ofConsumer("samsa_consumer_resets_total", counter, "Moves from an offset that was not there.", func(c *samsa.ConsumerMetrics) int64 { return c.Resets }),
	ofConsumer("samsa_consumer_skipped_offsets_total", counter, "Offsets that these have missed.", func(c *samsa.ConsumerMetrics) int64 { return c.Skipped }),
	ofConsumer("samsa_consumer_commits_total", counter, "Commits of offsets.", func(c *samsa.ConsumerMetrics) int64 { return c.Commits }),
	ofConsumer("samsa_consumer_commits_failed_total", counter, "Commits of offsets that have failed.", func(c *samsa.ConsumerMetrics) int64 { return c.CommitsFailed }),
}

func ofProducer(name string, k kind, help string, of func(*samsa.ProducerMetrics) int64) family {
	return family{name, k, help, func(s *Source, p *printer) {
		for i := range s.Producers {
			p.count(of(&s.Producers[i]), "client", s.Producers[i].ClientID)
		}
	}}
}

func ofConsumer(name string, k kind, help string, of func(*samsa.ConsumerMetrics) int64) family {
	return family{name, k, help, func(s *Source, p *printer) {
		for i := range s.Consumers {
			p.count(of(&s.Consumers[i]), "group", s.Consumers[i].Group, "client", s.Consumers[i].ClientID)
		}
	}}
}

var tableFamilies = []family{
	ofTable("samsa_table_open", gauge, "Tables of the topic, name and group that are open.", func(t *samsa.TableMetrics) int64 { return int64(t.Open) }),
	ofTable("samsa_table_rows", gauge, "Rows of these.", func(t *samsa.TableMetrics) int64 { return t.Rows }),
	ofTable("samsa_table_bytes", gauge, "Bytes of rows and their keys.", func(t *samsa.TableMetrics) int64 { return t.Bytes }),
	ofTable("samsa_table_lag_offsets", gauge, "Offsets that these are behind, as far as is known.", func(t *samsa.TableMetrics) int64 { return t.Lag }),
	ofTable("samsa_table_rebuilds", gauge, "How often these began anew with what they had.", func(t *samsa.TableMetrics) int64 { return t.Rebuilds }),
}

func ofTable(name string, k kind, help string, of func(*samsa.TableMetrics) int64) family {
	return family{name, k, help, func(s *Source, p *printer) {
		for i := range s.Tables {
			t := &s.Tables[i]
			p.count(of(t), "topic", t.Topic, "name", t.Name, "group", t.Group)
		}
	}}
}

var kafkaFamilies = []family{
	ofServer("samsa_kafka_connections", gauge, "Connections that are open.", func(s *Server) int64 { return int64(s.Connections) }),
	ofServer("samsa_kafka_connections_accepted_total", counter, "Connections that were accepted.", func(s *Server) int64 { return s.Accepted }),
	ofServer("samsa_kafka_connections_refused_total", counter, "Connections that were refused, as there were too many.", func(s *Server) int64 { return s.Refused }),
	ofServer("samsa_kafka_connections_broken_total", counter, "Connections that ended by an error.", func(s *Server) int64 { return s.Broken }),
	ofServer("samsa_kafka_logins_total", counter, "Logins by SASL.", func(s *Server) int64 { return s.Logins }),
	ofServer("samsa_kafka_logins_failed_total", counter, "Logins that have failed, and requests before one.", func(s *Server) int64 { return s.FailedLogins }),
	ofServer("samsa_kafka_handshakes_failed_total", counter, "Handshakes of TLS that have failed.", func(s *Server) int64 { return s.FailedHandshakes }),
	ofServer("samsa_kafka_requests_in_flight", gauge, "Requests that were read and are not answered.", func(s *Server) int64 { return int64(s.InFlight) }),
	{"samsa_kafka_requests_total", counter, "Requests, by API key and version.", func(s *Source, p *printer) {
		for i := range s.Servers {
			for _, r := range s.Servers[i].Requests {
				for _, v := range r.Versions {
					p.count(v.Requests, "listener", s.Servers[i].Listener, "request", r.Name, "version", strconv.Itoa(int(v.Version)))
				}
			}
		}
	}},
	{"samsa_kafka_request_duration_seconds", histogram, "How long it took from a request that was read until its answer was written, in seconds.", func(s *Source, p *printer) {
		for i := range s.Servers {
			for _, r := range s.Servers[i].Requests {
				p.times(r.Times, "listener", s.Servers[i].Listener, "request", r.Name)
			}
		}
	}},
	{"samsa_kafka_errors_total", counter, "Error codes that were answered.", func(s *Source, p *printer) {
		for i := range s.Servers {
			for _, e := range s.Servers[i].Errors {
				p.count(e.Errors, "listener", s.Servers[i].Listener, "code", strconv.Itoa(int(e.Code)), "error", e.Name)
			}
		}
	}},
	ofServer("samsa_kafka_received_bytes_total", counter, "Bytes of requests.", func(s *Server) int64 { return s.BytesIn }),
	ofServer("samsa_kafka_sent_bytes_total", counter, "Bytes of answers.", func(s *Server) int64 { return s.BytesOut }),
	{"samsa_kafka_memory_bytes", gauge, "Bytes of memory in use, by what for.", func(s *Source, p *printer) {
		for i := range s.Servers {
			l := s.Servers[i].Listener
			p.count(s.Servers[i].RequestMemory.Used, "listener", l, "use", "requests")
			p.count(s.Servers[i].AnswerMemory.Used, "listener", l, "use", "answers")
			p.count(s.Servers[i].SessionMemory.Used, "listener", l, "use", "sessions")
		}
	}},
	{"samsa_kafka_memory_limit_bytes", gauge, "Bytes of memory that may be in use, by what for.", func(s *Source, p *printer) {
		for i := range s.Servers {
			l := s.Servers[i].Listener
			p.count(s.Servers[i].RequestMemory.Max, "listener", l, "use", "requests")
			p.count(s.Servers[i].AnswerMemory.Max, "listener", l, "use", "answers")
			p.count(s.Servers[i].SessionMemory.Max, "listener", l, "use", "sessions")
		}
	}},
}

func ofServer(name string, k kind, help string, of func(*Server) int64) family {
	return family{name, k, help, func(s *Source, p *printer) {
		for i := range s.Servers {
			p.count(of(&s.Servers[i]), "listener", s.Servers[i].Listener)
		}
	}}
}

func number(n int32) string { return strconv.Itoa(int(n)) }

func seconds(t time.Time) float64 { return float64(t.UnixNano()) / 1e9 }
