package api_test

import (
	"reflect"
	"testing"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/api"
)

// The API tells all that a broker knows of itself.
func TestStatsAreComplete(t *testing.T) {
	for _, pair := range [][2]any{{samsa.Stats{}, api.Stats{}}, {samsa.StoreStats{}, api.StoreStats{}}, {samsa.Histogram{}, api.Histogram{}}} {
		from, to := reflect.TypeOf(pair[0]), reflect.TypeOf(pair[1])
		for i := range from.NumField() {
			name := from.Field(i).Name
			if _, ok := to.FieldByName(name); !ok && name != "Opened" { // that is in api.Broker
				t.Errorf("%v has no %s", to, name)
			}
		}
	}
}
