package group

import (
	"errors"
	"maps"
	"testing"
	"time"

	"github.com/samsa-go/samsa/log"
)

// Limits are the same as broker configs and as rules.
func TestLimitsAreConfigs(t *testing.T) {
	for name, r := range map[string]Rules{
		"none on the size": {InitialDelay: 3 * time.Second, MinSessionTimeout: 6 * time.Second, MaxSessionTimeout: 30 * time.Minute},
		"no delay":         {MinSessionTimeout: time.Millisecond, MaxSessionTimeout: time.Hour, MaxMembers: 7},
	} {
		again, err := Rules{MaxSessionTimeout: 1}.With(r.Configs())
		if name == "none on the size" && again.MaxMembers == 1<<31-1 {
			again.MaxMembers = 0 // nobody can tell them apart
		}
		if err != nil || again != r {
			t.Errorf("%s: %v became %+v, error %v", name, r.Configs(), again, err)
		}
	}
	r := Rules{MinSessionTimeout: time.Second, MaxSessionTimeout: time.Minute}
	for name, value := range map[string]string{
		"group.max.size":                   "0",
		"group.initial.rebalance.delay.ms": "-1",
		"group.min.session.timeout.ms":     "60001",
		"group.max.session.timeout.ms":     "1e3",
		"group.moon.ms":                    "1",
	} {
		if _, err := r.With(map[string]string{name: value}); !errors.Is(err, log.ErrInvalidConfig) {
			t.Errorf("%s=%s: %v", name, value, err)
		}
	}
}

func FuzzDecodeLimits(f *testing.F) {
	f.Add(encodeLimits(nil))
	f.Add(encodeLimits(map[string]string{"group.max.size": "7"}))
	f.Add([]byte(`{"version":2}`))
	f.Fuzz(func(t *testing.T, v []byte) {
		configs, err := decodeLimits(v)
		if err != nil {
			return
		}
		again, err := decodeLimits(encodeLimits(configs))
		if err != nil || !maps.Equal(again, configs) {
			t.Errorf("%q became %q, error %v", configs, again, err)
		}
	})
}
