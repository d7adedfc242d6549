package log

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"testing"
)

// families is the family of each error, nil for none.
var families = map[string]struct{ err, family error }{
	"ErrClosed":                {ErrClosed, nil},
	"ErrInCallback":            {ErrInCallback, nil},
	"ErrCutOff":                {ErrCutOff, nil},
	"ErrFailed":                {ErrFailed, nil},
	"ErrDiskFull":              {ErrDiskFull, ErrUnavailable},
	"ErrStorage":               {ErrStorage, nil},
	"ErrCorruptRecord":         {ErrCorruptRecord, nil},
	"ErrCorruptValue":          {ErrCorruptValue, nil},
	"ErrRecordTooLarge":        {ErrRecordTooLarge, ErrTooLarge},
	"ErrTxTooLarge":            {ErrTxTooLarge, ErrTooLarge},
	"ErrOffsetOutOfRange":      {ErrOffsetOutOfRange, nil},
	"ErrUnknownTopic":          {ErrUnknownTopic, ErrUnknown},
	"ErrUnknownPartition":      {ErrUnknownPartition, ErrUnknown},
	"ErrTopicExists":           {ErrTopicExists, nil},
	"ErrInvalidTopic":          {ErrInvalidTopic, ErrInvalid},
	"ErrInvalidConfig":         {ErrInvalidConfig, ErrInvalid},
	"ErrInvalidPartitions":     {ErrInvalidPartitions, ErrInvalid},
	"ErrInvalidTimestamp":      {ErrInvalidTimestamp, ErrInvalid},
	"ErrInvalidOption":         {ErrInvalidOption, ErrInvalid},
	"ErrLocked":                {ErrLocked, ErrUnavailable},
	"ErrNotDirectory":          {ErrNotDirectory, ErrInvalid},
	"ErrNotExist":              {ErrNotExist, ErrUnknown},
	"ErrReadOnly":              {ErrReadOnly, nil},
	"ErrOldFormat":             {ErrOldFormat, ErrUnsupported},
	"ErrNewerFormat":           {ErrNewerFormat, ErrUnsupported},
	"ErrInvalidRecord":         {ErrInvalidRecord, ErrInvalid},
	"ErrOutOfOrderSequence":    {ErrOutOfOrderSequence, nil},
	"ErrProducerFenced":        {ErrProducerFenced, ErrFenced},
	"ErrInvalidTxnState":       {ErrInvalidTxnState, ErrInvalid},
	"ErrConflict":              {ErrConflict, ErrUnavailable},
	"ErrKeyNotFound":           {ErrKeyNotFound, ErrUnknown},
	"ErrInvalidKey":            {ErrInvalidKey, ErrInvalid},
	"ErrInvalidSnapshot":       {ErrInvalidSnapshot, ErrInvalid},
	"ErrUnsupportedCodec":      {ErrUnsupportedCodec, ErrUnsupported},
	"ErrUnknownMember":         {ErrUnknownMember, ErrUnknown},
	"ErrIllegalGeneration":     {ErrIllegalGeneration, nil},
	"ErrRebalanceInProgress":   {ErrRebalanceInProgress, nil},
	"ErrFencedInstance":        {ErrFencedInstance, ErrFenced},
	"ErrMemberIDRequired":      {ErrMemberIDRequired, nil},
	"ErrInconsistentProtocol":  {ErrInconsistentProtocol, nil},
	"ErrInvalidSessionTimeout": {ErrInvalidSessionTimeout, ErrInvalid},
	"ErrGroupFull":             {ErrGroupFull, nil},
	"ErrInvalidGroup":          {ErrInvalidGroup, ErrInvalid},
	"ErrUnknownGroup":          {ErrUnknownGroup, ErrUnknown},
	"ErrUnsupportedAssignor":   {ErrUnsupportedAssignor, ErrUnsupported},
	"ErrInvalidRegex":          {ErrInvalidRegex, ErrInvalid},
	"ErrGroupKind":             {ErrGroupKind, ErrUnknown},
	"ErrFencedMemberEpoch":     {ErrFencedMemberEpoch, nil},
	"ErrStaleMemberEpoch":      {ErrStaleMemberEpoch, nil},
	"ErrUnreleasedInstance":    {ErrUnreleasedInstance, nil},
	"ErrInvalidTopology":       {ErrInvalidTopology, ErrInvalid},
	"ErrInvalidHeartbeat":      {ErrInvalidHeartbeat, ErrInvalid},
	"ErrGroupNotEmpty":         {ErrGroupNotEmpty, nil},
	"ErrGroupSubscribed":       {ErrGroupSubscribed, nil},
	"ErrMetadataTooLarge":      {ErrMetadataTooLarge, ErrTooLarge},
	"ErrNoOffset":              {ErrNoOffset, ErrUnknown},

	"ErrInvalidRecordState": {ErrInvalidRecordState, ErrInvalid},
	"ErrNotAcquired":        {ErrNotAcquired, ErrInvalid},

	"ErrInvalidTransactionalID": {ErrInvalidTransactionalID, ErrInvalid},
	"ErrInvalidTxnTimeout":      {ErrInvalidTxnTimeout, ErrInvalid},
	"ErrUnknownTransactionalID": {ErrUnknownTransactionalID, ErrUnknown},
	"ErrInvalidProducerID":      {ErrInvalidProducerID, ErrInvalid},
	"ErrNotInTransaction":       {ErrNotInTransaction, nil},
}

func TestFamilies(t *testing.T) {
	heads := []error{ErrInvalid, ErrUnknown, ErrFenced, ErrTooLarge, ErrUnavailable, ErrUnsupported, ErrOutcomeUnknown}
	file, err := parser.ParseFile(token.NewFileSet(), "errors.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	ast.Inspect(file, func(node ast.Node) bool {
		if spec, ok := node.(*ast.ValueSpec); ok {
			if n++; n > len(heads) && families[spec.Names[0].Name].err == nil {
				t.Errorf("%s is not in the table", spec.Names[0].Name)
			}
		}
		return true
	})
	if n != len(heads)+len(families) {
		t.Errorf("the file has %d errors and the table %d, and %d families", n, len(families), len(heads))
	}
	for name, tt := range families {
		if got := Name(fmt.Errorf("orders/1: %w: 7", tt.err)); got != name {
			t.Errorf("%s has the name %q", name, got)
		}
		wrapped := fmt.Errorf("orders/1: %w: 7", tt.err)
		for _, head := range heads {
			if got := errors.Is(wrapped, head); got != errors.Is(tt.family, head) {
				t.Errorf("%s is of the family %v: %t", name, head, got)
			}
			if wrapped.Error() != "orders/1: "+tt.err.Error()+": 7" || !errors.Is(wrapped, tt.err) {
				t.Errorf("%s is %v", name, wrapped)
			}
		}
		if got := Retriable(wrapped); got != slices.Contains([]string{"ErrDiskFull", "ErrLocked", "ErrConflict"}, name) {
			t.Errorf("%s is retriable: %t", name, got)
		}
	}
	if !Retriable(ErrUnavailable) || Retriable(nil) || Retriable(errors.New("unavailable for the moment")) {
		t.Error("what is retriable is not what is unavailable")
	}
}
