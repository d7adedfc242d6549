package e2e

import (
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/samsa-go/samsa"
)

// Every enumeration prints as it is called, and is text in JSON and flags; a value that there is not prints its
// number and has no text.
func TestEnumerationsAsText(t *testing.T) {
	for _, tt := range []struct {
		value  any
		prints string // "" for a value that there is not
		text   string
	}{
		{samsa.AckStored, "stored", "stored"}, {samsa.AckSynced, "synced", "synced"}, {samsa.AckNone, "none", "none"},
		{samsa.AckStored - 1, "", ""}, {samsa.AckNone + 1, "", ""},

		{samsa.CompressionDefault, "default", ""}, {samsa.CompressionNone, "none", "none"}, {samsa.CompressionGzip, "gzip", "gzip"},
		{samsa.CompressionSnappy, "snappy", "snappy"}, {samsa.CompressionLz4, "lz4", "lz4"}, {samsa.CompressionZstd, "zstd", "zstd"},
		{samsa.CompressionDefault - 1, "", ""}, {samsa.CompressionZstd + 1, "", ""},

		{samsa.CleanupDelete, "delete", "delete"}, {samsa.CleanupCompact, "compact", "compact"}, {samsa.CleanupConsumed, "consumed", "consumed"},
		{samsa.CleanupCompact | samsa.CleanupDelete, "compact,delete", "compact,delete"},
		{samsa.CleanupConsumed | samsa.CleanupDelete, "consumed,delete", "consumed,delete"},
		{samsa.CleanupPolicy(0), "default", ""}, {samsa.CleanupPolicy(8), "", ""}, {samsa.CleanupDelete | 16, "", ""},

		{samsa.GroupEmpty, "Empty", "Empty"}, {samsa.GroupPreparingRebalance, "PreparingRebalance", "PreparingRebalance"},
		{samsa.GroupCompletingRebalance, "CompletingRebalance", "CompletingRebalance"}, {samsa.GroupStable, "Stable", "Stable"},
		{samsa.GroupDead, "Dead", "Dead"}, {samsa.GroupAssigning, "Assigning", "Assigning"},
		{samsa.GroupReconciling, "Reconciling", "Reconciling"}, {samsa.GroupNotReady, "NotReady", "NotReady"}, {samsa.GroupNotReady + 1, "", ""},

		{samsa.GroupClassic, "classic", "classic"}, {samsa.GroupConsumer, "consumer", "consumer"}, {samsa.GroupShare, "share", "share"},
		{samsa.GroupStreams, "streams", "streams"}, {samsa.GroupStreams + 1, "", ""},

		{samsa.ReadCommitted, "read_committed", "read_committed"}, {samsa.ReadUncommitted, "read_uncommitted", "read_uncommitted"},
		{samsa.ReadCommitted - 1, "", ""}, {samsa.ReadUncommitted + 1, "", ""},

		{samsa.TransactionEmpty, "Empty", "Empty"}, {samsa.TransactionOngoing, "Ongoing", "Ongoing"},
		{samsa.TransactionCommitted, "CompleteCommit", "CompleteCommit"}, {samsa.TransactionAborted, "CompleteAbort", "CompleteAbort"},
		{samsa.TransactionAborted + 1, "", ""},

		{samsa.ResetEarliest, "earliest", "earliest"}, {samsa.ResetLatest, "latest", "latest"}, {samsa.ResetError, "error", "error"},
		{samsa.ResetEarliest - 1, "", ""}, {samsa.ResetError + 1, "", ""},
	} {
		name := fmt.Sprintf("%T(%#v)", tt.value, tt.value)
		text, err := tt.value.(encoding.TextMarshaler).MarshalText()
		if tt.prints == "" {
			if got := fmt.Sprint(tt.value); !strings.Contains(got, "(") || !errors.Is(err, samsa.ErrInvalid) {
				t.Errorf("%s prints %q, and is %q, error %v", name, got, text, err)
			}
			continue
		}
		if got := fmt.Sprint(tt.value); got != tt.prints || string(text) != tt.text || err != nil {
			t.Errorf("%s prints %q, and is %q, error %v", name, got, text, err)
		}
		coded, err := json.Marshal(tt.value)
		back := reflect.New(reflect.TypeOf(tt.value))
		if err == nil {
			err = json.Unmarshal(coded, back.Interface())
		}
		if err != nil || back.Elem().Interface() != tt.value {
			t.Errorf("%s is %s and then %v, error %v", name, coded, back.Elem(), err)
		}
		if err := back.Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte("Nonsense")); !errors.Is(err, samsa.ErrInvalid) ||
			back.Elem().Interface() != tt.value || !strings.Contains(err.Error(), "Nonsense") {
			t.Errorf("nonsense makes %s %v, error %v", name, back.Elem(), err)
		}
	}
}
