package metrics

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/samsa-go/samsa/internal/stats"
)

var mirrorFamilies = []family{
	ofMirror("samsa_mirror_records_total", counter, "Records that were copied.", func(m *stats.Mirror) float64 { return float64(m.Records) }),
	ofMirror("samsa_mirror_bytes_total", counter, "Bytes of batches that were copied, as they were stored.", func(m *stats.Mirror) float64 { return float64(m.Bytes) }),
	ofMirror("samsa_mirror_transactions_total", counter, "Transactions that these were stored in.", func(m *stats.Mirror) float64 { return float64(m.Transactions) }),
	ofMirror("samsa_mirror_lost_offsets_total", counter, "Offsets that retention of the source has taken before they were copied.", func(m *stats.Mirror) float64 { return float64(m.Lost) }),
	ofMirror("samsa_mirror_restarts_total", counter, "How often it has begun anew, after an error that passes.", func(m *stats.Mirror) float64 { return float64(m.Restarts) }),
	{"samsa_mirror_error_timestamp_seconds", gauge, "When it has met an error the last time, in seconds since the epoch; none before.", func(s *Source, p *printer) {
		for i := range s.Mirrors {
			if m := &s.Mirrors[i]; !m.Failed.IsZero() {
				p.value(seconds(m.Failed), mirrorLabels(m)...)
			}
		}
	}},
	ofMirror("samsa_mirror_trouble", gauge, "1 if it has not found out since where it is.", func(m *stats.Mirror) float64 { return float64(b2i(m.Trouble)) }),
	ofMirror("samsa_mirror_refused_topics", gauge, "Topics of the source that are not copied.", func(m *stats.Mirror) float64 { return float64(m.Refused) }),
	ofMirror("samsa_mirror_damaged_partitions", gauge, "Partitions of the source that are copied up to where they are damaged.", func(m *stats.Mirror) float64 { return float64(m.Damaged) }),
	ofMirror("samsa_mirror_untranslated_offsets", gauge, "Committed offsets of groups that were not brought over, as the mirror has forgotten what became of them.", func(m *stats.Mirror) float64 { return float64(m.Untranslated) }),
	ofMirror("samsa_mirror_lag_seconds", gauge, "For how long some records of the source have not been copied, in seconds, at most.", func(m *stats.Mirror) float64 { return m.LagTime.Seconds() }),
	{"samsa_mirror_topic_lag_records", gauge, "Offsets of a topic of the source that are not copied.", func(s *Source, p *printer) {
		for i := range s.Mirrors {
			m := &s.Mirrors[i]
			for _, topic := range slices.Sorted(maps.Keys(m.Lag)) {
				p.count(m.Lag[topic], append(mirrorLabels(m), "topic", topic)...)
			}
		}
	}},
}

func ofMirror(name string, k kind, help string, of func(*stats.Mirror) float64) family {
	return family{name, k, help, func(s *Source, p *printer) {
		for i := range s.Mirrors {
			p.value(of(&s.Mirrors[i]), mirrorLabels(&s.Mirrors[i])...)
		}
	}}
}

func mirrorLabels(m *stats.Mirror) []string {
	return []string{"mirror", m.Name, "from", m.From, "to", m.To}
}

func compareMirrors(a, b stats.Mirror) int {
	return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.From, b.From), strings.Compare(a.To, b.To))
}
